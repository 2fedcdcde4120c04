"""Quadratically weighted kappa: agreement on an ordered scale beyond chance."""

from __future__ import annotations

import numpy as np

from sharewise.metrics.base import Array, Metric
from sharewise.metrics.cells import Cells, codes, confusion, decided, jackknife, labelled
from sharewise.tasks import TaskKind


class QuadraticKappa(Metric):
    """1 - sum w_cd O_cd / sum w_cd E_cd with w_cd = (c - d)^2 over true classes c and decided ones d.

    O are observed counts, E those expected from the margins (Cohen 1968); the decision is the most probable class.
    Compared in points, since it can be zero or negative: a margin of 0.02 is 2 points. Undefined with one true
    class only. Cost: linear, plus C^2.
    """

    name = "quadratic_kappa"
    title = "quadratic kappa"
    bigger_is_better = True
    kinds = frozenset({TaskKind.ORDINAL, TaskKind.MULTICLASS, TaskKind.BINARY})
    effect = "points"

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Weighted kappa."""
        cells = labelled(truth, present, prediction)
        return None if cells is None else _kappa(_confused(cells))

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Delete-one jackknife pseudo-values, exact: a row matters through its cell of the confusion matrix."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        table = _confused(cells)
        score = _kappa(table)
        # With one row outside the largest class the truth is one class without it, and kappa undefined.
        if score is None or cells.n - table.sum(1).max() < 2:
            return None
        without = _without(table)[codes(cells), decided(cells)]
        return jackknife(score, without)


def _confused(cells: Cells) -> Array:
    return confusion(codes(cells), decided(cells), max(cells.prediction.shape[1], 2))


def _weights(n_classes: int) -> Array:
    place = np.arange(n_classes, dtype=np.float64)
    result: Array = (place[:, None] - place[None, :]) ** 2
    return result


def _kappa(table: Array) -> float | None:
    true, called, weight = table.sum(1), table.sum(0), _weights(len(table))
    if np.count_nonzero(true) < 2:
        return None
    return float(1.0 - (weight * table).sum() * table.sum() / (true @ weight @ called))


def _without(table: Array) -> Array:
    """Kappa (C, C) when one row of a cell of the confusion matrix is taken away."""
    true, called, weight = table.sum(1), table.sum(0), _weights(len(table))
    observed = (weight * table).sum() - weight
    expected = true @ weight @ called - (weight @ called)[:, None] - (true @ weight)[None, :] + weight
    # Cells without rows are never looked up; their expectation may vanish.
    safe = np.where(expected > 0, expected, 1.0)
    result: Array = 1.0 - observed * (table.sum() - 1.0) / safe
    return result
