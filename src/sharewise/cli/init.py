"""`sharewise init`: read a table, write a commented study.yaml."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("init", short_help="Read a table and write a commented study.yaml.")
@click.argument("table")
@click.option("--task", "-t", "tasks", multiple=True, metavar="NAME", help="Column to predict; repeat for each task.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("study.yaml"),
    show_default=True,
    help="Where to write; - for stdout.",
)
@click.option("--force", "-f", is_flag=True, help="Overwrite the output.")
def command(table: str, tasks: tuple[str, ...], output: Path, force: bool) -> None:
    """Read TABLE (CSV, Parquet, JSON Lines or Arrow; a file, a folder or a glob) and write a commented study.yaml.

    Kinds of inputs are inferred. Columns that should not be inputs (ids, constants, near-copies of a task's column) are
    commented out with the reason. Tasks are those that --task names, or that the table's own metadata describes.
    """
    from sharewise.errors import ConfigError, Problem
    from sharewise.records import write_atomic
    from sharewise.study.template import template
    from sharewise.tables.read import read

    to_stdout = str(output) == "-"
    if not to_stdout and output.exists() and not force:
        raise ConfigError(
            Problem(
                "A file is not overwritten unasked", f"'{output}' exists", "Choose another --output, or add --force"
            )
        )
    if not to_stdout and not output.parent.is_dir():
        raise ConfigError(
            Problem("The output's folder must exist", f"there is no folder '{output.parent}'", "Create it")
        )
    made = template(read(table), tasks, Path() if to_stdout else output.parent)
    if to_stdout:
        sys.stdout.write(made.text)
    else:
        write_atomic(output, made.text)
    where = "" if to_stdout else f"{output}: "
    print(f"{where}{made.summary}", file=sys.stderr)
