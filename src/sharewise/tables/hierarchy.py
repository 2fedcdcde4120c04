"""Coarse and fine tasks: which class of a parent every class of its child belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sharewise.errors import DataError, Problem, nearest
from sharewise.tables import targets
from sharewise.tables.columns import canonical
from sharewise.tables.read import Table
from sharewise.tables.schema import Declaration, Schema, TaskDeclaration
from sharewise.tables.split import Split
from sharewise.tasks import Label, Task, TaskKind, TaskSet

PARENTS = (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL)
"""Kinds whose rows have one class, which is what a hierarchy divides."""


@dataclass(frozen=True)
class Placed:
    """A schema whose child tasks know their parents' classes, and in sentences how."""

    schema: Schema
    notes: tuple[str, ...]


def problems(tasks: Sequence[Task], declaration: Declaration) -> list[Problem]:
    """What is wrong with the declared parents: unknown ones, kinds without classes, circles, groups, auxiliaries."""
    by_name = {task.name: task for task in tasks}
    said = {d.name: d for d in declaration.tasks}
    # A task whose own declaration is faulty has not been made: its children wait until it is.
    found = []
    for task in tasks:
        if task.parent is None or (task.parent in said and task.parent not in by_name and said[task.parent].by is None):
            continue
        problem = _problem(task, by_name, said)
        if problem is not None:
            found.append(replace(problem, file=declaration.file, line=said[task.name].line))
    return found


def _problem(task: Task, by_name: Mapping[str, Task], said: Mapping[str, TaskDeclaration]) -> Problem | None:
    named = f"that of '{task.name}', '{task.parent}',"
    parent = by_name.get(task.parent or "")
    if parent is None:
        if task.parent in said:
            return Problem("A parent is one task", f"{named} is a grouped declaration", "Remove parent")
        return Problem("A parent is a task of the study", f"{named} is none", nearest(str(task.parent), by_name))
    if parent.kind not in PARENTS or task.kind not in PARENTS:
        odd = parent if parent.kind not in PARENTS else task
        fact = f"'{odd.name}' is {odd.kind.value}"
        return Problem("Tasks of a hierarchy have one class a row", fact, "Remove parent")
    if parent.auxiliary and not task.auxiliary:
        fact = f"{named} is auxiliary and not in the bundle"
        return Problem("A task that is answered has a parent that is answered", fact, "Remove auxiliary or parent")
    seen, here = {task.name}, parent
    while here.parent is not None and here.parent in by_name:
        if here.name in seen:
            return Problem("A hierarchy has a top", f"'{task.name}' is below itself", "Remove one parent")
        seen.add(here.name)
        here = by_name[here.parent]
    return None


def place(table: Table, schema: Schema, split: Split, declaration: Declaration) -> Placed:
    """Give every child task the class number of its parent that each of its classes belongs to.

    From the declaration, or from train rows that carry both labels. A task whose parent was set aside stands alone.
    Raises DataError where a class belongs to no class of the parent, to several, or where knowing the parent's class
    is knowing the child's.
    """
    said = {d.name: d for d in declaration.tasks}
    tasks, notes, wrong = [], [], []
    for task in schema.tasks:
        if task.parent is None:
            tasks.append(task)
        elif task.parent not in schema.tasks:
            tasks.append(replace(task, parent=None))
            notes.append(f"Task '{task.name}' stands alone, since its parent '{task.parent}' is set aside.")
        else:
            parent = schema.tasks[task.parent]
            given = said[task.name].parent_classes
            try:
                under = _learnt(table, task, parent, split.train) if given is None else _given(task, parent, given)
                tasks.append(replace(task, under=_sound(task, parent, under)))
                notes.append(_note(task, parent, under))
            except DataError as error:
                wrong += [replace(p, file=declaration.file, line=said[task.name].line) for p in error.problems]
    if wrong:
        raise DataError(wrong)
    return Placed(replace(schema, tasks=TaskSet(tuple(tasks))), tuple(notes))


