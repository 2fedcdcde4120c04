"""Average precision: the area under the precision-recall curve."""

from __future__ import annotations

import numpy as np

from sharewise.metrics.base import Array, Metric
from sharewise.metrics.cells import jackknife, labelled, macro_rows, macro_score, two_of_each
from sharewise.tasks import TaskKind


class AveragePrecision(Metric):
    """Mean over the positives of the precision at their score: sum_k (R_k - R_{k-1}) P_k, no interpolation.

    Multiclass and multilabel: mean over the columns with at least two positives and two negatives. Compared in
    points, since with rare positives it starts near zero: a margin of 0.02 is 2 points of precision. Undefined
    without a positive or a negative. Cost: one sort a column.
    """

    name = "average_precision"
    title = "average precision"
    bigger_is_better = True
    kinds = frozenset({TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.MULTILABEL})
    effect = "points"
    rare_class_counts = True

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Average precision, macro over columns."""
        cells = labelled(truth, present, prediction)
        return None if cells is None else macro_score(cells, _score, two_of_each)

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Delete-one jackknife pseudo-values, exact, from running sums along the ranking."""
        cells = labelled(truth, present, prediction)
        return None if cells is None else macro_rows(cells, _rows, two_of_each)


def _ranked(truth: Array, prediction: Array) -> tuple[Array, Array, Array, Array]:
    """Order from the top, positives in that order, and per row the positives and rows at or above its score."""
    order = np.argsort(-prediction, kind="stable")
    ordered = prediction[order]
    positive = (truth[order] > 0.5).astype(np.float64)
    last = np.flatnonzero(np.concatenate((ordered[1:] != ordered[:-1], [True])))
    group = np.searchsorted(last, np.arange(len(order)))
    above = last[group] + 1.0
    hits = np.cumsum(positive)[last][group]
    return order, positive, hits, above


def _score(truth: Array, prediction: Array) -> float | None:
    _, positive, hits, above = _ranked(truth, prediction)
    m = positive.sum()
    if m == 0 or m == len(truth):
        return None
    return float((positive * hits / above).sum() / m)


def _rows(truth: Array, prediction: Array) -> Array:
    order, positive, hits, above = _ranked(truth, prediction)
    m = positive.sum()
    # Taking row i away changes only the precision at thresholds its score reaches, those ranked at or after its
    # tie group; what lies before keeps its precision.
    kept = positive * hits / above
    fewer = np.maximum(above - 1.0, 1.0)
    without_positive = positive * (hits - 1.0) / fewer
    without_negative = positive * hits / fewer
    start = np.searchsorted(above, above, side="left")
    before = np.concatenate(([0.0], np.cumsum(kept)))[start]
    after_positive = np.cumsum(without_positive[::-1])[::-1][start] - without_positive
    after_negative = np.cumsum(without_negative[::-1])[::-1][start]
    without = np.where(positive > 0, (before + after_positive) / (m - 1.0), (before + after_negative) / m)
    values = np.empty(len(order))
    values[order] = jackknife(float(kept.sum() / m), without)
    return values
