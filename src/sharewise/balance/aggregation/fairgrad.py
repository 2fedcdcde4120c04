"""FairGrad: alpha-fair gains between utilitarian, Nash and max-min."""

from __future__ import annotations

from torch import Tensor

from sharewise.balance.contracts import Aggregator, Claim
from sharewise.balance.solvers import fair
from sharewise.balance.solvers.matrix import cosines
from sharewise.errors import ConfigError, Problem


class FairGrad(Aggregator):
    """w > 0 with G w = w^(-1/alpha): alpha near 0 the sum, 1 Nash-MTL, infinity equal gains.

    Ban and Ji 2024 (arXiv 2402.15638, equation 7). `alpha` 2 as in all of the authors' scripts. Solved
    exactly by Newton's method where the authors use a generic least-squares routine. Cost: 4 to 15
    factorisations.
    """

    claims = frozenset({Claim.NON_CONFLICTING, Claim.STATELESS, Claim.DETERMINISTIC})

    def __init__(self, *, alpha: float = 2.0) -> None:
        super().__init__()
        if not alpha > 0:
            raise ConfigError(Problem("'alpha' must be positive", f"it is {alpha}"))
        self.alpha = alpha

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        cosine, norms, alive = cosines(gramian, present)
        return fair.solve(cosine, norms, alive, self.alpha)
