"""From a table and what is said about it to a schema and a split to rely on, or every problem at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sharewise.errors import DataError, Problem
from sharewise.tables import hierarchy
from sharewise.tables.check import check, role_problems
from sharewise.tables.lists import listed
from sharewise.tables.read import Table
from sharewise.tables.resolve import resolve
from sharewise.tables.schema import Declaration, Schema
from sharewise.tables.split import Split, SplitSpec, split


@dataclass(frozen=True)
class Prepared:
    """A checked table, lists in its text taken apart; its schema without the tasks that were set aside, its split, what
    a person should know, and the tasks that were set aside with the reason, as a phrase ("has no labels at all")."""

    table: Table
    schema: Schema
    split: Split
    notes: tuple[str, ...]
    set_aside: Mapping[str, str]


def prepare(table: Table, declaration: Declaration, spec: SplitSpec, seed: int) -> Prepared:
    """Resolve, check, split and check the split; raises DataError with every problem found on the way."""
    roles = {
        "row_id": declaration.row_id,
        "time": declaration.time,
        "group": declaration.group,
        "entity": declaration.entity,
    }
    problems = role_problems(table, {role: column for role, column in roles.items() if column is not None})
    try:
        found = listed(table, declaration)
        table, declaration = found.table, found.declaration
        resolution = resolve(table, declaration)
    except DataError as error:
        raise DataError([*problems, *error.problems]) from None
    schema = resolution.schema
    try:
        made = split(table, schema, spec, seed)
    except DataError as error:
        raise DataError(_once([*check(table, schema).problems, *error.problems])) from None
    checked = check(table, schema, made)
    if checked.problems:
        raise DataError(checked.problems)
    placed = hierarchy.place(table, schema.without(checked.set_aside), made, declaration)
    notes = (*found.notes, *resolution.notes, *made.notes, *checked.notes, *placed.notes)
    return Prepared(table, placed.schema, made, notes, checked.set_aside)


def _once(problems: list[Problem]) -> list[Problem]:
    """A role's missing values are found by the check and by the split: the first finding of a column stands."""
    seen: set[tuple[str | None, int | None]] = set()
    kept = []
    for problem in problems:
        place = (problem.column, problem.row)
        if problem.column is not None and place in seen:
            continue
        seen.add(place)
        kept.append(problem)
    return kept
