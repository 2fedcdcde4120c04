"""UPGrad: the mean of the gradients, each projected so that it conflicts with none."""

from __future__ import annotations

from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Aggregator, Claim
from sharewise.balance.solvers import nonnegative
from sharewise.balance.solvers.matrix import cosines


class UPGrad(Aggregator):
    """Mean of the task gradients, each projected on the dual cone {d: J d >= 0}.

    w = (1/n) sum_k argmin_{v >= e_k} v^T G v (Quinton and Rey 2024, arXiv 2406.16232, definition 3 and
    proposition 1). Exact where the reference adds 1e-4 to the normalised diagonal. Cost: T quadratic programs
    in one batch.
    """

    claims = frozenset({Claim.NON_CONFLICTING, Claim.STATELESS, Claim.DETERMINISTIC})

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        cosine, norms, alive = cosines(gramian, present)
        # with two tasks the projection on the dual cone is the one off the other gradient
        lifted = (-cosine).clamp(min=0) if cosine.shape[-1] == 2 else nonnegative.solve(cosine, cosine)
        share = masked.uniform(present)
        extra = ((share * norms).unsqueeze(-2) @ lifted).squeeze(-2)
        return share + extra / norms.where(alive, norms.new_ones(())) * alive
