"""Gain on group membership: a linear surrogate per task, shrunk towards what the tasks have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from sharewise.grouping.base import Affinity, Estimate, Floats, Group, Ints, Measured

MOST_FOR_SCALES = 500
"""Gains from which the prior's scales are learnt; all gains enter the fit itself."""

MEAN_VARIANCE = 9.0
"""Prior variance of the common intercept, squared margins: at the default margin, 6 % either way."""

SHARED_ROWS = 0.5
"""Share of a gain's row variance that comes from the single model, and so is common to all gains of its task."""


@dataclass(frozen=True)
class Scales:
    """Prior variances in squared margins: a task's own intercept, the common slope, how a task responds to any partner,
    what a partner does to anyone, pairs (mutual, and one-way), the slope on the hints, and run luck."""

    task: float = 1.0
    slope: float = 0.1
    response: float = 0.05
    partner: float = 0.1
    mutual: float = 0.2
    oneway: float = 0.05
    hint: float = 0.2
    run: float = 1.0


TYPICAL = Scales()
"""Centre of the prior of the scales."""

LOG_SD = 1.5
"""Standard deviation of the logarithm of each scale around its typical value."""


class Surrogate(Affinity):
    """Ridge regression of gains on group membership with hierarchical shrinkage, by empirical Bayes.

    gain_k(S) = m + a_k + sum_{j in S, j != k} theta_kj + e,
    theta_kj = r + q_k + p_j + u_{kj} + w_kj + b h_kj,  u symmetric, h the hints,
    every letter a centred normal, so that theta and every group's gain have a closed normal posterior: with gains y,
    prior covariance G of the surface and noise C, mean = G_* (G + C)^-1 y, covariance = G_** - G_* (G + C)^-1 G_*'.
    C = diag(V_rows / 2 + s_run) plus, within a task, V_rows / 2 + s_run for the single model that all its gains are
    measured against. The variances of the letters maximise the marginal likelihood under a log-normal prior.

    Membership surrogates: Li, Ju, Sharma and Zhang 2023, "Identification of negative transfers in multitask learning
    using surrogate models", equation 3. Differs from the paper: shrinkage and variances as above, where the paper has
    an unweighted least-squares fit. Cost: O(N^3) for N gains.
    """

    def __init__(self) -> None:
        self._posterior: _Posterior | None = None

    def fit(self, measured: Measured, hints: Floats | None = None) -> Estimate:
        """See `Affinity.fit`."""
        surface = Surface(_standardised(hints, measured.n_tasks))
        self._posterior = _Posterior(surface, learn_scales(surface, measured), measured)
        return self._posterior.estimate()

    def spread(self, estimate: Estimate, groups: Sequence[Group]) -> float:
        """See `Affinity.spread`; here with the covariance between tasks."""
        if self._posterior is None:
            raise ValueError("A surrogate is asked after it was fitted; however, it was not.")
        rows = [(g, k, 0.0, 0.0) for g in groups if len(g) > 1 for k in g]
        if not rows:
            return 0.0
        cells = Measured.of(rows, estimate.n_tasks)
        _, covariance = self._posterior.at(cells.members, cells.task)
        return float(np.sqrt(max(covariance.sum(), 0.0))) / estimate.n_tasks


def _standardised(hints: Floats | None, n_tasks: int) -> Floats:
    """Hints with mean 0 and standard deviation 1 over pairs, and a zero diagonal; all zero where there are none."""
    made = np.zeros((n_tasks, n_tasks))
    if hints is None or n_tasks < 3:
        return made
    off = ~np.eye(n_tasks, dtype=bool) & np.isfinite(hints)
    values = hints[off]
    if len(values) and values.std() > 0:
        made[off] = (values - values.mean()) / values.std()
    return made


@dataclass(frozen=True)
class Surface:
    """The prior of the gains: covariances between cells, a cell being a task k and the others it shares with."""

    hints: Floats

    def parts(self, x: Floats, s: Ints, y: Floats, t: Ints) -> dict[str, Floats]:
        """Covariance (N, N') per unit of each scale between cells (x, s) and (y, t): 0/1 (N, K) and tasks (N,)."""
        x, y = x.copy(), y.copy()
        x[np.arange(len(s)), s] = 0.0
        y[np.arange(len(t)), t] = 0.0
        same = (s[:, None] == t[None, :]).astype(float)
        common = x @ y.T
        sizes = np.outer(x.sum(axis=1), y.sum(axis=1))
        crossed = x[:, t] * y[:, s].T * (1.0 - same)
        hint = np.outer((x * self.hints[s]).sum(axis=1), (y * self.hints[t]).sum(axis=1))
        within = same * common
        return {
            "mean": np.ones_like(same),
            "task": same,
            "slope": sizes,
            "response": same * sizes,
            "partner": common,
            "mutual": within + crossed,
            "oneway": within,
            "hint": hint,
        }


