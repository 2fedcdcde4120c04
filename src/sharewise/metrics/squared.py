"""Squared error: its root, its root free of units, and the share of variance explained."""

from __future__ import annotations

import numpy as np

from sharewise.metrics.base import Array, Metric
from sharewise.metrics.cells import (
    all_finite,
    finite,
    jackknife,
    labelled,
    macro_rows,
    macro_score,
    two_rows,
)
from sharewise.tasks import TaskKind

_KINDS = frozenset({TaskKind.REGRESSION, TaskKind.RECONSTRUCTION})


class RMSE(Metric):
    """Root of the mean squared error, in the target's unit; over several columns the root of their mean MSE.

    Compared as log(RMSE_b / RMSE_m) = 0.5 log(MSE_b / MSE_m): a margin of 0.02 is 2 % more error. Cost: linear.
    """

    name = "rmse"
    title = "RMSE"
    bigger_is_better = False
    kinds = _KINDS
    effect = "log_ratio"
    power = 0.5

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Root mean squared error; None where it overflows."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        with np.errstate(over="ignore"):
            mean = macro_score(cells, lambda y, p: float(((p - y) ** 2).mean()), two_rows)
        return None if mean is None else finite(mean**0.5)

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Squared error of each row; the root of their mean is the score."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            values = macro_rows(cells, lambda y, p: (p - y) ** 2, two_rows)
        return None if values is None else all_finite(values)


class NRMSE(Metric):
    """Root of the mean over columns of MSE_d / Var_d: 1 for predicting each column's mean, free of units.

    Var_d is the variance of the column's labelled truth; columns that are constant there take no part. Compared as
    a log ratio: a margin of 0.02 is 2 % more error. Undefined where every column is constant. Cost: linear.
    """

    name = "nrmse"
    title = "normalised RMSE"
    bigger_is_better = False
    kinds = _KINDS
    effect = "log_ratio"
    power = 0.5

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Root mean normalised squared error; None where it overflows."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            mean = macro_score(cells, lambda y, p: _mean_or_none(_normalised(y, p)), _varies)
        return None if mean is None else finite(mean**0.5)

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Normalised squared error of each row, the variances taken as given: they are the same for both arms."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            values = macro_rows(cells, _normalised, _varies)
        return None if values is None else all_finite(values)


class R2(Metric):
    """1 - MSE / Var(truth), the share of variance explained; over several columns their mean.

    Compared in points, since it can be zero or negative: a margin of 0.02 is 2 % of the target's variance.
    Undefined for a constant target. Cost: linear.
    """

    name = "r2"
    title = "R²"
    bigger_is_better = True
    kinds = _KINDS
    effect = "points"

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Coefficient of determination; None where it overflows."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            value = macro_score(cells, _r2, _varies)
        return None if value is None else finite(value)

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Delete-one jackknife pseudo-values, exact."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            values = macro_rows(cells, _r2_rows, _varies)
        return None if values is None else all_finite(values)


def _varies(truth: Array) -> bool:
    return len(truth) >= 2 and bool(truth.min() < truth.max())


def _mean_or_none(values: Array | None) -> float | None:
    return None if values is None else float(values.mean())


def _normalised(truth: Array, prediction: Array) -> Array | None:
    variance = truth.var()
    if not variance > 0:
        return None
    result: Array = (prediction - truth) ** 2 / variance
    return result


def _r2(truth: Array, prediction: Array) -> float | None:
    spread = ((truth - truth.mean()) ** 2).sum()
    if not spread > 0:
        return None
    return float(1.0 - ((prediction - truth) ** 2).sum() / spread)


def _r2_rows(truth: Array, prediction: Array) -> Array | None:
    n = len(truth)
    score = _r2(truth, prediction)
    error = (prediction - truth) ** 2
    deviation = (truth - truth.mean()) ** 2
    spread = deviation.sum() - deviation * n / (n - 1)
    # A target that only one row moves is constant without it: R2 and its variance are then undefined.
    if score is None or spread.min() <= 1e-12 * deviation.sum():
        return None
    return jackknife(score, 1.0 - (error.sum() - error) / spread)
