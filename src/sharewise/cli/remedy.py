"""`sharewise remedy`: apply what convicted the causes, and confirm it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("remedy", short_help="Run a study again with what removes the harms.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), help="New run directory [default: RUN-remedy].")
@click.option("--data", type=click.Path(path_type=Path), help="The study's table, where it has moved.")
@click.option("--workers", "-j", type=click.IntRange(1), help="Processes of one thread each [default: one per core].")
@click.option("--quiet", "-q", is_flag=True, help="Nothing on stderr but errors.")
def command(run: Path, out: Path | None, data: Path | None, workers: int | None, quiet: bool) -> None:
    """Apply the remedies of RUN's harms as a new candidate: a new revision of the study, in a directory of its own.

    Explains first what is not explained yet. Tuning and selection runs are taken over; the candidate is chosen on
    validation rows and confirmed with fresh seeds. Resumable like a run.
    """
    from sharewise.cli.console import log, progress, show
    from sharewise.study.explain.files import finished

    # What cannot be remedied is answered before the engine's modules are imported.
    finished(run)
    from sharewise.study.explain.remedy import remedy

    result = remedy(run, out, data=data, workers=workers, progress=progress(quiet), log=log(quiet))
    if result is not None:
        show(result.directory)
