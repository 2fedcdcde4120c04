"""The contract of the models that answer one task alone and are not neural networks.

A task is reduced to problems with one answer each, which is all that a sibling has to fit: a yes or no
(logistic loss), one of S classes (softmax), or a number (squared error). Ordinal tasks become C - 1
questions "is it above class k?" (Frank & Hall, ECML 2001), a multilabel task one question per label, a
reconstruction one number per cell. Problems without anything to learn, and classes that do not occur in
training, are dealt with here, so that no sibling meets them.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sharewise.batch import Inputs
from sharewise.models.alternative import Alternative, GroupData
from sharewise.models.pooled import pooled_pixels, word_blocks, word_counts
from sharewise.seeds import derive
from sharewise.tasks import Task, TaskKind, TaskSet

Array = NDArray[Any]
Loss = Literal["logistic", "softmax", "squared"]
P = TypeVar("P")
"""What a sibling keeps of one fitted problem."""

CONFIG = "model.json"

MOST_CELLS = 60_000_000
"""Rows times inputs that these models are fitted to: a wide block of a million rows is read in part."""
_SPREAD = 0.01

_LOSS: dict[TaskKind, Loss] = {
    TaskKind.BINARY: "logistic",
    TaskKind.MULTICLASS: "softmax",
    TaskKind.ORDINAL: "logistic",
    TaskKind.MULTILABEL: "logistic",
    TaskKind.REGRESSION: "squared",
    TaskKind.RECONSTRUCTION: "squared",
}


@dataclass(frozen=True)
class Problem:
    """One answer to learn: rows of the table that are labelled, for training and for early stopping.

    `y` (n,) float64 and `weight` (n,) float64 belong to `train`, `y_validation` and `weight_validation` to
    `validation`. `y` holds 0 and 1 for `logistic`, codes 0..`n_classes` - 1 that all occur for `softmax`, the
    standardised number for `squared` (whose weights are all one).
    """

    loss: Loss
    n_classes: int
    train: Array
    y: Array
    weight: Array
    validation: Array
    y_validation: Array
    weight_validation: Array

    def within(self, most: int) -> Problem:
        """The same problem on at most `most` train and as many validation rows, spread evenly over those there are."""
        if max(len(self.train), len(self.validation)) <= most:
            return self
        t, v = (
            np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(np.int64) if len(rows) else rows
            for rows in (self.train, self.validation)
        )
        return Problem(
            self.loss,
            self.n_classes,
            self.train[t],
            self.y[t],
            self.weight[t],
            self.validation[v],
            self.y_validation[v],
            self.weight_validation[v],
        )

    @property
    def is_degenerate(self) -> bool:
        """Whether nothing can be learned: fewer than two rows, or one answer only."""
        return len(self.y) < 2 or bool(np.all(self.y == self.y[0]))

    def constant(self) -> float:
        """The answer that reads no input: the mean, for `logistic` with half a yes and half a no added."""
        total = float(self.weight.sum())
        if self.loss == "softmax":
            return 1.0
        if self.loss == "logistic":
            return (float(self.y @ self.weight) + 0.5) / (total + 1.0)
        return float(self.y @ self.weight) / total if total > 0 else 0.0


@dataclass(frozen=True)
class Outline:
    """What of a task, and of its labels, a fitted model must remember.

    `seen` are the codes of a multiclass task that occur in training; the others share the probability
    `share_unseen`, which is what they would get if one row were spread over all C classes (Laplace).
    """

    kind: TaskKind
    n_classes: int
    n_targets: int
    seen: tuple[int, ...] = ()
    share_unseen: float = 0.0

    @property
    def loss(self) -> Loss:
        """The loss of each of its problems."""
        return _LOSS[self.kind]

    @property
    def n_problems(self) -> int:
        """How many problems with one answer the task becomes."""
        return self.n_classes - 1 if self.kind is TaskKind.ORDINAL else self.n_targets


class SingleTaskModel(Alternative, Generic[P]):
    """A fitted model of one task. Siblings say how one problem is fitted, answered and written down.

    A prediction is (N, W) float32: probabilities for the kinds with classes (W = 1 for binary, C for
    multiclass and ordinal, L for multilabel), the codec's standardised unit for the others. Class weights are
    honoured as row weights: per class for binary, multiclass and ordinal tasks, as the weight of a row that
    has the label for multilabel ones.
    """

    max_cells: ClassVar[int]
    """Most cells of a reconstruction that this kind of model is fitted to."""

    def __init__(self, outline: Outline, parts: Sequence[P | float]) -> None:
        self.outline = outline
        self.parts = tuple(parts)

    # --- what a sibling provides ---

    @classmethod
    @abstractmethod
    def fit_problem(cls, inputs: Inputs[Array], problem: Problem, params: Mapping[str, Any], seed: int) -> P:
        """One problem fitted; it has at least two rows and two different answers."""

    @abstractmethod
    def answers(self, inputs: Inputs[Array], parts: Sequence[P]) -> list[Array]:
        """Each part's answer, (N,) or for softmax (N, S): probabilities, or the standardised number."""

    @classmethod
    @abstractmethod
    def parts_to_files(cls, parts: Mapping[int, P]) -> dict[str, bytes]:
        """The files that hold the numbered parts."""

    @classmethod
    @abstractmethod
    def parts_from_files(cls, numbers: Sequence[int], files: Mapping[str, bytes]) -> list[P]:
        """The numbered parts from their files; raises ValueError where the files do not hold them."""

    # --- what all share ---

    @classmethod
    def applies_to(cls, task: Task) -> bool:
        """Whether this kind of model is fitted to `task` at all."""
        if task.kind is TaskKind.TOKEN_TAGGING:
            return False
        return task.kind is not TaskKind.RECONSTRUCTION or task.n_targets <= cls.max_cells

    @classmethod
    def groups(cls, tasks: TaskSet) -> list[tuple[str, tuple[str, ...]]]:
        """A model for each task it applies to."""
        return [(f"single:{task.name}", (task.name,)) for task in tasks if cls.applies_to(task)]

    @classmethod
    def fit_group(cls, tasks: Sequence[Task], data: GroupData, params: Mapping[str, Any], seed: int) -> Self:
        """`fit` for the one task there is."""
        name = tasks[0].name
        values, present = data.values[name], data.present[name]
        return cls.fit(tasks[0], data.inputs, values, present, data.train, data.validation, params, seed)

    def predict_task(self, inputs: Inputs[Array], task: str) -> Array:
        """`predict`: there is one task."""
        return self.predict(inputs)

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
        """Fit to the labelled train rows; when to stop, or how strong to be, is chosen by validation rows.

        `inputs` holds all rows of the table; `values` and `present` (N, K) are the task's own columns of
        Targets. The same arguments give the same model, bit for bit, on one machine.
        """
        outline, problems = reduce(task, values, present, rows_train, rows_validation)
        inputs = flattened(inputs)
        width = sum(block.shape[1] for block in inputs.blocks.values())
        problems = [p.within(MOST_CELLS // max(width, 1)) for p in problems]
        parts: list[P | float] = [
            p.constant() if p.is_degenerate else cls.fit_problem(inputs, p, params, derive(seed, cls.name, i))
            for i, p in enumerate(problems)
        ]
        return cls(outline, parts)

    def predict(self, inputs: Inputs[Array]) -> Array:
        """Prediction (N, W) float32 of every row."""
        n = len(next(iter(inputs.blocks.values())))
        inputs = flattened(inputs)
        fitted = iter(self.answers(inputs, [p for p in self.parts if not isinstance(p, float)]))
        answers = [np.full(n, part) if isinstance(part, float) else next(fitted) for part in self.parts]
        return combine(self.outline, answers)

    def to_files(self) -> dict[str, bytes]:
        """The model as plain files, none of which can run code: `model.json` and the sibling's own."""
        outline = self.outline
        config = {
            "kind": self.name,
            "task_kind": outline.kind.value,
            "n_classes": outline.n_classes,
            "n_targets": outline.n_targets,
            "seen": list(outline.seen),
            "share_unseen": outline.share_unseen,
            "constants": [part if isinstance(part, float) else None for part in self.parts],
        }
        fitted = {i: part for i, part in enumerate(self.parts) if not isinstance(part, float)}
        return {CONFIG: json.dumps(config, indent=1).encode() + b"\n", **self.parts_to_files(fitted)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The model that `to_files` wrote; raises ValueError where the files do not hold one."""
        try:
            config = json.loads(files[CONFIG])
            outline = Outline(
                TaskKind(config["task_kind"]),
                int(config["n_classes"]),
                int(config["n_targets"]),
                tuple(int(code) for code in config["seen"]),
                float(config["share_unseen"]),
            )
            constants = list(config["constants"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"'{CONFIG}' of a {cls.name} model lacks {error}") from error
        if len(constants) != outline.n_problems:
            raise ValueError(f"a {cls.name} model of {outline.n_problems} parts has {len(constants)}")
        fitted = iter(cls.parts_from_files([i for i, c in enumerate(constants) if c is None], files))
        return cls(outline, [next(fitted) if c is None else float(c) for c in constants])


def flattened(inputs: Inputs[Array]) -> Inputs[Array]:
    """Common blocks alone: single inputs' vectors join `embedding`, ids `categorical`, what is present `numeric`.

    Pictures join as pooled pixels, tokens as counts of frequent words; numbers of tokens that a network is trained on
    are left out. Without single inputs, `inputs` itself.
    """
    own = [name for name in inputs.blocks if ":" in name]
    if not own:
        return inputs
    blocks = {name: b for name, b in inputs.blocks.items() if ":" not in name and name != "present"}
    vectors = [inputs[name] for name in own if inputs[name].ndim == 2 and inputs[name].dtype.kind == "f"]
    ids = [inputs[name] for name in own if name.startswith("id:")]
    vectors += [pooled_pixels(inputs[name]) for name in own if name.startswith("image:") and inputs[name].ndim == 4]
    vectors += [word_counts(inputs[name]) for name in word_blocks(own)]
    if vectors:
        blocks["embedding"] = _beside(blocks.get("embedding"), vectors)
    if ids:
        blocks["categorical"] = _beside(blocks.get("categorical"), ids)
    there = inputs["present"].astype(np.float32)
    blocks["numeric"] = _beside(blocks.get("numeric"), [there])
    return Inputs(blocks)


def _beside(block: Array | None, more: list[Array]) -> Array:
    """Blocks as one; a single one is taken as it is, however it is stored."""
    parts = more if block is None else [block, *more]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def reduce(
    task: Task, values: Array, present: Array, rows_train: Array, rows_validation: Array
) -> tuple[Outline, list[Problem]]:
    """The problems of one answer each that `task` becomes, in the order that `combine` expects."""
    weights = np.asarray(task.class_weights, np.float64)
    outline = Outline(task.kind, len(task.classes), task.n_targets)
    problems: list[Problem] = []
    for k in range(outline.n_problems):
        column = 0 if task.kind is TaskKind.ORDINAL else k
        sides: list[tuple[Array, Array, Array]] = []
        for rows in (rows_train, rows_validation):
            labelled = np.asarray(rows, np.int64)
            labelled = labelled[present[labelled, column]]
            y = values[labelled, column].astype(np.float64)
            weight = np.ones(len(y))
            if len(weights) and task.kind is TaskKind.MULTILABEL:
                weight = np.where(y > 0.5, weights[k], 1.0)
            elif len(weights) and task.is_classification:
                weight = weights[y.astype(np.int64)]
            answer = (y > k).astype(np.float64) if task.kind is TaskKind.ORDINAL else y
            sides.append((labelled, answer, weight))
        problems.append(Problem(outline.loss, 0, *sides[0], *sides[1]))
    if task.kind is TaskKind.MULTICLASS:
        return _only_seen(outline, problems[0])
    return outline, problems


def _only_seen(outline: Outline, problem: Problem) -> tuple[Outline, list[Problem]]:
    """The problem over the classes that occur in training; validation rows of other classes are left out."""
    seen = np.unique(problem.y)
    known = np.isin(problem.y_validation, seen)
    n, n_seen = outline.n_classes, len(seen)
    share = (n - n_seen) / n / (float(problem.weight.sum()) + 1.0)
    if not n_seen:
        seen, share = np.arange(n), 0.0
    narrowed = Problem(
        problem.loss,
        len(seen),
        problem.train,
        np.searchsorted(seen, problem.y).astype(np.float64),
        problem.weight,
        problem.validation[known],
        np.searchsorted(seen, problem.y_validation[known]).astype(np.float64),
        problem.weight_validation[known],
    )
    codes = tuple(int(code) for code in seen)
    return Outline(outline.kind, n, outline.n_targets, codes, share), [narrowed]


def combine(outline: Outline, answers: Sequence[Array]) -> Array:
    """Prediction (N, W) float32 from the problems' answers.

    Ordinal: P(y > k) is put in falling order (rearrangement: Chernozhukov, Fernandez-Val & Galichon, 2010), class
    k gets P(y > k - 1) - P(y > k), and a hundredth is spread over all classes: separately fitted answers that
    cross would otherwise call a class impossible.
    """
    if outline.kind is TaskKind.MULTICLASS:
        n_unseen = outline.n_classes - len(outline.seen)
        full = np.full((len(answers[0]), outline.n_classes), outline.share_unseen / max(n_unseen, 1))
        # One class in training: its answer is the constant 1. None: all count as seen, and get the same.
        given = answers[0] if answers[0].ndim == 2 else answers[0][:, None] / len(outline.seen)
        full[:, outline.seen] = given * (1.0 - outline.share_unseen)
        return full.astype(np.float32)
    columns = np.stack(answers, axis=1)
    if outline.kind is TaskKind.ORDINAL:
        above = -np.sort(-columns, axis=1)
        edge = np.ones((len(above), 1))
        columns = np.hstack([edge, above]) - np.hstack([above, 0 * edge])
        columns = (1.0 - _SPREAD) * columns + _SPREAD / outline.n_classes
    return columns.astype(np.float32)
