"""What all tasks together say about each: an empirical-Bayes posterior of the effects of sharing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, ndtr, ndtri

from sharewise.records import Comparison, PooledEffect
from sharewise.study.compare import ERROR

Floats = npt.NDArray[np.float64]

MEAN_SD = 3.0
"""Prior SD of the mean effect over tasks, in margins: at the default margin, 6 %."""
TOLD_MEAN_SD = 30.0
"""The same for the mean that is told: ten times as wide, so that tasks which all lose half their score are not taken
for outliers around nothing. What ships is decided with the narrow one, which doubts a great mean gain."""
SPREAD_MEDIAN = 1.0
SPREAD_LOG_SD = 1.0
"""Log-normal prior of the spread of effects over tasks: median one margin, 95 % between 1/7 and 7. Its density vanishes
at zero (Chung et al. 2013): tasks that look alike by luck are not taken for exchangeable copies of one effect."""
TAIL_DF = 4.0
"""Degrees of freedom of the effects around their mean: heavy tails let one odd task stay odd."""

_MEANS = 31
_FINE = 301
_SPREADS = 18
_NODES = 11


@dataclass(frozen=True)
class Belief:
    """Posterior of one task's effect: P(theta < -margin), and the mean and SD of theta on the metric's scale."""

    task: str
    probability_harm: float
    expected_gain: float
    sd: float


def beliefs(comparisons: Sequence[Comparison]) -> list[Belief]:
    """Posterior of every task's effect given all of them, in the order given.

    In units of the task's margin: estimate_k ~ N(theta_k, s_k^2), theta_k ~ t_4(mu, tau), mu ~ N(0, 3),
    log tau ~ N(0, 1).
    s_k is the SD of the normal whose 90 % interval is the comparison's own: a t likelihood would let a crowd of like
    tasks explain a bad one away as an outlier of its measurement. mu and tau are integrated over a grid, so that with
    few tasks their uncertainty, and not a point estimate of tau that may be zero, enters every answer; the t is a scale
    mixture of normals over the logarithm of its mixing gamma, which leaves conjugate normals. One task is its own
    estimate pulled gently to zero. Cost: T x 6,000 normal densities.
    """
    if not comparisons:
        return []
    estimate = np.array([c.effect / c.margin for c in comparisons])
    error = np.array([_normal_sd(c) / c.margin for c in comparisons])
    grid = _Grid.of(estimate, error)
    tables = [_table(grid, z, se) for z, se in zip(estimate, error, strict=True)]
    log_weight = grid.log_prior + sum(table[0] for table in tables)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    found = []
    for c, table in zip(comparisons, tables, strict=True):
        harm, mean, second = (float(weight @ values) for values in table[1:])
        found.append(Belief(c.task, min(1.0, harm), mean * c.margin, max(second - mean**2, 0.0) ** 0.5 * c.margin))
    return found


def pooled(comparisons: Sequence[Comparison], families: Mapping[str, str | None]) -> list[PooledEffect]:
    """The mean of the effects and their spread between tasks, under the posterior of `beliefs`: for all tasks of a
    scale, and for each grouped declaration (`families` by task) of two tasks or more.

    The interval is the central 90 % of mu, the mean of the tasks that these are a sample of, here with the prior
    N(0, 30); `between_sd` is the posterior mean of tau. Effects are counted in the median margin of their set. One
    task has no pooled effect.
    """
    found: list[PooledEffect] = []
    for scale in ("relative", "points"):
        on_scale = [c for c in comparisons if c.scale == scale]
        by_family: dict[str, list[Comparison]] = {}
        for c in on_scale:
            if (family := families.get(c.task)) is not None:
                by_family.setdefault(family, []).append(c)
        found += [_pooled(None, on_scale)] if len(on_scale) > 1 else []
        found += [_pooled(family, members) for family, members in by_family.items() if len(members) > 1]
    return found


def _pooled(family: str | None, comparisons: Sequence[Comparison]) -> PooledEffect:
    unit = float(np.median([c.margin for c in comparisons]))
    estimate = np.array([c.effect / unit for c in comparisons])
    error = np.array([_normal_sd(c) / unit for c in comparisons])
    grid = _Grid.of(estimate, error, _FINE, TOLD_MEAN_SD)
    log_weight = grid.log_prior + sum(_table(grid, z, se)[0] for z, se in zip(estimate, error, strict=True))
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    means = grid.mu.reshape(_FINE, -1)[:, 0]
    # A cell's mass lies half on either side of its node, so that the distribution function is known at the nodes.
    mass = weight.reshape(_FINE, -1).sum(axis=1)
    below = np.cumsum(mass) - mass / 2
    low, high = (float(np.interp(q, below, means)) * unit for q in (ERROR, 1 - ERROR))
    mean, spread = float(weight @ grid.mu) * unit, float(weight @ grid.tau) * unit
    return PooledEffect(family, len(comparisons), comparisons[0].scale, mean, low, high, spread)


def _normal_sd(c: Comparison) -> float:
    """SD of the normal with the comparison's interval; never nothing, as a grid cannot hold a point."""
    return max((c.high - c.low) / (2 * float(ndtri(1 - ERROR))), 1e-4 * c.margin)


