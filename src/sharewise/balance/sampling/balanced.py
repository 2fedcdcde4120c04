"""Every task equally often."""

from __future__ import annotations

import numpy as np

from sharewise.balance.sampling.base import Floats, Sampler, Strata, tilted


class Balanced(Sampler):
    """Labels of every task equally often: p_t = 1/T. Scarce rows repeat, up to `repeat_cap` times."""

    def __init__(self, *, repeat_cap: float | None = 20.0) -> None:
        self.repeat_cap = repeat_cap

    def shares(self, strata: Strata, progress: float) -> Floats:
        """Shares (S)."""
        return tilted(strata, (strata.task_counts > 0).astype(np.float64))
