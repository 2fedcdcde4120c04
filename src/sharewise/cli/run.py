"""`sharewise run`: carry a study out."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("run", short_help="Carry out a study: verdict per task, report, bundle.")
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="Run directory [default: the study's, or runs/NAME]."
)
@click.option("--workers", "-j", type=click.IntRange(1), help="Processes of one thread each [default: one per core].")
@click.option("--budget", type=click.Choice(["quick", "standard", "thorough"]), help="Override the study's budget.")
@click.option("--fail-on", type=click.Choice(["harm"]), help="Exit with 3 when the study confirms a harm.")
@click.option("--quiet", "-q", is_flag=True, help="Nothing on stderr but errors.")
def command(
    study: Path, out: Path | None, workers: int | None, budget: str | None, fail_on: str | None, quiet: bool
) -> None:
    """Carry out STUDY, a study.yaml: train single-task baselines and shared candidates, judge every task, ship what
    earned its place.

    The run directory is resumable: the same command goes on where an interrupted run stopped.
    """
    from sharewise.cli.console import log, progress, show
    from sharewise.study.file import load

    # A study file that is wrong is answered before the engine's modules are imported.
    load(study)
    from sharewise.study.study import Study

    made = Study.from_file(study, budget=budget)
    directory = out or Path(made.declared.out or f"runs/{study.stem}")
    result = made.run(directory, workers=workers, progress=progress(quiet), log=log(quiet))
    show(result.directory)
    if fail_on == "harm" and any(v.outcome.value == "harm" for v in result.verdicts):
        from sharewise.errors import GateError

        harmed = [v.task for v in result.verdicts if v.outcome.value == "harm"]
        raise GateError(f"--fail-on harm: sharing harms {', '.join(harmed)}.")
