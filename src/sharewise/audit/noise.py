"""How many labels of a task are wrong, and which: confident learning for classes, robust residuals for numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from sharewise.audit.columns import Floats
from sharewise.audit.result import Rows

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Noise:
    """`rate` is the estimated share of wrong labels, [`low`, `high`] its 90 % interval, `suspects` positions (worst
    first) among the rows given, `scores` their self-confidence (classes) or size in robust deviations (numbers)."""

    rate: float
    low: float
    high: float
    suspects: Rows
    scores: Floats


def confident_learning(given: Rows, p: Probabilities) -> Noise:
    """Noise of class labels from out-of-fold probabilities (Northcutt, Jiang and Chuang 2021, "Confident learning").

    t_j = mean of p_ij over rows given j; C_ij counts rows given i with p_j >= t_j (the largest such j); each row of C
    is scaled to the count of its given label, Q = C / n, and the rate is 1 - trace Q. The interval is a Wilson interval
    on the rows that C counts. Suspects are the off-diagonal rows, by self-confidence. O(n C).
    """
    n, n_classes = p.shape
    own = p[np.arange(n), given]
    counts = np.bincount(given, minlength=n_classes)
    sums = np.bincount(given, weights=own.astype(np.float64), minlength=n_classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    above = p >= thresholds
    counted = above.any(1)
    guess = np.where(above, p, -1).argmax(1)
    joint = np.bincount(given[counted] * n_classes + guess[counted], minlength=n_classes**2).reshape(
        n_classes, n_classes
    )
    scaled = joint / np.maximum(joint.sum(1, keepdims=True), 1) * counts[:, None]
    rate = float(1 - np.trace(scaled) / max(scaled.sum(), 1))
    low, high = wilson(rate, int(counted.sum()))
    suspects = np.flatnonzero(counted & (guess != given))
    suspects = suspects[np.argsort(own[suspects], kind="stable")]
    return Noise(rate, low, high, suspects, own[suspects].astype(np.float64))


def residual_noise(given: Floats, predicted: Floats, limit: float = 5.0) -> tuple[Noise, float]:
    """Noise of numbers, and the share q of wrong labels that it can see.

    A residual over `limit` = 5 robust deviations (1.4826 MAD, in ten bins of the prediction, so that a spread that
    grows with the level is no noise) is a suspect. A wrong label taken at random from the task's labels would be one
    with probability q = P(|y' - prediction| > limit deviations), so that the rate is suspects / (n q). O(n log n).
    """
    residual = given - predicted
    ranks = rankdata(predicted, method="ordinal") - 1
    bins = (ranks * 10 // max(len(ranks), 1)).astype(np.int64)
    overall = _mad(residual)
    centre, scale = np.zeros(len(given)), np.empty(len(given))
    for b in range(10):
        inside = bins == b
        if inside.any():
            centre[inside] = np.median(residual[inside])
            scale[inside] = max(_mad(residual[inside]), overall / 2, 1e-12)
    size = np.abs(residual - centre) / scale
    suspects = np.flatnonzero(size > limit)
    suspects = suspects[np.argsort(-size[suspects], kind="stable")]
    # Every label against the prediction of a row far away in the table stands for a label taken at random.
    other = np.roll(given, len(given) // 2 + 1)
    seen = float((np.abs(other - predicted - centre) > limit * scale).mean())
    low, high = wilson(len(suspects) / max(len(given), 1), len(given))
    share = max(seen, 1e-6)
    rate = min(1.0, len(suspects) / max(len(given), 1) / share)
    return Noise(rate, min(1.0, low / share), min(1.0, high / share), suspects, size[suspects]), seen


def wilson(rate: float, n: int, z: float = 1.645) -> tuple[float, float]:
    """Wilson's interval for a share (two-sided 90 % by default)."""
    if n == 0:
        return 0.0, 1.0
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)


def auc(score: Floats, positive: npt.NDArray[np.bool_]) -> float | None:
    """ROC-AUC by ranks, ties half; None with one class."""
    n = int(positive.sum())
    if n in (0, len(positive)):
        return None
    ranks = rankdata(score)
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(positive) - n)))


@dataclass(frozen=True)
class Floor:
    """Errors where a model is surest: `rate` among the surest tenth of each predicted class with its 90 % interval
    [`low`, `high`], and `beyond`, the rate among the next four tenths."""

    rate: float
    low: float
    high: float
    beyond: float

    @property
    def is_plateau(self) -> bool:
        """Errors that hardly grow with doubt are flipped labels; those of a hard task start near none and grow."""
        return self.rate >= 0.6 * self.beyond


def error_floor(given: Rows, p: Probabilities) -> Floor:
    """How often the given label contradicts the out-of-fold model where it is surest.

    A hard task has easy rows, on which a model is right; flipped labels are as common there as elsewhere. Confident
    learning alone cannot tell the two apart: it calls 8 % of the clean income labels of a census wrong. O(n log n).
    """
    guess, sure = p.argmax(1), p.max(1)
    wrong, total, wrong_beyond, total_beyond = 0, 0, 0, 0
    for c in np.unique(guess):
        rows = np.flatnonzero(guess == c)
        rows = rows[np.argsort(-sure[rows], kind="stable")]
        first, half = max(1, len(rows) // 10), max(1, len(rows) // 2)
        wrong += int((given[rows[:first]] != c).sum())
        total += first
        wrong_beyond += int((given[rows[first:half]] != c).sum())
        total_beyond += max(half - first, 0)
    rate = wrong / max(total, 1)
    return Floor(rate, *wilson(rate, total), wrong_beyond / max(total_beyond, 1))


def _mad(values: Floats) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
