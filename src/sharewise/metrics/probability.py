"""Scores of the probabilities themselves: log loss and the Brier score."""

from __future__ import annotations

import numpy as np

from sharewise.metrics.base import Array, Metric
from sharewise.metrics.cells import Cells, codes, labelled, macro_rows, macro_score, two_rows
from sharewise.tasks import TaskKind

_KINDS = frozenset({TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL, TaskKind.MULTILABEL})
_EPS = float(np.finfo(np.float32).eps)
"""Probabilities are float32, so one nearer to 0 or 1 than this says no more than that."""


class LogLoss(Metric):
    """Mean of -log P(true class), in nats, probabilities kept within float32's 1.2e-7 of 0 and 1.

    Multilabel: mean over labels of their present cells. Compared as a log ratio: a margin of 0.02 is 2 % more
    nats than the baseline's, whatever their number. Cost: linear.
    """

    name = "log_loss"
    title = "log loss"
    bigger_is_better = False
    kinds = _KINDS
    effect = "log_ratio"

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Mean negative log-likelihood."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        if cells.by_class:
            return float(_nats(cells).mean())
        return macro_score(cells, lambda y, p: float(_binary_nats(y, p).mean()), two_rows)

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """-log P(true class) of each row."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        return _nats(cells) if cells.by_class else macro_rows(cells, _binary_nats, two_rows)


class Brier(Metric):
    """Mean squared distance of the probabilities from the truth: (p - y)^2, or half its sum over classes.

    The half makes the two-class form equal the binary one (Brier 1950 sums without it). Multilabel: mean over
    labels. Compared as a log ratio: a margin of 0.02 is 2 % of the baseline's score. Cost: linear.
    """

    name = "brier"
    title = "Brier score"
    bigger_is_better = False
    kinds = _KINDS
    effect = "log_ratio"

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Mean squared distance."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        if cells.by_class:
            return float(_distance(cells).mean())
        return macro_score(cells, lambda y, p: float(((p - y) ** 2).mean()), two_rows)

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Squared distance of each row."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        return _distance(cells) if cells.by_class else macro_rows(cells, lambda y, p: (p - y) ** 2, two_rows)


def _nats(cells: Cells) -> Array:
    chosen = np.take_along_axis(cells.prediction, codes(cells)[:, None], axis=1)[:, 0]
    result: Array = -np.log(np.clip(chosen, _EPS, 1.0 - _EPS))
    return result


def _binary_nats(truth: Array, prediction: Array) -> Array:
    p = np.clip(prediction, _EPS, 1.0 - _EPS)
    result: Array = -np.where(truth > 0.5, np.log(p), np.log1p(-p))
    return result


def _distance(cells: Cells) -> Array:
    miss = cells.prediction.copy()
    miss[np.arange(cells.n), codes(cells)] -= 1.0
    result: Array = 0.5 * (miss**2).sum(axis=1)
    return result
