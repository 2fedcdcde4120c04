"""What all tasks together say about each: an empirical-Bayes posterior of the effects of sharing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, ndtr

from sharewise.records import Comparison

Floats = npt.NDArray[np.float64]

MEAN_SD = 3.0
"""Prior SD of the mean effect over tasks, in margins: at the default margin, 6 %."""
SPREAD_SCALE = 1.0
"""Median of the half-Cauchy prior of the tasks' spread, in margins (Gelman 2006, section 4.3)."""
TAIL_DF = 4.0
"""Degrees of freedom of the effects around their mean: heavy tails let one odd task stay odd."""

_MEANS = 41
_SPREADS = 24
_NODES = 10


@dataclass(frozen=True)
class Belief:
    """Posterior of one task's effect: P(theta < -margin), and the mean and SD of theta on the metric's scale."""

    task: str
    probability_harm: float
    expected_gain: float
    sd: float


def beliefs(comparisons: Sequence[Comparison]) -> list[Belief]:
    """Posterior of every task's effect given all of them, in the order given.

    In units of the task's margin: estimate_k ~ t_df(theta_k, se_k), theta_k ~ t_4(mu, tau), mu ~ N(0, 3),
    tau ~ half-Cauchy(1). mu and tau are integrated over a grid, so that with few tasks their uncertainty, and not a
    point estimate of tau that may be zero, enters every answer; both t's are scale mixtures of normals, integrated by
    Gauss-Legendre over the quantiles of the mixing gamma, which leaves conjugate normals. One task is its own estimate
    pulled gently to zero. Cost: T x 10^5 normal densities.
    """
    if not comparisons:
        return []
    estimate = np.array([c.effect / c.margin for c in comparisons])
    error = np.array([max(c.standard_error, 1e-9) / c.margin for c in comparisons])
    grid = _Grid.of(estimate, error)
    tables = [_moments(grid, z, se, c.df) for z, se, c in zip(estimate, error, comparisons, strict=True)]
    log_weight = grid.log_prior + sum(table.log_likelihood for table in tables)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    found = []
    for c, table in zip(comparisons, tables, strict=True):
        mean = float((weight * table.mean).sum())
        second = float((weight * table.second).sum())
        found.append(
            Belief(
                c.task,
                min(1.0, float((weight * table.harm).sum())),
                mean * c.margin,
                max(second - mean**2, 0.0) ** 0.5 * c.margin,
            )
        )
    return found


@dataclass(frozen=True)
class _Grid:
    """Values (G,) of mu and tau with their log prior, prior times the cell they stand for."""

    mu: Floats
    tau: Floats
    log_prior: Floats

    @classmethod
    def of(cls, estimate: Floats, error: Floats) -> _Grid:
        """Grid over where the data and the prior put the mean: the prior's 3 SD, and the estimates' own range."""
        low = min(-3 * MEAN_SD, float(np.min(estimate - error)))
        high = max(3 * MEAN_SD, float(np.max(estimate + error)))
        # Dense near the middle of the estimates: u^3 spacing keeps 41 points enough for narrow posteriors.
        middle = float(np.clip(np.average(estimate, weights=1 / (error**2 + 1.0)), low, high))
        u = np.linspace(-1, 1, _MEANS)
        curve = 0.15 * u + 0.85 * u**3
        mu = np.where(u < 0, middle + (middle - low) * curve, middle + (high - middle) * curve)
        cell = np.gradient(mu)
        tau = np.geomspace(0.02, 200.0, _SPREADS)
        prior_mu = -0.5 * (mu / MEAN_SD) ** 2 + np.log(cell)
        prior_tau = -np.log1p((tau / SPREAD_SCALE) ** 2) + np.log(tau)  # tau from the logarithmic spacing
        m, t = np.meshgrid(mu, tau, indexing="ij")
        return cls(m.ravel(), t.ravel(), (prior_mu[:, None] + prior_tau[None, :]).ravel())


@dataclass(frozen=True)
class _Table:
    """Per grid point (G,): log marginal likelihood, and the posterior mean, second moment and P(theta < -1)."""

    log_likelihood: Floats
    mean: Floats
    second: Floats
    harm: Floats


def _mixing(df: float) -> tuple[Floats, Floats]:
    """Nodes and weights of the gamma(df/2, df/2) that mixes normals of variance 1 / node into a t of df."""
    if np.isinf(df) or df > 200:
        return np.ones(1), np.ones(1)
    x, w = np.polynomial.legendre.leggauss(_NODES)
    nodes: Floats = gammaincinv(df / 2, (x + 1) / 2) * 2 / df
    return nodes, w / 2


def _moments(grid: _Grid, z: float, se: float, df: float) -> _Table:
    of_error, w_error = _mixing(df)
    of_effect, w_effect = _mixing(TAIL_DF)
    b = (se**2 / of_error)[None, :, None]
    a = (grid.tau[:, None, None] ** 2) / of_effect[None, None, :]
    total = a + b
    log_density = -0.5 * (np.log(2 * np.pi * total) + (z - grid.mu[:, None, None]) ** 2 / total)
    log_density = log_density + np.log(w_error)[None, :, None] + np.log(w_effect)[None, None, :]
    top = log_density.max(axis=(1, 2))
    density = np.exp(log_density - top[:, None, None])
    mass = density.sum(axis=(1, 2))
    density /= mass[:, None, None]
    mean = (z * a + grid.mu[:, None, None] * b) / total
    variance = a * b / total
    harm = ndtr((-1.0 - mean) / np.sqrt(variance))
    return _Table(
        top + np.log(mass),
        (density * mean).sum(axis=(1, 2)),
        (density * (variance + mean**2)).sum(axis=(1, 2)),
        (density * harm).sum(axis=(1, 2)),
    )
