"""Rows -> train, validation and test: by a given column, at random with labels balanced, by group, or by time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from sharewise import seeds
from sharewise.errors import DataError, Problem
from sharewise.tables import columns as col
from sharewise.tables import targets
from sharewise.tables.assign import Rows, by_group, by_time, stratify
from sharewise.tables.read import Table
from sharewise.tables.schema import Schema
from sharewise.tasks import Task, TaskKind

PARTS = ("train", "validation", "test")
WORDS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
         "dev": "validation", "test": "test", "testing": "test"}  # fmt: skip
"""What a split column may hold, in any case."""

N_BINS = 4
"""Quantile bins that stand for the labels of a regression target."""


@dataclass(frozen=True)
class SplitSpec:
    """How to split. `by` is "column", "random", "group", "time" or "auto" (the schema's split column, else its time,
    else its entity, else random); `validation` and `test` are shares of the rows."""

    by: str = "auto"
    validation: float = 0.15
    test: float = 0.2


@dataclass(frozen=True)
class Split:
    """Row positions of the three parts, ascending, and what was done in sentences."""

    train: Rows
    validation: Rows
    test: Rows
    notes: tuple[str, ...] = ()


def split(table: Table, schema: Schema, spec: SplitSpec, seed: int) -> Split:
    """Assign every row to a part; the same table, schema, spec and seed give the same split.

    Raises DataError where the split column, the time or the group has nulls or holds other words, or a part of
    the table stays empty.
    """
    by = spec.by
    if by == "auto":
        by = "column" if schema.split else "time" if schema.time else "group" if schema.entity else "random"
    rng = np.random.default_rng(seeds.derive(seed, "split"))
    rows = np.arange(table.n_rows)
    if by == "column":
        part, notes = _given(table, schema, spec, rng)
    else:
        part = _carve(
            table, schema, by, rows, np.array([1 - spec.validation - spec.test, spec.validation, spec.test]), rng
        )
        notes = [
            f"Split {_how(schema, by)}: {1 - spec.validation - spec.test:.0%} train, "
            f"{spec.validation:.0%} validation, {spec.test:.0%} test."
        ]
    made = [np.flatnonzero(part == i) for i in range(3)]
    empty = [PARTS[i] for i in range(3) if len(made[i]) == 0]
    if empty:
        raise DataError(
            Problem(
                "Train, validation and test must each have rows",
                f"{' and '.join(empty)} would have none of the {table.n_rows} rows",
                "Use a larger table or other shares",
            )
        )
    return Split(made[0], made[1], made[2], tuple(notes))


def _how(schema: Schema, by: str) -> str:
    match by:
        case "time":
            return f"by time ('{schema.time}'), the latest rows being the test"
        case "group":
            return f"by '{schema.entity or schema.group}', none of whose values is in two parts"
        case _:
            return "at random, the labels of every task balanced"


# --- a given column -----------------------------------------------------------------------------------------


def _given(
    table: Table, schema: Schema, spec: SplitSpec, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int8], list[str]]:
    """The parts that a column names; a part that it lacks is carved from train."""
    if schema.split is None:
        raise DataError(Problem("A split by column needs the column", "none is named", "Write split: {column: NAME}"))
    column = table.column(schema.split)
    values = pc.utf8_lower(pc.utf8_trim_whitespace(col.text(column)))
    words = list(WORDS)
    found = col.codes(values, words, numeric=False)
    if (found < 0).any():
        row = int((found < 0).argmax())
        value = column[row].as_py()
        raise DataError(
            Problem(
                "A split column holds train, validation and test",
                "the cell is empty" if value is None else f"the value is '{value}'",
                "Correct the column, or use another split",
                table.name,
                column=schema.split,
                row=row + 1,
            )
        )
    part = np.array([PARTS.index(WORDS[w]) for w in words], dtype=np.int8)[found]
    missing = [i for i in (1, 2) if not (part == i).any()]
    notes = [f"Split by the column '{schema.split}'."]
    if not missing or not (part == 0).any():
        return part, notes
    by = _carving(table, schema, part)
    train = np.flatnonzero(part == 0)
    shares = np.zeros(3)
    for i in missing:
        shares[i] = (spec.validation, spec.test)[i - 1]
    shares[0] = 1 - shares.sum()
    part[train] = _carve(table, schema, by, train, shares, rng)
    names = " and ".join(PARTS[i] for i in missing)
    notes.append(
        f"Column '{schema.split}' has no {names} rows, so {names} rows were taken from train, {_how(schema, by)}."
    )
    return part, notes


def _carving(table: Table, schema: Schema, part: npt.NDArray[np.int8]) -> str:
    """The way of carving that matches a given column: by time where its test rows are all later than its train rows."""
    if schema.time is not None and (part == 2).any():
        when = _moments(table, schema.time)
        if when[part == 0].max() <= when[part == 2].min():
            return "time"
    return "group" if schema.entity is not None else "random"


# --- carving ------------------------------------------------------------------------------------------------


def _carve(
    table: Table, schema: Schema, by: str, rows: Rows, shares: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.int8]:
    """Part (0, 1, 2) of each of `rows`."""
    match by:
        case "time":
            if schema.time is None:
                raise DataError(
                    Problem("A split by time needs a time column", "none is named", "Write data: {time: COLUMN}")
                )
            return by_time(_moments(table, schema.time)[rows], shares)
        case "group":
            name = schema.entity or schema.group
            if name is None:
                raise DataError(
                    Problem(
                        "A split by group needs an entity or group column",
                        "none is named",
                        "Write data: {entity: COLUMN}",
                    )
                )
            return by_group(_entities(table, name)[rows], _labels(table, schema, rows), shares, rng)
        case _:
            return stratify(_labels(table, schema, rows), len(rows), shares, rng)


def _moments(table: Table, name: str) -> col.Floats:
    column = table.column(name)
    when = col.dates(column, name) if col.is_text(column.type) else col.floats(column, name)
    _refuse_missing(table, np.isnan(when), name, "time")
    return when


def _entities(table: Table, name: str) -> Rows:
    column = col.text(table.column(name))
    _refuse_missing(table, column.is_null().combine_chunks().to_numpy(zero_copy_only=False), name, "group")
    return column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]


def _refuse_missing(table: Table, missing: npt.NDArray[np.bool_], name: str, role: str) -> None:
    if missing.any():
        raise DataError(
            Problem(
                f"The {role} column must have a value in every row",
                f"{int(missing.sum())} of {table.n_rows} rows have none",
                "Fill or remove these rows, or split another way",
                table.name,
                column=name,
                row=int(missing.argmax()) + 1,
            )
        )


def _labels(table: Table, schema: Schema, rows: Rows) -> list[Rows]:
    """For every task and class (quantile bin, positive label) the positions within `rows` that carry it."""
    whole = len(rows) == table.n_rows
    found: list[Rows] = []
    for task in schema.tasks:
        if task.kind is TaskKind.RECONSTRUCTION:
            continue
        strata = _strata(table, task)
        if not whole:
            strata = strata[rows]
        for column in strata.T:
            order = np.argsort(column, kind="stable")
            bounds = np.searchsorted(column[order], np.arange(column.max(initial=-1) + 2))
            found += [order[a:b] for a, b in pairwise(bounds) if b > a]
    return found


def _strata(table: Table, task: Task) -> Rows:
    """(N, k) stratum of every row, -1 where the row has no label."""
    if task.kind is TaskKind.MULTILABEL and len(task.columns) > 1:
        strata = np.stack([_flags(table, c) for c in task.columns], axis=1)
    elif task.kind in (TaskKind.MULTILABEL, TaskKind.TOKEN_TAGGING):
        strata = np.where(
            table.column(task.columns[0]).is_valid().combine_chunks().to_numpy(zero_copy_only=False), 0, -1
        )[:, None]
    elif task.kind is TaskKind.REGRESSION:
        values = col.floats(table.column(task.columns[0]), task.columns[0])
        seen = values[np.isfinite(values)]
        edges = np.unique(np.quantile(seen, np.linspace(0, 1, N_BINS + 1)[1:-1])) if len(seen) else np.zeros(0)
        strata = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right"))[:, None]
    else:
        levels = [col.canonical(c) for c in task.classes]
        numeric = not all(isinstance(c, str) for c in task.classes)
        strata = col.codes(table.column(task.columns[0]), levels, numeric=numeric)[:, None]
    return np.where(targets.where(table, task)[:, None], strata, -1)


def _flags(table: Table, name: str) -> Rows:
    values = col.floats(table.column(name), name)
    return np.where(np.isnan(values), -1, values).astype(np.int64)
