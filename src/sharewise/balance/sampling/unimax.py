"""UniMax: as uniform as a cap on repetitions allows."""

from __future__ import annotations

import numpy as np

from sharewise.balance.sampling.base import Floats, Sampler, Strata, tilted


class UniMax(Sampler):
    """An equal budget for every task, no task repeated more than `max_repeats` times an epoch.

    Chung et al. 2023 (arXiv 2304.09151, algorithm 1): tasks in ascending order of size, each given the
    remaining budget over the remaining tasks, or `max_repeats` times its labels where that is less.
    """

    def __init__(self, *, max_repeats: float = 4.0) -> None:
        self.max_repeats = max_repeats
        self.repeat_cap = max_repeats

    def shares(self, strata: Strata, progress: float) -> Floats:
        """Shares (S)."""
        counts = strata.task_counts
        left, rates = float(counts.sum()), np.zeros(len(counts))
        order = np.argsort(counts, kind="stable")
        for i, task in enumerate(order):
            rates[task] = min(left / (len(order) - i), self.max_repeats * counts[task])
            left -= rates[task]
        return tilted(strata, rates)
