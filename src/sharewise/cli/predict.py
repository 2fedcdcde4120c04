"""`sharewise predict`: a bundle answers for the rows of a table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

LINE_EVERY = 5.0
"""Seconds between lines of progress off a terminal."""


@click.command("predict", short_help="Answer every task for the rows of a table.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("table")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write; its suffix says the format (.parquet, .csv, .jsonl, .arrow).",
)
@click.option(
    "--tasks", "-t", multiple=True, metavar="NAME", help="Tasks to answer, repeated or with commas [default: all]."
)
@click.option("--force", "-f", is_flag=True, help="Overwrite the output.")
@click.option("--quiet", "-q", is_flag=True, help="Nothing on stderr but errors.")
def command(bundle: Path, table: str, output: Path, tasks: tuple[str, ...], force: bool, quiet: bool) -> None:
    """Answer the tasks of BUNDLE for every row of TABLE (CSV, Parquet, JSON Lines, Arrow; a file, a folder or a glob).

    Writes, in the order of TABLE, one column per task in original labels and units and TASK__proba_CLASS beside it;
    before them the study's id column, where it has one and TABLE has it too. A task whose name is a column of TABLE
    already is written as TASK__prediction. Columns that the bundle does not read are ignored.
    """
    from sharewise.bundle import Bundle
    from sharewise.bundle.stream import predict_file
    from sharewise.errors import ConfigError, Problem

    if output.is_file():
        fact, remedy = f"'{output}' exists", "Choose another --output, or add --force"
        if Path(table).is_file() and output.samefile(table):
            raise ConfigError(
                Problem("The output must not be the table itself", f"both are '{table}'", "Choose another")
            )
        if not force:
            raise ConfigError(Problem("A file is not overwritten unasked", fact, remedy))
    loaded = Bundle.load(bundle)
    names = _names(tasks, set(loaded.questions))
    started = time.monotonic()
    with _progress(quiet) as advance:
        said: list[str] = []
        n_rows = predict_file(loaded, table, output, names or None, advance, said.append)
    if not quiet:
        for line in said:
            print(line, file=sys.stderr)
        n_tasks = len(names) or len(loaded.questions)
        counted = f"{n_rows:,} row{'s' * (n_rows != 1)}, {n_tasks} task{'s' * (n_tasks != 1)}"
        print(f"{output}: {counted}, {time.monotonic() - started:.1f} s", file=sys.stderr)


def _names(given: tuple[str, ...], known: set[str]) -> list[str]:
    """Names with commas taken apart, unless a task has that very name."""
    return [part for name in given for part in ([name] if name in known else name.split(","))]


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int], None]]:
    """Rows so far: a live line on a terminal, now and then a line elsewhere."""
    if quiet:
        yield lambda n: None
        return
    done = 0
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.completed:,} rows"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task("predict", total=None)
            yield lambda n: bars.advance(bar, n)
        return
    last = time.monotonic()

    def advance(n: int) -> None:
        nonlocal done, last
        done += n
        if time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            print(f"predict: {done:,} rows", file=sys.stderr, flush=True)

    yield advance
