"""F1: harmonic mean of precision and recall, for the positive class, over classes, or over all cells."""

from __future__ import annotations

import numpy as np

from sharewise.metrics.base import Array, Metric
from sharewise.metrics.cells import (
    Cells,
    codes,
    confusion,
    decided,
    jackknife,
    labelled,
    macro_rows,
    macro_score,
    right,
    two_of_each,
)
from sharewise.tasks import TaskKind


class F1(Metric):
    """2 tp / (2 tp + fp + fn) of the positive class, decided at P > 1/2.

    Compared in points, since it can be zero: a margin of 0.02 is 2 points. Undefined without a positive or a
    negative; its variance needs two of each. Cost: linear.
    """

    name = "f1"
    title = "F1"
    bigger_is_better = True
    kinds = frozenset({TaskKind.BINARY})
    effect = "points"
    rare_class_counts = True

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """F1 of the positive class."""
        cells = labelled(truth, present, prediction)
        return None if cells is None else macro_score(cells, _score, two_of_each)

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Delete-one jackknife pseudo-values, exact."""
        cells = labelled(truth, present, prediction)
        return None if cells is None else macro_rows(cells, _rows, two_of_each)


class F1Macro(Metric):
    """Mean F1 over the classes that occur in the truth (binary: both classes); multilabel: over labels.

    A decision for a class that the truth lacks counts as a miss of the true class, and that class is not in the
    mean, so that two models are averaged over the same classes. Compared in points. Undefined with one class
    only. Cost: linear, plus C^2.
    """

    name = "f1_macro"
    title = "macro F1"
    bigger_is_better = True
    kinds = frozenset({TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL, TaskKind.MULTILABEL})
    effect = "points"
    rare_class_counts = True

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Mean F1 over classes or labels."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        if cells.truth.shape[1] > 1:
            return macro_score(cells, _score, two_of_each)
        return _macro(_confused(cells))

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Delete-one jackknife pseudo-values, exact: a row matters through its cell of the confusion matrix."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        if cells.truth.shape[1] > 1:
            return macro_rows(cells, _rows, two_of_each)
        table = _confused(cells)
        score = _macro(table)
        if score is None:
            return None
        without = _macro_without(table)[codes(cells), decided(cells)]
        return jackknife(score, without) if np.isfinite(without).all() else None


class F1Micro(Metric):
    """F1 over all cells at once; for one label a row this is accuracy.

    Compared in points: a margin of 0.02 is 2 points. Multilabel is undefined without any positive cell. Cost:
    linear.
    """

    name = "f1_micro"
    title = "micro F1"
    bigger_is_better = True
    kinds = frozenset({TaskKind.MULTICLASS, TaskKind.ORDINAL, TaskKind.MULTILABEL})
    effect = "points"

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """2 sum tp / (2 sum tp + sum fp + sum fn) over the present cells."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        if cells.by_class:
            return float((decided(cells) == codes(cells)).mean())
        hits, calls, positives = _cell_counts(cells)
        if positives.sum() == 0:
            return None
        return float(2 * hits.sum() / (calls + positives).sum())

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Delete-one jackknife pseudo-values, exact: a row takes all its cells with it."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        if cells.by_class:
            return right(cells)
        hits, calls, positives = _cell_counts(cells)
        if (positives.sum() - positives).min() <= 0:
            return None
        both = calls + positives
        without = 2 * (hits.sum() - hits) / (both.sum() - both)
        return jackknife(float(2 * hits.sum() / both.sum()), without)


def _score(truth: Array, prediction: Array) -> float | None:
    positive, called = truth > 0.5, prediction > 0.5
    m = int(np.count_nonzero(positive))
    if m in (0, len(truth)):
        return None
    return float(2 * np.count_nonzero(positive & called) / (m + np.count_nonzero(called)))


def _rows(truth: Array, prediction: Array) -> Array:
    positive, called = truth > 0.5, prediction > 0.5
    hit = (positive & called).astype(np.float64)
    both = positive.astype(np.float64) + called
    without = 2 * (hit.sum() - hit) / (both.sum() - both)
    return jackknife(float(2 * hit.sum() / both.sum()), without)


def _confused(cells: Cells) -> Array:
    return confusion(codes(cells), decided(cells), max(cells.prediction.shape[1], 2))


def _macro(table: Array) -> float | None:
    true, called = table.sum(1), table.sum(0)
    seen = true > 0
    if seen.sum() < 2:
        return None
    return float((2 * np.diag(table)[seen] / (true + called)[seen]).mean())


def _macro_without(table: Array) -> Array:
    """Macro F1 (C, C) when one row of a cell of the confusion matrix is taken away; nan where one class is left."""
    true, called, hit = table.sum(1), table.sum(0), np.diag(table)
    seen = true > 0
    both = true + called
    full = np.where(seen, 2 * hit / np.maximum(both, 1.0), 0.0)
    # Off the diagonal the true class c and the called class d each lose one from their denominator.
    lost = np.where(seen, 2 * hit / np.maximum(both - 1.0, 1.0), 0.0)
    total = full.sum() - full[:, None] - full[None, :] + lost[:, None] + lost[None, :]
    on = np.where(seen, 2 * (hit - 1.0) / np.maximum(both - 2.0, 1.0), 0.0)
    np.fill_diagonal(total, full.sum() - full + on)
    count = np.full_like(table, float(seen.sum()))
    alone = true == 1
    if alone.any():
        # The class goes with its only row: its own new value leaves the sum as well.
        gone = np.where(alone, lost, 0.0)[:, None] * np.ones_like(table)
        np.fill_diagonal(gone, np.where(alone, on, 0.0))
        total = total - gone
        count[alone] -= 1.0
    if count.min() < 2:
        total[count < 2] = np.nan
    result: Array = total / np.maximum(count, 1.0)
    return result


def _cell_counts(cells: Cells) -> tuple[Array, Array, Array]:
    """Per row: hits, calls and positives among its present cells."""
    positive = (cells.truth > 0.5) & cells.present
    called = (cells.prediction > 0.5) & cells.present
    return (
        (positive & called).sum(1).astype(np.float64),
        called.sum(1).astype(np.float64),
        positive.sum(1).astype(np.float64),
    )