@dataclass(frozen=True)
class _Grid:
    """Values (G,) of mu and tau with their log prior, prior times the cell they stand for."""

    mu: Floats
    tau: Floats
    log_prior: Floats

    @classmethod
    def of(cls, estimate: Floats, error: Floats, n_means: int = _MEANS, mean_sd: float = MEAN_SD) -> _Grid:
        """Grid over where the data and the prior put the mean: the prior's 3 SD, and the estimates' own range."""
        low = min(-3 * mean_sd, float(np.min(estimate - error)))
        high = max(3 * mean_sd, float(np.max(estimate + error)))
        # Dense near the middle of the estimates: u^3 spacing keeps 31 points enough for narrow posteriors.
        middle = float(np.clip(np.average(estimate, weights=1 / (error**2 + 1.0)), low, high))
        u = np.linspace(-1, 1, n_means)
        curve = 0.15 * u + 0.85 * u**3
        mu = np.where(u < 0, middle + (middle - low) * curve, middle + (high - middle) * curve)
        cell = np.gradient(mu)
        log_tau = np.log(SPREAD_MEDIAN) + SPREAD_LOG_SD * np.linspace(-3, 5, _SPREADS)
        prior_mu = -0.5 * (mu / mean_sd) ** 2 + np.log(cell)
        prior_tau = -0.5 * ((log_tau - np.log(SPREAD_MEDIAN)) / SPREAD_LOG_SD) ** 2
        m, t = np.meshgrid(mu, np.exp(log_tau), indexing="ij")
        return cls(m.ravel(), t.ravel(), (prior_mu[:, None] + prior_tau[None, :]).ravel())


def _mixing() -> tuple[Floats, Floats]:
    """Nodes and weights of the gamma(df/2, df/2) that mixes normals of variance 1 / node into a t of TAIL_DF.

    Equal steps in the logarithm of the node: there the density falls off doubly exponentially, which makes the
    trapezoid rule exact to many digits.
    """
    half = TAIL_DF / 2
    ends = np.log(gammaincinv(half, np.array([1e-4, 1 - 1e-4])) / half)
    log_node = np.linspace(ends[0], ends[1], _NODES)
    log_weight = half * (log_node - np.exp(log_node))
    weight = np.exp(log_weight - log_weight.max())
    return np.exp(log_node), weight / weight.sum()


def _table(grid: _Grid, z: float, se: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Per grid point (G,): log likelihood of the estimate, and given it P(theta < -1), E(theta) and E(theta^2)."""
    nodes, weight = _mixing()
    spread = grid.tau[:, None] ** 2 / nodes[None, :]
    total = spread + se**2
    log_density = np.log(weight) - 0.5 * (np.log(2 * np.pi * total) + (z - grid.mu[:, None]) ** 2 / total)
    top = log_density.max(axis=1, keepdims=True)
    density = np.exp(log_density - top)
    mass = density.sum(axis=1, keepdims=True)
    density /= mass
    mean = (z * spread + grid.mu[:, None] * se**2) / total
    variance = spread * se**2 / total
    harm = ndtr((-1.0 - mean) / np.sqrt(variance))
    return (
        (top + np.log(mass))[:, 0],
        (density * harm).sum(axis=1),
        (density * mean).sum(axis=1),
        (density * (variance + mean**2)).sum(axis=1),
    )
