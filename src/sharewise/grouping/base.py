"""What every affinity method promises: measured gains in, an estimate of every group's gains out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Group = tuple[int, ...]
"""Task numbers, ascending."""


@dataclass(frozen=True)
class Measured:
    """Gains of trained groups over the single models, one row per (group, member task).

    `members` (N, K) 0/1, `task` (N,) whose gain it is, `gain` (N,) in margins of that task, plus is better;
    `variance` (N,) what the validation rows leave open of it, in squared margins.
    """

    members: Floats
    task: Ints
    gain: Floats
    variance: Floats

    @property
    def n_tasks(self) -> int:
        """Tasks of the study."""
        return int(self.members.shape[1])

    @classmethod
    def of(cls, rows: Sequence[tuple[Group, int, float, float]], n_tasks: int) -> Measured:
        """From (group, task, gain, variance) of every measured cell."""
        members = np.zeros((len(rows), n_tasks))
        for i, (group, _, _, _) in enumerate(rows):
            members[i, list(group)] = 1.0
        task = np.array([t for _, t, _, _ in rows], dtype=np.int64)
        return cls(members, task, np.array([g for *_, g, _ in rows]), np.array([v for *_, v in rows]))


@dataclass(frozen=True)
class Estimate:
    """What a method believes of every group: the gain of task k in group S is linear in who else is in S.

    gain_k(S) = intercept_k + c sum_{j in S, j != k} theta_kj, where c is 1, or 1 / (|S| - 1) if `average`.
    `intercept` (K,), `theta` (K, K) with row k the helped task and a zero diagonal, `covariance` (K, K+1, K+1) of
    (intercept_k, theta_k.), whose row and column 1 + k are zero. Units: margins.
    """

    intercept: Floats
    theta: Floats
    covariance: Floats
    average: bool = False

    @property
    def n_tasks(self) -> int:
        """Tasks of the study."""
        return len(self.intercept)

    def gains(self, group: Group) -> tuple[Floats, Floats]:
        """Mean and standard deviation (s,) of the gain of each member of a group of s >= 2 tasks."""
        s = np.array(group)
        scale = 1.0 / (len(s) - 1) if self.average else 1.0
        mean = self.intercept[s] + scale * self.theta[np.ix_(s, s)].sum(axis=1)
        weights = np.concatenate([[1.0], np.full(len(s), scale)])
        columns = np.concatenate([[0], s + 1])
        block = self.covariance[s[:, None, None], columns[None, :, None], columns[None, None, :]]
        variance = block @ weights @ weights
        return mean, np.sqrt(np.maximum(variance, 0.0))

    def all_gains(self, members: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation (G, K) for many groups, members (G, K) 0/1; cells of non-members mean nothing."""
        others = members.sum(axis=1, keepdims=True) - 1.0
        scale = 1.0 / np.maximum(others, 1.0) if self.average else np.ones_like(others)
        x = np.concatenate([np.ones_like(others), members * scale], axis=1)
        mean = self.intercept + (members @ self.theta.T) * scale
        variance = np.stack([((x @ c) * x).sum(axis=1) for c in self.covariance], axis=1)
        return mean, np.sqrt(np.maximum(variance, 0.0))


class Affinity(ABC):
    """One way to learn who helps whom."""

    measures_groups: bool = True
    """Whether it learns from trained groups; if not, from what the joint run recorded."""
    joint_run: bool = False
    """Whether it needs a joint run of its own, whose steps are looked at."""
    needs_pairs: bool = False
    """Whether every pair of tasks must have been trained."""

    @abstractmethod
    def fit(self, measured: Measured, hints: Floats | None = None) -> Estimate:
        """The estimate from measured gains, and from `hints` (K, K), a likeness of tasks that cost nothing."""

    def spread(self, estimate: Estimate, groups: Sequence[Group]) -> float:
        """Standard deviation of the mean gain over all K tasks when these groups are trained, other tasks alone.

        Here as if tasks were independent; a method that knows how they hang together says it better.
        """
        variances = [float((estimate.gains(g)[1] ** 2).sum()) for g in groups if len(g) > 1]
        return float(np.sqrt(sum(variances))) / estimate.n_tasks
