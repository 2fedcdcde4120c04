"""The mean of the losses: the plain objective that every other method must beat."""

from __future__ import annotations

from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Weighting


class Equal(Weighting):
    """Mean of the losses of the tasks present: (1/n) sum_k l_k. Linear scalarisation with equal weights.

    Effective weights 1/n each, so that a single task trains as it would alone. Cost: one backward pass.
    """

    claims = frozenset({Claim.CONVEX, Claim.STATELESS, Claim.DETERMINISTIC})

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        return masked.mean(losses, present)
