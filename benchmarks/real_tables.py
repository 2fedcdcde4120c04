"""The real tables named by SHAREWISE_DATA, read, resolved and split as a study would."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from sharewise.errors import DataError
from sharewise.tables.columns import distinct
from sharewise.tables.described import declaration
from sharewise.tables.read import Table, read
from sharewise.tables.resolve import resolve
from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tables.split import Split, SplitSpec, split
from sharewise.tasks import Task, TaskKind, TaskSet


@dataclass(frozen=True)
class RealTable:
    """A table, what its columns mean and its split."""

    name: str
    table: Table
    schema: Schema
    split: Split


def folder() -> Path:
    """The folder of the tables, or exit with a sentence."""
    path = os.environ.get("SHAREWISE_DATA")
    if path is None:
        sys.exit("The real tables must be named; however, SHAREWISE_DATA is not set. Set it to their folder.")
    return Path(path)


def names() -> list[str]:
    """Names of all tables."""
    return sorted(p.stem for p in folder().glob("*.parquet"))


def load(name: str) -> RealTable:
    """One table with its schema and split, as its own metadata declares them."""
    table = read(folder() / f"{name}.parquet")
    try:
        schema = resolve(table, declaration(table.described, table.names)).schema
    except DataError:
        schema = as_described(table)  # a study has no encoder for some inputs that the audit reads: texts, pictures
    return RealTable(name, table, schema, split(table, schema, SplitSpec(), 0))


def as_described(table: Table) -> Schema:
    """The schema that a table's metadata describes, word by word."""
    said = declaration(table.described, table.names)
    tasks = []
    for task in said.tasks:
        kind = task.kind or TaskKind.MULTICLASS
        values = [] if kind in (TaskKind.REGRESSION, TaskKind.TOKEN_TAGGING) else distinct(table.column(task.name))
        classes = task.classes or tuple(sorted(values, key=str))
        tasks.append(Task(task.name, kind, (task.name,), task.metric or "auto", classes=classes))
    inputs = tuple(Input(i.name, i.kind or InputKind.NUMERIC) for i in said.inputs or ())
    return Schema(inputs, TaskSet(tuple(tasks)), said.row_id, said.split, said.time, said.group)
