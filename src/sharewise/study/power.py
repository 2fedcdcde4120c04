"""Before a study: what its test rows and runs will be able to decide, task by task."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr

from sharewise.study.compare import ERROR, t_quantile
from sharewise.study.judge import FEW_RARE, FEW_ROWS, MOST_RUNS, POWER
from sharewise.tasks import Task, TaskKind

CORRELATION = 0.8
"""Assumed correlation of two models' values of one row: they answer the same rows, and mostly alike."""
AUC = 0.8
ACCURACY_VARIANCE = 0.033
"""Variance over rows of the run-averaged relative difference of two models' hits: accuracy 0.85, 7 % disagreement."""
ERROR_SPREAD = 0.756
"""Standard deviation over mean of a half-normal error."""
RUN_SD = 0.01
"""Assumed standard deviation between runs, of the score: 0.2-4 % were met on real tables."""


@dataclass(frozen=True)
class Power:
    """What the test rows of one task allow.

    `rows_needed` is the least number with which a task that is not harmed is cleared with 80 % power by any number of
    runs, `smallest_margin` the least margin that the rows there are can clear; `power` the chance to clear such a task
    at the given runs, and `runs_needed` the runs for 80 %, None where no number does. `few` says that the rows, or
    those of the rarer class, are too few for any claim below three margins.
    """

    task: str
    n_rows: int
    n_rarest: int | None
    margin: float
    rows_needed: int
    smallest_margin: float
    power: float
    runs_needed: int | None
    few: bool

    @property
    def hopeless(self) -> bool:
        """No study of these rows can clear the margin."""
        return self.n_rows < self.rows_needed


def power_of(task: Task, truth: NDArray[np.float64], n_units: int, runs: int) -> Power:
    """Power to clear a true change of zero at the task's margin from its labelled test rows.

    V = v / n + 2 s^2 / S, with v the variance over rows of the relative difference (see `row_variance`), s = 1 % the
    assumed run SD; power = P(t_df > t_0.95 - margin / sqrt(V)). With S without bound that is at least 80 % from
    n = (z_0.95 + z_0.80)^2 v / margin^2 = 6.2 v / margin^2 rows on. `n_units` counts
    rows, or entities where they repeat.
    """
    n = max(n_units, 1)
    variance, rarest = row_variance(task, truth)
    z = float(ndtri(1 - ERROR) + ndtri(POWER))
    needed = [s for s in range(2, MOST_RUNS + 1) if _power(variance / n, s, task.margin) >= POWER]
    few = n < FEW_ROWS or (rarest is not None and task.metric in _RARE and rarest < FEW_RARE)
    return Power(
        task=task.name,
        n_rows=n_units,
        n_rarest=rarest,
        margin=task.margin,
        rows_needed=math.ceil(z**2 * variance / task.margin**2),
        smallest_margin=z * math.sqrt(variance / n),
        power=_power(variance / n, runs, task.margin),
        runs_needed=needed[0] if needed else None,
        few=few,
    )


_RARE = ("auroc", "average_precision", "f1")


def row_variance(task: Task, truth: NDArray[np.float64]) -> tuple[float, int | None]:
    """Variance v over rows of the relative difference of two like models, and the rows of the rarest class.

    Numbers: half-normal errors, v = 2 (1 - r) 0.756^2. Two classes ranked (AUROC, average precision): Hanley and McNeil
    (1982) at an AUROC of 0.8, v = 2 (1 - r) n SE^2 / 0.8^2. Other classes: accuracy 0.85 with 7 % disagreement.
    """
    paired = 2 * (1 - CORRELATION)
    if task.kind in (TaskKind.REGRESSION, TaskKind.RECONSTRUCTION):
        return paired * ERROR_SPREAD**2, None
    counts = np.bincount(truth[truth >= 0].astype(np.int64), minlength=2)
    rarest = int(counts[counts > 0].min()) if (counts > 0).sum() > 1 else 0
    if task.metric not in ("auroc", "average_precision") or not rarest:
        return ACCURACY_VARIANCE, rarest
    n = int(counts.sum())
    positives, negatives = int(counts.max()), n - int(counts.max())
    q1, q2 = AUC / (2 - AUC), 2 * AUC**2 / (1 + AUC)
    spread = AUC * (1 - AUC) + (positives - 1) * (q1 - AUC**2) + (negatives - 1) * (q2 - AUC**2)
    return paired * n * spread / (positives * negatives) / AUC**2, rarest


def _power(per_rows: float, runs: int, margin: float) -> float:
    per_runs = 2 * RUN_SD**2 / runs
    variance = per_rows + per_runs
    df = variance**2 / max(2 * (RUN_SD**2 / runs) ** 2 / max(runs - 1, 1), 1e-30)
    reach = margin / math.sqrt(variance) - t_quantile(1 - ERROR, df)
    return float(ndtr(reach) if df > 1e6 else stdtr(df, reach))
