"""The whole-table check: everything about a table and its schema that can be found wrong before training.

`check` answers with problems (what stops the study), notes (what a person should know) and tasks to set aside
(what cannot be learned or judged, while the others can).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.errors import Problem
from sharewise.tables import columns as col
from sharewise.tables import suspicion, targets
from sharewise.tables.read import Table
from sharewise.tables.schema import InputKind, Schema
from sharewise.tables.split import PARTS, Split
from sharewise.tasks import Task, TaskKind

MIN_LABELS = {"train": 10, "validation": 3, "test": 3}
"""Labelled rows that a task needs in every part: fewer in train is nothing to learn from, fewer in the others is
nothing to judge by."""

ROLES = {"row_id": "row id", "time": "time", "group": "group", "entity": "entity"}


@dataclass(frozen=True)
class Checked:
    """What a check found. `set_aside` maps a task to the reason, as a phrase."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    set_aside: Mapping[str, str]


@dataclass
class _Findings:
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    set_aside: dict[str, str] = field(default_factory=dict)


def check(table: Table, schema: Schema, split: Split | None = None) -> Checked:
    """Check roles, inputs and targets; with a split also that every task has labels in every part.

    A study of which no task remains is a problem that names every reason. Cost: one pass over the columns used.
    """
    found = _Findings()
    found.problems += role_problems(table, {role: c for role in ROLES if (c := getattr(schema, role)) is not None})
    _inputs(table, schema, found)
    _unusable_targets(table, schema, found)
    if not found.problems:
        _labels(table, schema, split, found)
    if len(schema.tasks) and len(found.set_aside) == len(schema.tasks):
        found.problems += [
            Problem(
                "A study needs a task that can be learned and judged",
                f"task '{task}' {reason}",
                "Label more rows, or predict something else",
            )
            for task, reason in list(found.set_aside.items())[:10]
        ]
    return Checked(tuple(found.problems), tuple(found.notes), found.set_aside)


def role_problems(table: Table, roles: Mapping[str, str]) -> list[Problem]:
    """Row ids that are missing or occur twice; time, group and entity columns with missing values."""
    found: list[Problem] = []
    for role, name in roles.items():
        if name not in table.names:
            continue
        column = table.column(name)
        if column.null_count:
            row = pc.index(column.is_valid(), False).as_py() + 1
            found.append(
                Problem(
                    f"The {ROLES[role]} column must have a value in every row",
                    f"{column.null_count} of {table.n_rows} rows have none",
                    "Fill or remove these rows, or name another column",
                    table.name,
                    column=name,
                    row=row,
                )
            )
        elif role == "row_id" and (twice := _first_twice(column)) is not None:
            first, second, value, n = twice
            found.append(
                Problem(
                    "Row ids must be unique",
                    f"'{value}' is also the id of row {first} ({n} rows repeat an earlier id)",
                    "Remove the duplicates, or name another id column",
                    table.name,
                    column=name,
                    row=second,
                )
            )
    return found


def _first_twice(column: pa.ChunkedArray) -> tuple[int, int, object, int] | None:
    """Rows (from 1) of the first value that occurs twice, the value, and how many rows repeat an earlier one."""
    codes = column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    n_distinct = int(codes.max()) + 1
    if n_distinct == len(codes):
        return None
    # Codes are given in order of first occurrence: a row repeats where its code is no new maximum.
    repeats = np.flatnonzero(codes <= np.concatenate([[-1], np.maximum.accumulate(codes)[:-1]]))
    second = int(repeats[0])
    first = int((codes == codes[second]).argmax())
    return first + 1, second + 1, column[second].as_py(), len(repeats)


# --- inputs -------------------------------------------------------------------------------------------------


def _inputs(table: Table, schema: Schema, found: _Findings) -> None:
    rebuilt = {c for t in schema.tasks if t.kind is TaskKind.RECONSTRUCTION for c in t.columns}
    goals = dict.fromkeys(c for t in schema.tasks for c in t.columns if c not in rebuilt)
    for copy in suspicion.copies(table, [i.name for i in schema.inputs], list(goals)):
        if copy.likeness == 1.0:
            found.problems.append(
                Problem(
                    "An input may not be a copy of a target",
                    f"it tells the target '{copy.target}' in every row",
                    "Remove it from inputs, or predict something else",
                    table.name,
                    column=copy.column,
                )
            )
        else:
            found.notes.append(
                f"Input '{copy.column}' is nearly a copy of the target '{copy.target}' ({copy.likeness:.4f}): "
                "make sure that it is known before the target is."
            )
    for said in schema.inputs:
        if said.kind is InputKind.NUMERIC:
            _extremes(table, said.name, found)


def _extremes(table: Table, name: str, found: _Findings) -> None:
    """Infinite and absurd inputs are clipped by the codec: a note says how many."""
    column = table.column(name)
    if not pa.types.is_floating(column.type) and not col.is_text(column.type):
        return
    values = col.floats(column, name)
    with np.errstate(invalid="ignore"):
        n = int((np.abs(values) > targets.LARGEST).sum())
    if n:
        found.notes.append(
            f"Input '{name}' has {n} infinite or absurdly large values (beyond {targets.LARGEST:g}); they are clipped."
        )


