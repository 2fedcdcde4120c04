"""From balanced to natural."""

from __future__ import annotations

from sharewise.balance.sampling.base import Floats, Sampler, Strata, tilted


class Curriculum(Sampler):
    """p_t ~ n_t^alpha with alpha from 0 to 1: balanced at first, natural at the end.

    Wang et al. 2019 (dynamic curriculum learning, arXiv 1901.06783, with a linear schedule).
    """

    varies = True

    def __init__(self, *, repeat_cap: float | None = 20.0) -> None:
        self.repeat_cap = repeat_cap

    def shares(self, strata: Strata, progress: float) -> Floats:
        """Shares (S)."""
        return tilted(strata, strata.task_counts**progress)
