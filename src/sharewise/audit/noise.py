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
    joint = np.bincount(given[counted] * n_classes + guess[counted], minlength=n_classes**2).reshape(n_classes, n_classes)
    scaled = joint / np.maximum(joint.sum(1, keepdims=True), 1) * counts[:, None]
    rate = float(1 - np.trace(scaled) / max(scaled.sum(), 1))
    low, high = wilson(rate, int(counted.sum()))
    suspects = np.flatnonzero(counted & (guess != given))
    suspects = suspects[np.argsort(own[suspects], kind="stable")]
    return Noise(rate, low, high, suspects, own[suspects].astype(np.float64))


def residual_noise(given: Floats, predicted: Floats, limit: float = 5.0) -> Noise:
    """Noise of numbers: the share of out-of-fold residuals over `limit` = 5 robust deviations (1.4826 MAD).

    The deviation is taken in ten bins of the prediction, so that a spread that grows with the level is no noise; a bin's
    is not below half of the overall one. O(n log n).
    """
    residual = given - predicted
    ranks = rankdata(predicted, method="ordinal") - 1
    bins = (ranks * 10 // max(len(ranks), 1)).astype(np.int64)
    overall = _mad(residual)
    scale = np.empty(len(given))
    for b in range(10):
        inside = bins == b
        if inside.any():
            residual[inside] -= np.median(residual[inside])
            scale[inside] = max(_mad(residual[inside]), overall / 2)
    size = np.abs(residual) / np.maximum(scale, 1e-12)
    suspects = np.flatnonzero(size > limit)
    suspects = suspects[np.argsort(-size[suspects], kind="stable")]
    rate = len(suspects) / max(len(given), 1)
    low, high = wilson(rate, len(given))
    return Noise(rate, low, high, suspects, size[suspects])


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


def top_error(given: Rows, p: Probabilities, share: float = 0.2) -> float:
    """Share of wrong labels among the `share` most confident rows of each predicted class.

    Flipped labels are as common where the answer is easy as elsewhere, hardness is not: this separates noise from a
    hard task better than the overall error does.
    """
    guess, sure = p.argmax(1), p.max(1)
    wrong, total = 0, 0
    for c in np.unique(guess):
        rows = np.flatnonzero(guess == c)
        best = rows[np.argsort(-sure[rows], kind="stable")[: max(1, int(share * len(rows)))]]
        wrong += int((given[best] != c).sum())
        total += len(best)
    return wrong / max(total, 1)


def _mad(values: Floats) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
