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

_MEANS = 31
_SPREADS = 18
_NODES = 8


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
    point estimate of tau that may be zero, enters every answer; both t's are scale mixtures of normals, integrated over the
    logarithm of the mixing gamma, which leaves conjugate normals. One task is its own estimate
    pulled gently to zero. Cost: T x 4 10^4 normal densities.
    """
    if not comparisons:
        return []
    estimate = np.array([c.effect / c.margin for c in comparisons])
    error = np.array([max(c.standard_error, 1e-9) / c.margin for c in comparisons])
    told = list(zip(estimate, error, (c.df for c in comparisons), strict=True))
    grid = _Grid.of(estimate, error)
    log_weight = grid.log_prior + sum(_log_likelihood(grid, z, se, df) for z, se, df in told)
    # Only the points that carry weight are worth their moments.
    grid, weight = grid.kept(log_weight)
    found = []
    for c, (z, se, df) in zip(comparisons, told, strict=True):
        harm, mean, second = (float(weight @ values) for values in _moments(grid, z, se, df))
        found.append(Belief(c.task, min(1.0, harm), mean * c.margin, max(second - mean**2, 0.0) ** 0.5 * c.margin))
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
        # Dense near the middle of the estimates: u^3 spacing keeps 31 points enough for narrow posteriors.
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

    def kept(self, log_weight: Floats) -> tuple[_Grid, Floats]:
        """The points that carry all but 1e-4 of the weight, and their weights."""
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        order = np.argsort(-weight)
        last = int(np.searchsorted(np.cumsum(weight[order]), 1 - 1e-4)) + 1
        chosen = order[:last]
        return _Grid(self.mu[chosen], self.tau[chosen], self.log_prior[chosen]), weight[chosen] / weight[chosen].sum()


def _mixing(df: float) -> tuple[Floats, Floats]:
    """Nodes and weights of the gamma(df/2, df/2) that mixes normals of variance 1 / node into a t of df.

    Equal steps in the logarithm of the node: there the density falls off doubly exponentially, which makes the
    trapezoid rule exact to many digits.
    """
    if np.isinf(df) or df > 200:
        return np.ones(1), np.ones(1)
    ends = np.log(gammaincinv(df / 2, np.array([1e-4, 1 - 1e-4])) * 2 / df)
    log_node = np.linspace(ends[0], ends[1], _NODES)
    log_weight = df / 2 * (log_node - np.exp(log_node))
    weight = np.exp(log_weight - log_weight.max())
    return np.exp(log_node), weight / weight.sum()


def _log_densities(grid: _Grid, z: float, se: float, df: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Log density (G, nodes) of the estimate under every pair of mixing nodes, and its parts a, b and a + b."""
    of_error, w_error = _mixing(df)
    of_effect, w_effect = _mixing(TAIL_DF)
    b = np.repeat(se**2 / of_error, len(of_effect))[None, :]
    a = grid.tau[:, None] ** 2 / np.tile(of_effect, len(of_error))[None, :]
    total = a + b
    log_weight = np.log(np.outer(w_error, w_effect)).ravel()
    log_density = log_weight - 0.5 * (np.log(2 * np.pi * total) + (z - grid.mu[:, None]) ** 2 / total)
    return log_density, a, b, total


def _log_likelihood(grid: _Grid, z: float, se: float, df: float) -> Floats:
    log_density = _log_densities(grid, z, se, df)[0]
    top = log_density.max(axis=1)
    likelihood: Floats = top + np.log(np.exp(log_density - top[:, None]).sum(axis=1))
    return likelihood


def _moments(grid: _Grid, z: float, se: float, df: float) -> tuple[Floats, Floats, Floats]:
    """Per grid point (G,): P(theta < -1), E(theta) and E(theta^2) given the estimate, in margins."""
    log_density, a, b, total = _log_densities(grid, z, se, df)
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    density /= density.sum(axis=1, keepdims=True)
    mean = (z * a + grid.mu[:, None] * b) / total
    variance = a * b / total
    harm = ndtr((-1.0 - mean) / np.sqrt(variance))
    return (density * harm).sum(axis=1), (density * mean).sum(axis=1), (density * (variance + mean**2)).sum(axis=1)
