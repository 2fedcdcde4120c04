"""Answers of coarse and fine tasks that cannot contradict each other, whichever models give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sharewise.bundle.answerer import Array
from sharewise.tables.hierarchy import among
from sharewise.tasks import Task, TaskKind, TaskSet


@dataclass(frozen=True)
class Classes:
    """What is said of one task with classes: joint probability of each (N, C), the class that is answered (N,), -1
    for none, and which rows are answered at all (N,)."""

    probabilities: Array
    codes: Array
    known: Array


def with_parents(tasks: TaskSet, asked: list[str], routed: Mapping[str, object]) -> list[str]:
    """The asked tasks' parents that are not asked for themselves, and theirs, as far as they are routed."""
    added: list[str] = []
    for name in asked:
        here = tasks[name].parent
        while here is not None and here in routed and here in tasks:
            if here not in asked and here not in added:
                added.append(here)
            here = tasks[here].parent
    return added


def top(task: Task, prediction: Array, known: Array) -> Classes:
    """A task by itself, from its prediction (N, W)."""
    if task.kind is TaskKind.BINARY:
        prediction = np.concatenate([1 - prediction, prediction], axis=1)
        codes = (prediction[:, 1] >= 0.5).astype(np.int64)
    else:
        codes = prediction.argmax(axis=1)
    return Classes(prediction, np.where(known, codes, -1), known)


def below(task: Task, own: Classes, parent: Classes) -> Classes:
    """A task below its parent: P(f) = P(c(f)) q(f) / sum of q over the classes under c(f), q its own model's answer.

    The fine classes of c then sum to what the parent says of c. The answer is the likeliest class under the class
    that the parent answers; none where that has no classes below it.
    """
    q, under = own.probabilities.astype(np.float64), np.asarray(task.under)
    joint, codes = np.zeros_like(q), np.full(len(q), -1)
    for coarse in range(parent.probabilities.shape[1]):
        fine = np.flatnonzero(under == coarse)
        if not len(fine):
            continue
        share = among(q, under, np.full(len(q), coarse))[:, fine]
        joint[:, fine] = parent.probabilities[:, [coarse]] * share
        here = parent.codes == coarse
        codes[here] = fine[share[here].argmax(axis=1)]
    known = own.known & parent.known
    return Classes(joint.astype(np.float32), np.where(known, codes, -1), known)


def consistent(tasks: TaskSet, given: Mapping[str, tuple[Array, Array]]) -> dict[str, Classes]:
    """Every task of `given` (prediction (N, W) and known rows, by task) that has a parent among them, made
    consistent with it from the top down."""
    made: dict[str, Classes] = {}

    def settled(name: str) -> Classes:
        if name not in made:
            task = tasks[name]
            own = top(task, *given[name])
            made[name] = below(task, own, settled(task.parent)) if task.parent in given else own  # type: ignore[arg-type]
        return made[name]

    return {name: settled(name) for name in given if tasks[name].parent in given}
