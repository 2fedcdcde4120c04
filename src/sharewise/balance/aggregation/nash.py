"""Nash-MTL: the Nash bargaining solution of the tasks."""

from __future__ import annotations

from torch import Tensor

from sharewise.balance.contracts import Aggregator, Claim
from sharewise.balance.solvers import fair
from sharewise.balance.solvers.matrix import cosines, inner


class Nash(Aggregator):
    """w > 0 with G w = 1 / w: the direction that maximises sum_k log <d, g_k> in the unit ball, unnormalised.

    Navon et al. 2022 (arXiv 2202.01017, claim 3.1). Scale-invariant: w_k goes to w_k / s. `max_norm` bounds
    |d| = sqrt(w^T G w) as the authors' code does (there always sqrt(T), so that it rescales every step).
    Differs from the paper: the equation is solved exactly by Newton's method where the authors' iterations
    stop early (residuals of 4 to 20 with 8 and 40 tasks of unequal norms). Tasks without a gradient get
    weight 0. Cost: 4 to 10 factorisations of a T x T matrix.
    """

    claims = frozenset({Claim.NON_CONFLICTING, Claim.SCALE_INVARIANT, Claim.STATELESS, Claim.DETERMINISTIC})

    def __init__(self, *, max_norm: float | None = 1.0) -> None:
        super().__init__()
        self.max_norm = max_norm

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        cosine, norms, alive = cosines(gramian, present)
        found = fair.solve(cosine, norms, alive, 1.0)
        if self.max_norm is None:
            return found
        length = inner(cosine, found * norms).clamp_(min=1e-300).sqrt_().unsqueeze(-1)
        return found * (self.max_norm / length).clamp_(max=1.0)
