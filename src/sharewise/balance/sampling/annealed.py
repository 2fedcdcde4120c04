"""From nearly proportional to nearly balanced."""

from __future__ import annotations

from sharewise.balance.sampling.base import Floats, Sampler, Strata, tilted


class Annealed(Sampler):
    """p_t ~ n_t^alpha with alpha = 1 - 0.8 progress: tasks even out towards the end.

    Stickland and Murray 2019 (PALs, arXiv 1902.02671, section 4.1). `last` is alpha in the last epoch.
    """

    varies = True

    def __init__(self, *, last: float = 0.2, repeat_cap: float | None = 20.0) -> None:
        self.last, self.repeat_cap = last, repeat_cap

    def shares(self, strata: Strata, progress: float) -> Floats:
        """Shares (S)."""
        return tilted(strata, strata.task_counts ** (1.0 + (self.last - 1.0) * progress))
