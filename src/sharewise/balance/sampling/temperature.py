"""Tasks by a power of their labels, great ones capped."""

from __future__ import annotations

import numpy as np

from sharewise.balance.sampling.base import Floats, Sampler, Strata, tilted
from sharewise.errors import ConfigError, Problem


class Temperature(Sampler):
    """p_t ~ min(n_t, cap)^(1 / temperature): 1 proportional, 2 square root, infinity balanced.

    Raffel et al. 2020 (T5, arXiv 1910.10683, section 3.5.2) and Arivazhagan et al. 2019. `cap` (labels, None:
    no cap) bounds what a great task counts for; `repeat_cap` how often a row repeats in an epoch.
    """

    def __init__(self, *, temperature: float = 2.0, cap: float | None = None, repeat_cap: float | None = 20.0) -> None:
        if not temperature > 0:
            raise ConfigError(Problem("'temperature' must be positive", f"it is {temperature}"))
        self.temperature, self.cap, self.repeat_cap = temperature, cap, repeat_cap

    def shares(self, strata: Strata, progress: float) -> Floats:
        """Shares (S)."""
        counts = strata.task_counts
        if self.cap is not None:
            counts = np.minimum(counts, self.cap)
        return tilted(strata, counts ** (1.0 / self.temperature))