def _weighed(parts: dict[str, Floats], scales: Scales) -> Floats:
    made = MEAN_VARIANCE * parts["mean"]
    for name in ("task", "slope", "response", "partner", "mutual", "oneway", "hint"):
        made += getattr(scales, name) * parts[name]
    return made


def noise(measured: Measured, run: float) -> Floats:
    """Covariance (N, N) of the gains given the surface: each group's own luck, and the single model's, shared."""
    same = measured.task[:, None] == measured.task[None, :]
    root = np.sqrt(measured.variance)
    shared = np.where(same, SHARED_ROWS * np.outer(root, root) + run, 0.0)
    return shared + np.diag((1.0 - SHARED_ROWS) * measured.variance + run + 1e-6)


def log_evidence(covariance: Floats, gain: Floats) -> float:
    """log N(gain; 0, covariance), up to a constant; minus infinity where it is not positive definite."""
    try:
        lower = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return -np.inf
    z = solve_triangular(lower, gain, lower=True)
    return float(-0.5 * z @ z - np.log(np.diag(lower)).sum())


def learn_scales(surface: Surface, measured: Measured) -> Scales:
    """Scales that maximise evidence times prior, by steps of one scale at a time (factors 8, 3 and 1.5)."""
    some = _thinned(measured)
    parts = surface.parts(some.members, some.task, some.members, some.task)
    names = [n for n in ("run", "mutual", "task", "slope", "hint", "partner", "response", "oneway") if _acts(parts, n)]

    def score(scales: Scales) -> float:
        prior = sum(float(np.log(getattr(scales, n) / getattr(TYPICAL, n)) / LOG_SD) ** 2 for n in names)
        return log_evidence(_weighed(parts, scales) + noise(some, scales.run), some.gain) - 0.5 * prior

    best = Scales(**{n: getattr(TYPICAL, n) if n in names else 0.0 for n in TYPICAL.__dataclass_fields__})
    value = score(best)
    for factor in (8.0, 3.0, 1.5):
        for _ in range(3):
            before = value
            for name in names:
                for step in (factor, 1.0 / factor):
                    tried = replace(best, **{name: getattr(best, name) * step})
                    found = score(tried)
                    if found > value:
                        best, value = tried, found
                        break
            if value == before:
                break
    return best


def _acts(parts: dict[str, Floats], name: str) -> bool:
    return name == "run" or bool(np.any(parts[name]))


def _thinned(measured: Measured) -> Measured:
    """At most `MOST_FOR_SCALES` of the gains, evenly spaced."""
    n = len(measured.gain)
    if n <= MOST_FOR_SCALES:
        return measured
    keep = np.linspace(0, n - 1, MOST_FOR_SCALES).astype(int)
    return Measured(measured.members[keep], measured.task[keep], measured.gain[keep], measured.variance[keep])


class _Posterior:
    """The surface given the measured gains."""

    def __init__(self, surface: Surface, scales: Scales, measured: Measured) -> None:
        self.surface, self.scales, self.measured = surface, scales, measured
        prior = self._between(measured.members, measured.task, measured.members, measured.task)
        self.lower = np.linalg.cholesky(prior + noise(measured, scales.run))
        self.answer = solve_triangular(self.lower, measured.gain, lower=True)

    def _between(self, x: Floats, s: Ints, y: Floats, t: Ints) -> Floats:
        return _weighed(self.surface.parts(x, s, y, t), self.scales)

    def at(self, members: Floats, task: Ints) -> tuple[Floats, Floats]:
        """Mean (n,) and covariance (n, n) of the gains of cells."""
        across = self._between(self.measured.members, self.measured.task, members, task)
        half = solve_triangular(self.lower, across, lower=True)
        return half.T @ self.answer, self._between(members, task, members, task) - half.T @ half

    def estimate(self) -> Estimate:
        """Intercepts and thetas with their covariance, task by task: differences of cells with one partner and none."""
        k_tasks = self.measured.n_tasks
        intercept, theta = np.zeros(k_tasks), np.zeros((k_tasks, k_tasks))
        covariance = np.zeros((k_tasks, k_tasks + 1, k_tasks + 1))
        cells = np.concatenate([np.zeros((1, k_tasks)), np.eye(k_tasks)])
        differences = np.eye(k_tasks + 1)
        differences[1:, 0] = -1.0
        for k in range(k_tasks):
            mean, spread = self.at(cells, np.full(k_tasks + 1, k, dtype=np.int64))
            mean, spread = differences @ mean, differences @ spread @ differences.T
            mean[k + 1], spread[k + 1], spread[:, k + 1] = 0.0, 0.0, 0.0
            intercept[k], theta[k], covariance[k] = mean[0], mean[1:], spread
        return Estimate(intercept, theta, covariance)
