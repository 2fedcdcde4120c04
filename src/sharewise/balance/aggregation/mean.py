"""The mean of the task gradients."""

from __future__ import annotations

from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Aggregator, Claim


class Mean(Aggregator):
    """Mean gradient of the tasks present: w_k = 1/n. The same steps as the `equal` weighting, at more cost.

    Here for comparison and for its observers. Cost: reads the number of tasks present only.
    """

    claims = frozenset({Claim.CONVEX, Claim.STATELESS, Claim.DETERMINISTIC})

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        return masked.uniform(present)
