"""Which tasks can share a model at all: those that read some input in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharewise.errors import ConfigError, Problem
from sharewise.tables.read import Table
from sharewise.tables.schema import Input
from sharewise.tasks import Task

READ = 0.05
"""An input counts as a task's own where at least this share of the task's labelled rows has a value."""

Reads = Mapping[str, frozenset[str]]
"""The inputs that each task reads."""


def reads(table: Table, inputs: Sequence[Input], tasks: Sequence[Task], labelled: Mapping[str, NDArray[Any]]) -> Reads:
    """The inputs that every task reads: those it declares, all where it declares none, that are filled on its rows.

    `labelled` are a row mask (N,) for every task.
    """
    filled = {}
    for item in inputs:
        column = table.column(item.name)
        missing = pc.is_null(column, nan_is_null=True) if column.null_count or _floats(column) else None
        filled[item.name] = None if missing is None else ~missing.to_numpy()
    made = {}
    for task in tasks:
        rows = labelled[task.name]
        own = [i for i in inputs if not task.inputs or {i.name, i.pair} & set(task.inputs)]
        made[task.name] = frozenset(
            i.name for i in own if (there := filled[i.name]) is None or not rows.any() or there[rows].mean() >= READ
        )
    return made


def _floats(column: Any) -> bool:
    return str(column.type) in ("float", "double", "halffloat")


def strangers(known: Reads) -> tuple[tuple[str, str], ...]:
    """Pairs of tasks with no input in common."""
    return tuple((a, b) for a, b in combinations(known, 2) if not known[a] & known[b])


def families(known: Reads) -> tuple[tuple[str, ...], ...]:
    """Tasks in sets that inputs tie together, by way of other tasks too, in the order of their first task."""
    sets: list[tuple[set[str], set[str]]] = []
    for task, inputs in known.items():
        touching = [s for s in sets if s[1] & inputs]
        rest = [s for s in sets if not s[1] & inputs]
        tasks = {task}.union(*(s[0] for s in touching))
        sets = [*rest, (tasks, set(inputs).union(*(s[1] for s in touching)))]
    order = list(known)
    groups = [tuple(sorted(tasks, key=order.index)) for tasks, _ in sets]
    return tuple(sorted(groups, key=lambda group: order.index(group[0])))


def together(
    known: Reads, kept: Sequence[Sequence[str]] = (), tied: Sequence[Sequence[str]] = ()
) -> tuple[tuple[str, ...], ...] | None:
    """Groups of the candidate that shares as much as can be; None where one model can hold all tasks.

    No group holds two tasks of a set that is `kept` apart; a task goes to the first group that may have it, and takes
    those along that are `tied` to it. Raises ConfigError where that leaves nothing to share.
    """
    groups = families(known)
    free = tuple(g for family in groups for g in _cut(family, known, kept, tied)) if kept else groups
    made = tuple(g for g in free if len(g) > 1)
    if not made and len(groups) < len(known):
        rule, fact = (
            "A study of sharing needs two tasks that may share a model",
            "'apart' keeps every two of them apart",
        )
        raise ConfigError(Problem(rule, fact, "leave two of them out of it"))
    return None if len(free) <= 1 else made


def _cut(
    family: tuple[str, ...], known: Reads, kept: Sequence[Sequence[str]], tied: Sequence[Sequence[str]]
) -> list[tuple[str, ...]]:
    """Tasks that inputs tie together, in groups without two tasks of a set that is kept apart."""
    rivals = {pair for group in kept for pair in permutations(group, 2)}
    if not rivals & {*permutations(family, 2)}:
        return [family]
    sets = [*tied, *((task,) for task in family)]
    groups: list[list[str]] = []
    for block in families({task: frozenset(str(i) for i, s in enumerate(sets) if task in s) for task in family}):
        pairs = ([(a, b) for a in group for b in block] for group in groups)
        fits = [any(known[a] & known[b] for a, b in p) and not rivals & {*p} for p in pairs]
        if True in fits:
            groups[fits.index(True)] += block
        else:
            groups.append([*block])
    return [tuple(task for task in family if task in group) for group in groups]


def learnt_first(
    known: Reads, kept: Sequence[Sequence[str]] = (), tied: Sequence[Sequence[str]] = ()
) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """(tasks that one network learns first, tasks that go on from it) for shared pretraining, every task at most once
    among the latter.

    The groups are those of `together`, so that a group was tuned as it is pretrained. A task that they leave alone goes
    on from a network of its own and of whatever may share one with it and with one another.
    """
    made = [(g, g) for family in families(known) for g in _cut(family, known, kept, tied) if len(g) > 1]
    placed = {task for group, _ in made for task in group}
    for task in known:
        first = [task]
        for other in () if task in placed else known:
            if other != task and known[task] & known[other] and not any(kept_apart(other, t, kept) for t in first):
                first.append(other)
        if len(first) > 1:
            made.append((tuple(name for name in known if name in first), (task,)))
    return tuple(made)


def kept_apart(a: str, b: str, kept: Sequence[Sequence[str]]) -> bool:
    """Whether some set that is `kept` apart names both of two tasks."""
    return a != b and any(a in group and b in group for group in kept)


def parted(group: Sequence[str], kept: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """A group in parts without two tasks that are `kept` apart; a task goes to the first part that may have it."""
    parts: list[list[str]] = []
    for task in group:
        free = (part for part in parts if not any(kept_apart(task, other, kept) for other in part))
        home = next(free, None)
        if home is None:
            parts.append([task])
        else:
            home.append(task)
    return [tuple(part) for part in parts]


def said(known: Reads) -> str:
    """One sentence on tasks that cannot share; empty where all can."""
    pairs = strangers(known)
    if not pairs:
        return ""
    groups, (a, b) = families(known), pairs[0]
    more = f", nor do {len(pairs) - 1} more of {len(known) * (len(known) - 1) // 2} pairs" if len(pairs) > 1 else ""
    start = f"'{a}' and '{b}' read no input in common{more}: what one learns is of no use to the other"
    if all(len(g) == 1 for g in groups):
        return f"{start}. No two tasks can share a model, so each is trained alone."
    if len(groups) == 1:
        return f"{start}. The search keeps such tasks apart."
    return f"{start}. {meant(groups, list(known))}, and the search keeps such tasks apart."


def meant(groups: Sequence[Sequence[str]], names: Sequence[str]) -> str:
    """What 'together' stands for where one model cannot hold all tasks."""
    parts = " and ".join(f"{{{', '.join(g)}}}" for g in groups if len(g) > 1)
    placed = {task for g in groups if len(g) > 1 for task in g}
    alone = [name for name in names if name not in placed]
    rest = f"; {', '.join(alone)} {'stay' if len(alone) > 1 else 'stays'} alone" if alone else ""
    return f"'together' means {parts}{rest}"


def check(
    known: Reads, asked: Sequence[tuple[str, Sequence[Sequence[str]]]], kept: Sequence[Sequence[str]] = ()
) -> None:
    """Raise ConfigError for groups, of (where they are asked for, groups), that inputs do not tie together or that hold
    two tasks of a set that is `kept` apart."""
    problems = []
    for where, groups in asked:
        for a, b in dict.fromkeys(pair for group in kept for pair in combinations(group, 2)):
            if any(a in group and b in group for group in groups):
                fact, remedy = f"'{a}' and '{b}' share one in {where}", "put them into different groups, or free them"
                problems.append(Problem("No model may hold tasks that 'apart' names", fact, remedy))
    for where, groups in asked:
        for group in groups:
            parts = families({task: known[task] for task in group if task in known})
            if len(parts) > 1:
                fact = f"'{parts[0][0]}' and '{parts[1][0]}' of {where} read none"
                remedy = "put them into different groups, or give them an input that both read"
                problems.append(Problem("Tasks that share a model read some input in common", fact, remedy))
    if problems:
        raise ConfigError(problems)


def apart(
    names: Sequence[str], known: Reads, kept: Sequence[Sequence[str]], tied: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], ...]:
    """What must not share among `names`: what the study file keeps apart, and pairs with no input in common but those
    in a set of `tied` tasks, which the study file wants in one model."""
    own = [pair for pair in strangers(known) if set(pair) <= set(names)]
    sets = (tuple(name for name in group if name in names) for group in kept)
    return (
        *(group for group in sets if len(group) > 1),
        *(pair for pair in own if not any(set(pair) <= set(t) for t in tied)),
    )


def rows_of(present: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows with a label of a task, from its cells (N, K)."""
    return np.asarray(present.any(axis=1), dtype=np.bool_)
