"""Share of right decisions, over rows or over classes."""

from __future__ import annotations

import numpy as np

from sharewise.metrics.base import Array, Metric
from sharewise.metrics.cells import (
    Cells,
    codes,
    decided,
    jackknife,
    labelled,
    macro_rows,
    macro_score,
    right,
    two_of_each,
    two_rows,
)
from sharewise.tasks import TaskKind

_KINDS = frozenset({TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL, TaskKind.MULTILABEL})


class Accuracy(Metric):
    """Share of rows decided right; multilabel: mean over labels of the share of their present cells.

    Binary decisions are P > 1/2, multiclass and ordinal ones the most probable class. Compared as a ratio: at
    accuracy 0.90 a margin of 0.02 is 1.8 points. Cost: linear.
    """

    name = "accuracy"
    title = "accuracy"
    bigger_is_better = True
    kinds = _KINDS
    effect = "ratio"

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Mean of the right decisions."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        if cells.by_class:
            return float((decided(cells) == codes(cells)).mean())
        return macro_score(cells, lambda y, p: float(_called_right(y, p).mean()), two_rows)

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """1 where the row is right, else 0."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        if cells.by_class:
            return right(cells)
        return macro_rows(cells, _called_right, two_rows)


class BalancedAccuracy(Metric):
    """Mean over the true classes of the share of their rows decided right (mean recall).

    Multilabel: mean over labels with two rows of each value. Compared as a ratio: at 0.80 a margin of 0.02 is 1.6
    points. Undefined with one class only. Cost: linear.
    """

    name = "balanced_accuracy"
    title = "balanced accuracy"
    bigger_is_better = True
    kinds = _KINDS
    effect = "ratio"
    rare_class_counts = True

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Mean recall over the classes that occur in the truth."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        if cells.by_class:
            return _mean_recall(*_by_class(cells))
        return macro_score(cells, lambda y, p: _mean_recall(*_binary(y, p)), two_of_each)

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Delete-one jackknife pseudo-values, exact; a class of one row leaves the mean with its row."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        if cells.by_class:
            return _recall_rows(*_by_class(cells))
        return macro_rows(cells, lambda y, p: _recall_rows(*_binary(y, p)), two_of_each)


def _called_right(truth: Array, prediction: Array) -> Array:
    hit: Array = ((prediction > 0.5) == (truth > 0.5)).astype(np.float64)
    return hit


def _by_class(cells: Cells) -> tuple[Array, Array]:
    truth = codes(cells)
    return truth, (decided(cells) == truth).astype(np.float64)


def _binary(truth: Array, prediction: Array) -> tuple[Array, Array]:
    return (truth > 0.5).astype(np.int64), _called_right(truth, prediction)


def _mean_recall(truth: Array, right: Array) -> float | None:
    counts = np.bincount(truth)
    seen = counts > 0
    if seen.sum() < 2:
        return None
    return float((np.bincount(truth, weights=right)[seen] / counts[seen]).mean())


def _recall_rows(truth: Array, right: Array) -> Array | None:
    score = _mean_recall(truth, right)
    if score is None:
        return None
    counts = np.bincount(truth)[truth].astype(np.float64)
    hits = np.bincount(truth, weights=right)[truth]
    n_classes = len(np.unique(truth))
    if n_classes == 2 and counts.min() < 2:
        return None  # without that row one class is left and the score is undefined
    alone = counts == 1
    others = score * n_classes - hits / counts
    without = np.where(
        alone, others / max(n_classes - 1, 1), (others + (hits - right) / np.maximum(counts - 1, 1)) / n_classes
    )
    return jackknife(score, without)