# --- targets ------------------------------------------------------------------------------------------------


def _unusable_targets(table: Table, schema: Schema, found: _Findings) -> None:
    """Numbers that no loss can be computed from."""
    for name in dict.fromkeys(t.columns[0] for t in schema.tasks if t.kind is TaskKind.REGRESSION):
        values = col.floats(table.column(name), name)
        with np.errstate(invalid="ignore"):
            bad = np.abs(values) > targets.LARGEST
        if bad.any():
            row = int(bad.argmax())
            found.problems.append(
                Problem(
                    f"A regression target must be finite and within ±{targets.LARGEST:g}",
                    f"the value is {values[row]:g}"
                    + (f" ({int(bad.sum())} such rows in all)" if bad.sum() > 1 else ""),
                    "Correct the value, or leave it empty",
                    table.name,
                    column=name,
                    row=row + 1,
                )
            )


def _labels(table: Table, schema: Schema, split: Split | None, found: _Findings) -> None:
    """Labels per task and part, and which tasks they are too few for."""
    n_labels = np.zeros(table.n_rows, dtype=np.int32)
    every = {} if split is None else dict(zip(PARTS, (split.train, split.validation, split.test), strict=True))
    for task in schema.tasks:
        # An auxiliary task is only trained: it needs no labels to be judged by.
        parts = {"train": every["train"]} if every and task.auxiliary else every
        values, present = targets.raw(table, task)
        labelled: npt.NDArray[np.bool_] = np.any(present, axis=1)
        reason = _degenerate(task, values, present)
        if reason is None and parts:
            reasons = (_degenerate(task, values[rows], present[rows], part) for part, rows in parts.items())
            reason = _too_few(labelled, parts) or next((r for r in reasons if r is not None), None)
        if reason is not None:
            found.set_aside[task.name] = reason
            continue
        if task.kind is not TaskKind.RECONSTRUCTION:
            n_labels += labelled
        if parts and not task.auxiliary:
            found.notes += _unlearned(task, values, present, parts)
    n_used = int((n_labels > 0).sum())
    n_real = sum(1 for t in schema.tasks if t.kind is not TaskKind.RECONSTRUCTION and t.name not in found.set_aside)
    grouped = any(t.where is not None for t in schema.tasks)
    if n_real:
        named = "both tasks" if n_real == 2 else f"all {n_real} tasks"
        full = f"; {int((n_labels == n_real).sum()):,} have labels for {named}"
        full = "" if grouped or n_real == 1 else full
        found.notes.insert(
            0, f"{n_used:,} of {table.n_rows:,} rows have at least one label, and every one of them is used{full}."
        )


def _degenerate(task: Task, values: col.Floats, present: npt.NDArray[np.bool_], part: str = "") -> str | None:
    """Why the labels (of a part) teach nothing, as a phrase."""
    n = int(present.any(axis=1).sum())
    if n == 0:
        return f"has no {part} labels" if part else "has no labels at all"
    rows = f"in its {n:,} labelled {part} rows" if part else f"in its {n:,} labelled rows"
    if task.kind in (TaskKind.MULTILABEL, TaskKind.RECONSTRUCTION):
        varied = any(np.ptp(values[present[:, k], k]) > 0 for k in range(values.shape[1]) if present[:, k].any())
        return None if varied else f"has the same labels everywhere {rows}"
    seen = np.unique(values[present] if task.kind is TaskKind.TOKEN_TAGGING else values[present[:, 0], 0])
    if len(seen) > 1:
        return None
    if task.kind is TaskKind.REGRESSION:
        return f"has one value only, {seen[0]:g}, {rows}"
    return f"has one class only, '{task.classes[int(seen[0])]}', {rows}"


def _too_few(labelled: npt.NDArray[np.bool_], parts: Mapping[str, npt.NDArray[np.int64]]) -> str | None:
    counts = {name: int(labelled[rows].sum()) for name, rows in parts.items()}
    poor = [
        f"{counts[name] or 'none'} in {name} (at least {least} needed)"
        for name, least in MIN_LABELS.items()
        if name in counts and counts[name] < least
    ]
    if not poor:
        return None
    return f"has {int(labelled.sum())} labelled rows, of them {' and '.join(poor)}"


def _unlearned(
    task: Task,
    values: col.Floats,
    present: npt.NDArray[np.bool_],
    parts: Mapping[str, npt.NDArray[np.int64]],
) -> list[str]:
    """Classes that are judged but never learned."""
    if task.kind not in (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL):
        return []
    held = {name: set(np.unique(values[rows][present[rows, 0], 0]).astype(int)) for name, rows in parts.items()}
    unseen = sorted((held["validation"] | held["test"]) - held["train"])
    if not unseen:
        return []
    named = ", ".join(f"'{task.classes[i]}'" for i in unseen[:5]) + (" and others" if len(unseen) > 5 else "")
    return [f"Task '{task.name}' has no train row of {named}, which validation or test rows carry."]
