"""Predictions as the columns a user reads: original labels and units, probabilities beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sharewise.bundle.answerer import Array
from sharewise.bundle.hierarchy import Classes
from sharewise.tables import tags
from sharewise.tables.columns import canonical
from sharewise.tasks import Task, TaskKind, TaskSet


@dataclass(frozen=True)
class Question:
    """What a user asks for by one name: a task, or a grouped declaration, each row answered by its own group's task."""

    name: str
    tasks: tuple[Task, ...]

    @property
    def by(self) -> str | None:
        """The column that says which of the tasks a row belongs to."""
        where = self.tasks[0].where
        return None if where is None else where[0]


@dataclass(frozen=True)
class Answered:
    """What is said to a question: the prediction (N, W), of tags (N, L, 2), and which rows have one (N,); for a task
    below a parent, `below` says it consistently with the parent."""

    question: Question
    prediction: Array
    known: Array
    below: Classes | None = None

    def answers(self) -> dict[str, pa.Array]:
        """The answer itself under `""`, or the cells of a reconstruction."""
        task = self.question.tasks[0]
        if self.below is None:
            return answers(task, self.prediction, self.known)
        codes = self.below.codes
        return {"": pa.array(task.classes).take(pa.array(np.maximum(codes, 0), mask=codes < 0))}

    def probabilities(self) -> dict[str, pa.Array]:
        """Probability of each class, or label, by its name; below a parent, of the two together."""
        task = self.question.tasks[0]
        if self.below is None:
            return probabilities(task, self.prediction, self.known)
        made = self.below.probabilities
        return {canonical(label): _numbers(made[:, i], self.below.known) for i, label in enumerate(task.classes)}

    def certainty(self) -> pa.Array | None:
        """Of a tagging task the probability of every token's tag, a list in every row; None for others."""
        if self.question.tasks[0].kind is not TaskKind.TOKEN_TAGGING:
            return None
        return tags.lists(self.prediction[..., 1], self.prediction[..., 0] >= 0, self.known)


def questions(tasks: TaskSet) -> dict[str, Question]:
    """The questions of a set of tasks by name, in order."""
    members: dict[str, list[Task]] = {}
    for task in tasks:
        members.setdefault(task.family or task.name, []).append(task)
    return {name: Question(name, tuple(found)) for name, found in members.items()}


def gathered(question: Question, n_rows: int, answers: Mapping[str, tuple[Array, Array]]) -> tuple[Array, Array]:
    """Prediction (N, W) of a question and which rows have one (N,), from (rows, prediction) of its tasks.

    A row of a group that was never trained, or whose task is retired, has none.
    """
    found = [answers[task.name] for task in question.tasks if task.name in answers]
    cells = found[0][1].shape[1:] if found else (1,)
    prediction = np.zeros((n_rows, *cells), np.float32)
    known = np.zeros(n_rows, bool)
    for rows, values in found:
        prediction[rows] = values
        known[rows] = True
    return prediction, known


def probabilities(task: Task, prediction: Array, known: Array) -> dict[str, pa.Array]:
    """Probability of each class, or label, by its name; empty for tasks that answer numbers or tags."""
    if not task.has_probabilities:
        return {}
    if task.kind is TaskKind.BINARY:
        prediction = np.concatenate([1.0 - prediction, prediction], axis=1)
    return {canonical(label): _numbers(prediction[:, i], known) for i, label in enumerate(task.classes)}


def answers(task: Task, prediction: Array, known: Array) -> dict[str, pa.Array]:
    """The answer itself under `""`; a reconstruction has one column for each of its cells."""
    match task.kind:
        case TaskKind.REGRESSION:
            return {"": _numbers(prediction[:, 0], known)}
        case TaskKind.RECONSTRUCTION:
            cells = task.classes or task.columns
            return {str(cell): _numbers(prediction[:, i], known) for i, cell in enumerate(cells)}
        case TaskKind.TOKEN_TAGGING:
            return {"": tags.answers(task.classes, prediction[..., 0], known)}
        case TaskKind.MULTILABEL:
            return {"": _lists(task.classes, prediction >= 0.5, known)}
        case TaskKind.BINARY:
            codes = (prediction[:, 0] >= 0.5).astype(np.int64)
        case _:
            codes = prediction.argmax(axis=1)
    return {"": pa.array(task.classes).take(pa.array(codes, mask=~known))}


def _numbers(values: Array, known: Array) -> pa.Array:
    return pa.array(values.astype(np.float32), mask=None if known.all() else ~known)


def _lists(labels: Sequence[object], chosen: Array, known: Array) -> pa.Array:
    """Per row the list of its labels."""
    rows, codes = np.nonzero(chosen & known[:, None])
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(chosen)))]).astype(np.int32)
    values = pa.array(labels).take(pa.array(codes))
    lists = pa.ListArray.from_arrays(pa.array(ends), values)
    return lists if known.all() else pa.compute.if_else(pa.array(known), lists, pa.scalar(None, lists.type))


def free_name(question: str, taken: Collection[str]) -> str:
    """`question`, or where the table has a column of that name, `question__prediction`, never a name that is taken."""
    name = question
    while name in taken:
        name += "__prediction"
    return name
