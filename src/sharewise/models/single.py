"""The contract of the models that answer one task alone and are not neural networks.

A task is reduced to problems with one answer each, which is all that a sibling has to fit: a yes or no
(logistic loss), one of C classes (softmax), or a number (squared error). Ordinal tasks become C - 1 questions
"is it above class k?" (Frank & Hall, ECML 2001), a multilabel task one question per label, a reconstruction one
number per cell.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sharewise.batch import Inputs
from sharewise.tasks import Task, TaskKind

Array = NDArray[Any]
Loss = Literal["logistic", "softmax", "squared"]
P = TypeVar("P")
"""What a sibling keeps of one fitted problem."""

CONFIG = "model.json"


@dataclass(frozen=True)
class Outline:
    """What of a task a fitted model must remember: its kind, its number of classes and of target cells."""

    kind: TaskKind
    n_classes: int
    n_targets: int

    @classmethod
    def of(cls, task: Task) -> Outline:
        """The outline of `task`."""
        return cls(task.kind, len(task.classes), task.n_targets)

    @property
    def n_problems(self) -> int:
        """How many problems with one answer the task becomes."""
        return self.n_classes - 1 if self.kind is TaskKind.ORDINAL else self.n_targets

    @property
    def width(self) -> int:
        """Columns of a prediction: 1, C class probabilities, L label probabilities or D cells."""
        if self.kind in (TaskKind.MULTICLASS, TaskKind.ORDINAL):
            return self.n_classes
        return self.n_targets


@dataclass(frozen=True)
class Problem:
    """One answer to learn: rows of the table that are labelled, for training and for early stopping.

    `y` (n,) float64 and `weight` (n,) float64 belong to `train`, `y_validation` and `weight_validation` to
    `validation`. `y` holds 0 and 1 for `logistic`, codes 0..C-1 for `softmax` (of which some may not occur), the
    standardised number for `squared`.
    """

    loss: Loss
    n_classes: int
    train: Array
    y: Array
    weight: Array
    validation: Array
    y_validation: Array
    weight_validation: Array

    @property
    def is_degenerate(self) -> bool:
        """Whether nothing can be learned: fewer than two rows, or one answer only."""
        return len(self.y) < 2 or bool(np.all(self.y == self.y[0]))

    def constant(self) -> tuple[float, ...]:
        """The best answer that reads no input, (1,) or (C,): the mean, or class frequencies with one row added
        in all (Laplace), so that no class has probability zero."""
        total = float(self.weight.sum())
        if self.loss == "squared":
            return (float(self.y @ self.weight) / total if total > 0 else 0.0,)
        if self.loss == "logistic":
            return ((float(self.y @ self.weight) + 0.5) / (total + 1.0),)
        counts = np.bincount(self.y.astype(np.int64), self.weight, self.n_classes)
        return tuple(((counts + 1 / self.n_classes) / (total + 1.0)).tolist())


class SingleTaskModel(ABC, Generic[P]):
    """A fitted model of one task. Siblings say how one problem is fitted, answered and written down.

    A prediction is (N, W) float32: probabilities for the kinds with classes, the codec's standardised unit for
    the others. Class weights are honoured as row weights: per class for binary, multiclass and ordinal tasks,
    as the weight of a row that has the label for multilabel ones.
    """

    name: ClassVar[str]
    max_cells: ClassVar[int]
    """Most cells of a reconstruction that this kind of model is fitted to."""

    def __init__(self, outline: Outline, parts: Sequence[P]) -> None:
        self.outline = outline
        self.parts = tuple(parts)

    # --- what a sibling provides ---

    @classmethod
    @abstractmethod
    def search_space(cls, trial: int, seed: int) -> dict[str, Any]:
        """Parameters of a tuning trial: trial 0 the strong default, later ones drawn by (trial, seed) alone."""

    @classmethod
    @abstractmethod
    def fit_problems(
        cls, inputs: Inputs[Array], problems: Sequence[Problem], params: Mapping[str, Any], seed: int
    ) -> list[P]:
        """One fitted part per problem."""

    @abstractmethod
    def answers(self, inputs: Inputs[Array]) -> list[Array]:
        """Each part's answer, (N,) or for softmax (N, C): probabilities, or the standardised number."""

    @abstractmethod
    def parts_to_files(self) -> tuple[list[Any], dict[str, bytes]]:
        """Per part something JSON-able, and the files that hold the rest."""

    @classmethod
    @abstractmethod
    def parts_from_files(cls, described: Sequence[Any], files: Mapping[str, bytes]) -> list[P]:
        """The parts that `parts_to_files` wrote; raises ValueError where the files do not hold them."""

    # --- what all share ---

    @classmethod
    def applies_to(cls, task: Task) -> bool:
        """Whether this kind of model is fitted to `task` at all."""
        if task.kind is TaskKind.TOKEN_TAGGING:
            return False
        return task.kind is not TaskKind.RECONSTRUCTION or task.n_targets <= cls.max_cells

    @classmethod
    def fit(
        cls,
        task: Task,
        inputs: Inputs[Array],
        values: Array,
        present: Array,
        rows_train: Array,
        rows_validation: Array,
        params: Mapping[str, Any],
        seed: int,
    ) -> Self:
        """Fit to the labelled train rows and stop early, or choose the strength, by the labelled validation rows.

        `inputs` holds all rows of the table; `values` and `present` (N, K) are the task's own columns of Targets.
        The same arguments give the same model, bit for bit, on one machine.
        """
        problems = reduce(task, values, present, rows_train, rows_validation)
        return cls(Outline.of(task), cls.fit_problems(inputs, problems, params, seed))

    def predict(self, inputs: Inputs[Array]) -> Array:
        """Prediction (N, W) float32 of every row."""
        return combine(self.outline, self.answers(inputs))

    def to_files(self) -> dict[str, bytes]:
        """The model as plain files, none of which can run code: `model.json` and the sibling's own."""
        described, files = self.parts_to_files()
        outline = self.outline
        config = {
            "kind": self.name,
            "task_kind": outline.kind.value,
            "n_classes": outline.n_classes,
            "n_targets": outline.n_targets,
            "parts": described,
        }
        return {CONFIG: json.dumps(config, indent=1).encode() + b"\n", **files}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The model that `to_files` wrote; raises ValueError where the files do not hold one."""
        try:
            config = json.loads(files[CONFIG])
            outline = Outline(TaskKind(config["task_kind"]), int(config["n_classes"]), int(config["n_targets"]))
            described = config["parts"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"'{CONFIG}' of a {cls.name} model lacks {error}") from error
        if len(described) != outline.n_problems:
            raise ValueError(f"a {cls.name} model of {outline.n_problems} parts has {len(described)}")
        return cls(outline, cls.parts_from_files(described, files))


def reduce(
    task: Task, values: Array, present: Array, rows_train: Array, rows_validation: Array
) -> tuple[Problem, ...]:
    """The problems of one answer each that `task` becomes, in the order that `combine` expects."""
    weights = np.asarray(task.class_weights, np.float64)
    made: list[Problem] = []
    for k in range(Outline.of(task).n_problems):
        column = 0 if task.kind is TaskKind.ORDINAL else k
        parts: list[Array] = []
        for rows in (rows_train, rows_validation):
            labelled = np.asarray(rows)[present[rows, column]]
            y = values[labelled, column].astype(np.float64)
            weight = np.ones(len(y))
            if len(weights) and task.kind is TaskKind.MULTILABEL:
                weight = np.where(y > 0.5, weights[k], 1.0)
            elif len(weights) and task.is_classification:
                weight = weights[y.astype(np.int64)]
            parts += [labelled, (y > k).astype(np.float64) if task.kind is TaskKind.ORDINAL else y, weight]
        made.append(Problem(_LOSS[task.kind], len(task.classes), *parts))
    return tuple(made)


_LOSS: dict[TaskKind, Loss] = {
    TaskKind.BINARY: "logistic",
    TaskKind.MULTICLASS: "softmax",
    TaskKind.ORDINAL: "logistic",
    TaskKind.MULTILABEL: "logistic",
    TaskKind.REGRESSION: "squared",
    TaskKind.RECONSTRUCTION: "squared",
}


def combine(outline: Outline, answers: Sequence[Array]) -> Array:
    """Prediction (N, W) float32 from the problems' answers.

    Ordinal: P(y > k) is made falling in k, and class k gets P(y > k - 1) - P(y > k).
    """
    if outline.kind is TaskKind.MULTICLASS:
        return answers[0].astype(np.float32)
    columns = np.stack(answers, axis=1)
    if outline.kind is TaskKind.ORDINAL:
        above = np.minimum.accumulate(columns, axis=1)
        edge = np.ones((len(above), 1))
        columns = np.hstack([edge, above]) - np.hstack([above, 0 * edge])
    return columns.astype(np.float32)