def among(q: np.ndarray, under: Sequence[int] | np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """P(f | c): of each row's probabilities q (N, C) those of the classes below its coarse class (N,), made to sum to
    one and even where all are 0; 0 for the others, and throughout where nothing lies below."""
    below = np.asarray(under)[None, :] == np.asarray(coarse)[:, None]
    kept = np.where(below, q, 0.0)
    total = kept.sum(axis=1, keepdims=True)
    even = below / np.maximum(below.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.divide(kept, total, out=even, where=total > 0))


def _given(task: Task, parent: Task, said: Mapping[Any, Label]) -> tuple[int, ...]:
    mine = {canonical(label): i for i, label in enumerate(task.classes)}
    above = {canonical(label): i for i, label in enumerate(parent.classes)}
    stated = {canonical(k): canonical(v) for k, v in said.items()}
    rule = f"Classes under the parent of '{task.name}' are classes of the two tasks"
    found = [Problem(rule, f"'{k}' is no class of '{task.name}'", nearest(k, mine)) for k in stated if k not in mine]
    found += [
        Problem(rule, f"'{v}' is no class of '{parent.name}'", nearest(v, above))
        for v in dict.fromkeys(stated.values())
        if v not in above
    ]
    found += [Problem(f"Every class of '{task.name}' has a parent", f"'{k}' has none") for k in mine if k not in stated]
    if found:
        raise DataError(found)
    return tuple(above[stated[label]] for label in mine)


def _learnt(table: Table, task: Task, parent: Task, train: np.ndarray) -> tuple[int, ...]:
    (child, has_child), (coarse, has_coarse) = targets.raw(table, task), targets.raw(table, parent)
    rows = train[has_child[train, 0] & has_coarse[train, 0]]
    pairs = np.zeros((len(task.classes), len(parent.classes)), dtype=np.int64)
    np.add.at(pairs, (child[rows, 0].astype(int), coarse[rows, 0].astype(int)), 1)
    found = []
    for c, counts in enumerate(pairs):
        label = task.classes[c]
        seen = np.flatnonzero(counts)
        if len(seen) == 0:
            fact = f"'{label}' has no train row with a label of '{parent.name}'"
            remedy = "Write parent: {task: ..., classes: {...}}"
            found.append(Problem(f"Every class of '{task.name}' belongs to a class of its parent", fact, remedy))
        elif len(seen) > 1:
            said = " and ".join(f"'{parent.classes[p]}' in {counts[p]:,}" for p in seen[:3])
            fact = f"'{label}' stands beside {said} train rows"
            remedy = "Mend these rows, declare the classes under parent, or remove parent"
            found.append(Problem(f"Every class of '{task.name}' belongs to one class of its parent", fact, remedy))
    if found:
        raise DataError(found)
    return tuple(int(p) for p in pairs.argmax(axis=1))


def _sound(task: Task, parent: Task, under: tuple[int, ...]) -> tuple[int, ...]:
    """The mapping itself; raises DataError where it leaves nothing to predict, or asks for what no head does."""
    if len(set(under)) == len(under):
        fact = f"every class of '{parent.name}' has at most one of '{task.name}'"
        raise DataError(Problem("A finer task divides a class of its parent", fact, "Remove parent"))
    if task.kind is TaskKind.ORDINAL and len(set(under)) > 1:
        fact = f"the grades of '{task.name}' lie under {len(set(under))} classes of '{parent.name}'"
        raise DataError(Problem("Ordered classes divide one class of their parent", fact, "Declare it multiclass"))
    return under


def _note(task: Task, parent: Task, under: tuple[int, ...]) -> str:
    """What divides what, in a sentence."""
    groups: dict[int, list[str]] = {}
    for c, p in enumerate(under):
        groups.setdefault(p, []).append(str(task.classes[c]))
    named = "; ".join(f"'{parent.classes[p]}' into {', '.join(labels[:6])}" for p, labels in list(groups.items())[:6])
    without = [str(label) for p, label in enumerate(parent.classes) if p not in groups]
    rest = f"; {', '.join(without)} has none" if len(without) == 1 else f"; {', '.join(without)} have none"
    said = f"Task '{task.name}' divides '{parent.name}': {named}{rest if without else ''}."
    if len(groups) == 1:
        return said
    return f"{said} It is judged among the classes below the row's own class of '{parent.name}'."
