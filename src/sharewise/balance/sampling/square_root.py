"""Tasks by the square root of their labels."""

from __future__ import annotations

import numpy as np

from sharewise.balance.sampling.base import Floats, Sampler, Strata, tilted


class SquareRoot(Sampler):
    """p_t ~ sqrt(n_t): between proportional and balanced (Mahajan et al. 2018, arXiv 1805.00932)."""

    def __init__(self, *, repeat_cap: float | None = 20.0) -> None:
        self.repeat_cap = repeat_cap

    def shares(self, strata: Strata, progress: float) -> Floats:
        """Shares (S)."""
        return tilted(strata, np.sqrt(strata.task_counts))
