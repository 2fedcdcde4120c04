"""Run variances of many tasks, shrunk to their common prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, polygamma

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """Scaled inverse chi-squared prior of a run variance: sigma^2 ~ d0 s0^2 / chi^2_d0; `df` d0 may be infinite."""

    df: float
    variance: float

    def shrink(self, variance: float, df: float, pooled: float) -> tuple[float, float]:
        """Posterior variance (d0 s0^2 + d s^2) / (d0 + d) and its degrees of freedom min(d0 + d, pooled).

        Smyth (2004), section 3; `pooled`, the sum of all tasks' degrees of freedom, caps what the prior can add,
        since it was estimated from no more than that. An arm of one run (d = 0) gets the prior itself.
        """
        total = min(self.df + df, pooled)
        if np.isinf(self.df):
            return self.variance, total
        return (self.df * self.variance + df * variance) / (self.df + df), total


def fit_prior(variances: Floats, dfs: Floats) -> Prior:
    """Prior of `variances` (G,), each s^2 ~ sigma^2 chi^2_d / d with d from `dfs` (G,), by moments of log s^2.

    With e = log s^2 - psi(d/2) + log(d/2): psi'(d0/2) = var(e) - mean psi'(d/2), infinite d0 where that is not
    positive, and log s0^2 = mean(e) + psi(d0/2) - log(d0/2) (Smyth 2004, section 6.2). Zeros are raised to 1e-5
    of the median first, as their logarithm would carry the fit. Raises ValueError with fewer than two.
    """
    if len(variances) < 2:
        raise ValueError(f"A prior needs two variances or more; however, {len(variances)} are given.")
    middle = float(np.median(variances))
    if middle <= 0:
        return Prior(float("inf"), float(variances.mean()))
    z = np.log(np.maximum(variances, 1e-5 * middle))
    e = z - digamma(dfs / 2) + np.log(dfs / 2)
    spread = float(e.var(ddof=1) - polygamma(1, dfs / 2).mean())
    if spread <= 0:
        return Prior(float("inf"), float(np.exp(e.mean())))
    d0 = 2 * inverse_trigamma(spread)
    return Prior(d0, float(np.exp(e.mean() + digamma(d0 / 2) - np.log(d0 / 2))))


def inverse_trigamma(x: float) -> float:
    """y with psi'(y) = x for x > 0, by Newton's method on 1 / psi', which is convex and nearly linear.

    Smyth (2004), appendix: from y = 1/2 + 1/x, add psi'(y) (1 - psi'(y) / x) / psi''(y); every step rises, so it
    converges from below. Outside [1e-6, 1e7] the asymptotes 1/x and 1/sqrt(x) are exact to double precision's half.
    """
    if not x > 0:
        raise ValueError(f"The trigamma function takes positive values only; however, {x} is asked for.")
    if x > 1e7:
        return float(1 / np.sqrt(x))
    if x < 1e-6:
        return 1 / x
    y = 0.5 + 1 / x
    for _ in range(50):
        trigamma = float(polygamma(1, y))
        step = trigamma * (1 - trigamma / x) / float(polygamma(2, y))
        y += step
        if -step / y < 1e-12:
            break
    return y
