"""Mean absolute error."""

from __future__ import annotations

import numpy as np

from sharewise.metrics.base import Array, Metric
from sharewise.metrics.cells import all_finite, finite, labelled, macro_rows, macro_score, two_rows
from sharewise.tasks import TaskKind


class MAE(Metric):
    """Mean absolute error in the target's unit; over several columns their mean.

    Compared as a log ratio: a margin of 0.02 is 2 % more error. Cost: linear.
    """

    name = "mae"
    title = "MAE"
    bigger_is_better = False
    kinds = frozenset({TaskKind.REGRESSION})
    effect = "log_ratio"

    def score(self, truth: Array, present: Array, prediction: Array) -> float | None:
        """Mean absolute error; None where it overflows."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        with np.errstate(over="ignore"):
            value = macro_score(cells, lambda y, p: float(np.abs(p - y).mean()), two_rows)
        return None if value is None else finite(value)

    def per_row(self, truth: Array, present: Array, prediction: Array) -> Array | None:
        """Absolute error of each row."""
        cells = labelled(truth, present, prediction)
        if cells is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            values = macro_rows(cells, lambda y, p: np.abs(p - y), two_rows)
        return None if values is None else all_finite(values)
