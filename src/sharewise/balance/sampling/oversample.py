"""Scarce tasks repeated, others as they are."""

from __future__ import annotations

import numpy as np

from sharewise.balance.sampling.base import Floats, Sampler, Strata, tilted


class Oversample(Sampler):
    """p_t ~ min(max_s n_s, cap n_t): each task is repeated towards the greatest, at most `repeat_cap` times.

    Random oversampling of tasks with a cap on repetition (Johnson and Khoshgoftaar 2019 for classes).
    """

    def __init__(self, *, repeat_cap: float = 5.0) -> None:
        self.repeat_cap = repeat_cap
        self.cap = repeat_cap

    def shares(self, strata: Strata, progress: float) -> Floats:
        """Shares (S)."""
        counts = strata.task_counts
        return tilted(strata, np.minimum(counts.max(), self.cap * counts))
