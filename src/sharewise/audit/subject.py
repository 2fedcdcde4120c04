"""What is to be audited: the table of a study file, or a table that says itself what its columns are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sharewise.audit.result import Suppression
from sharewise.errors import DataError, Problem
from sharewise.tables.read import Table, read
from sharewise.tables.schema import Declaration, Schema
from sharewise.tables.split import Split, SplitSpec, split


@dataclass(frozen=True)
class Subject:
    """A table with all that an audit needs; `path` is where it was read from."""

    path: str
    table: Table
    schema: Schema
    split: Split
    suppress: tuple[Suppression, ...]
    plugins: tuple[str, ...]
    seed: int


def of_table(path: Path) -> Subject:
    """A table that holds its own description; raises DataError where it has none."""
    from sharewise.tables.described import declaration

    table = read(str(path))
    if not table.described:
        raise DataError(
            Problem(
                "An audit must know what the columns mean",
                f"'{path}' is a table without a description",
                "Write a study file with: sharewise init TABLE, and audit that",
            )
        )
    return subject(str(path), table, declaration(table.described, table.names), SplitSpec())


def subject(
    path: str,
    table: Table,
    declared: Declaration,
    how: SplitSpec,
    suppress: tuple[Suppression, ...] = (),
    plugins: tuple[str, ...] = (),
    seed: int = 0,
) -> Subject:
    """Resolve and split a table; raises DataError with every problem."""
    from sharewise.tables.lists import listed
    from sharewise.tables.resolve import resolve

    found = listed(table, declared)
    table = found.table
    schema = resolve(table, found.declaration).schema
    return Subject(path, table, schema, split(table, schema, how, seed), suppress, plugins, seed)
