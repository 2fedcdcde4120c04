"""The sum of the task gradients."""

from __future__ import annotations

from torch import Tensor

from sharewise.balance.contracts import Aggregator, Claim


class Sum(Aggregator):
    """Sum of the gradients of the tasks present: w_k = 1 (unitary scalarisation, Kurin et al. 2022).

    Unlike `mean`, the step grows with the number of tasks present.
    """

    claims = frozenset({Claim.STATELESS, Claim.DETERMINISTIC})

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        return present.double()
