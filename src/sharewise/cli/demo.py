"""`sharewise demo`: a complete small study on scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path

import click

SHOWN = 18
"""Columns of the answer that are printed."""


@click.command("demo", short_help="A complete small study on handwritten digits.")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Directory."
)
@click.option("--workers", "-j", type=click.IntRange(1), help="Processes of one thread each [default: one per core].")
@click.option("--quiet", "-q", is_flag=True, help="Nothing on stderr but errors.")
def command(out: Path, workers: int | None, quiet: bool) -> None:
    """Find out which of six tasks on pictures of digits should share a model: digit, parity, ink, a task with few
    labels, a coin toss and the pixels themselves. Writes a table, a study file, a run with its report, a bundle.
    """
    from sharewise.cli.console import log, progress, show
    from sharewise.study import demo
    from sharewise.study.study import Study

    study = demo.write(out)
    result = Study.from_file(study).run(out / "run", workers=workers, progress=progress(quiet), log=log(quiet))
    show(result.directory)
    from sharewise.bundle import Bundle
    from sharewise.tables.read import read

    first = read(out / "digits.parquet").slice(0, 1)
    answers = Bundle.load(result.bundle).predict(first.arrow)
    print()
    print("The bundle's answers for the first picture:")
    for name in answers.column_names[:SHOWN]:
        value = answers.column(name)[0].as_py()
        print(f"  {name}: {value:.3g}" if isinstance(value, float) else f"  {name}: {value}")
    if len(answers.column_names) > SHOWN:
        print(f"  and {len(answers.column_names) - SHOWN} more columns")
    print(f"Report: {result.report}")
    print(f"Again:  sharewise run {study} --out {result.directory}")
