"""Suggestions from gradient cosines."""

from __future__ import annotations

import numpy as np

from sharewise.errors import ConfigError, Problem
from sharewise.grouping.base import Affinity, Estimate, Floats, Measured


class Cosine(Affinity):
    """Tasks whose gradients agree more than tasks on average do are suggested as partners.

    theta_kj = (cos(g_k, g_j) - mean) / sd over all pairs, mean over the joint run's steps; gain_k(S) their mean over
    S. It has no unit and no error, and says little of real gains (rank correlation about 0 on published tables), so
    that it only suggests plans to train. Cost: none beyond the joint run.
    """

    measures_groups = False

    def fit(self, measured: Measured, hints: Floats | None = None) -> Estimate:
        """See `Affinity.fit`; raises ConfigError where no cosines were recorded."""
        made = suggested(hints)
        if made is None:
            raise ConfigError(
                Problem(
                    "The search by cosine reads the gradient cosines of the joint run",
                    "none were recorded",
                    "balance the joint run by a method that works on task gradients, or search by surrogate",
                )
            )
        return made


def suggested(scores: Floats | None) -> Estimate | None:
    """Scores (K, K) of pairs, row k the task that is helped, as standard deviations above their mean; without unit or
    error. None where there is no score."""
    if scores is None:
        return None
    k_tasks = len(scores)
    off = ~np.eye(k_tasks, dtype=bool) & np.isfinite(scores)
    if not off.any():
        return None
    theta = np.zeros((k_tasks, k_tasks))
    spread = float(scores[off].std())
    theta[off] = (scores[off] - scores[off].mean()) / (spread if spread > 0 else 1.0)
    return Estimate(np.zeros(k_tasks), theta, np.zeros((k_tasks, k_tasks + 1, k_tasks + 1)), average=True)
