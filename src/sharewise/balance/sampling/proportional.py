"""Every labelled row once an epoch."""

from __future__ import annotations

from sharewise.balance.sampling.base import Floats, Sampler, Strata


class Proportional(Sampler):
    """Each labelled row once an epoch, so that tasks are seen in proportion to their labels. The default."""

    def shares(self, strata: Strata, progress: float) -> Floats:
        """Natural shares (S)."""
        return strata.natural
