"""`sharewise explain`: why a task is worse off in the shared model."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("explain", short_help="Why a task got worse in the shared model, by re-runs.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--task", "-t", help="One task [default: every task that sharing harms].")
@click.option("--all", "everything", is_flag=True, help="Try every intervention, past the first that convicts.")
@click.option("--data", type=click.Path(path_type=Path), help="The study's table, where it has moved.")
@click.option("--workers", "-j", type=click.IntRange(1), help="Processes of one thread each [default: one per core].")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="What to print [default: text]."
)
@click.option("--quiet", "-q", is_flag=True, help="Nothing on stderr but errors.")
def command(
    run: Path, task: str | None, everything: bool, data: Path | None, workers: int | None, form: str, quiet: bool
) -> None:
    """Explain the harms of RUN, a finished run directory.

    Each possible cause is removed in turn and the models are trained again with fresh seeds; a cause is named when its
    removal moves the task. Writes RUN/explain.json and adds a section to the report. Resumable like a run.
    """
    from sharewise.cli.console import log, progress
    from sharewise.report.explained import show
    from sharewise.study.explain.files import finished

    # What cannot be explained is answered before the engine's modules are imported.
    finished(run)
    from sharewise.study.explain.verb import FILE, explain

    found = explain(
        run,
        task,
        data=data,
        everything=everything,
        workers=workers,
        progress=progress(quiet),
        log=log(quiet),
    )
    if form == "json":
        click.echo((run / FILE).read_text(encoding="utf-8"), nl=False)
    else:
        show(found, None if task is None else (task,))
