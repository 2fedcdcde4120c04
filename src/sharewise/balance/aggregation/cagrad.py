"""CAGrad: near the mean gradient, the direction that is best for the worst task."""

from __future__ import annotations

from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Aggregator, Claim
from sharewise.balance.solvers import averse
from sharewise.balance.solvers.matrix import cosines
from sharewise.errors import ConfigError, Problem


class CAGrad(Aggregator):
    """argmax_d min_k <g_k, d> subject to |d - g_0| <= c |g_0|, g_0 the mean gradient.

    w = 1/n + (c |g_0| / |J^T v|) v with v minimising v^T G 1/n + c |g_0| sqrt(v^T G v) over the simplex (Liu
    et al. 2021, arXiv 2110.14048, algorithm 1). `c` 0.4 as in the authors' large experiments; 0 is the mean,
    large c is MGDA's direction. `rescale` divides by 1 + c^2 as some public code does. Exact where public
    code stops a generic optimiser. Cost: 3 to 8 factorisations.
    """

    claims = frozenset({Claim.STATELESS, Claim.DETERMINISTIC})

    def __init__(self, *, c: float = 0.4, rescale: bool = False) -> None:
        super().__init__()
        if not c >= 0:
            raise ConfigError(Problem("'c' must not be negative", f"it is {c}"))
        self.c, self.rescale = c, rescale

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        cosine, norms, alive = cosines(gramian, present)
        share = masked.uniform(present)
        still = (present ^ alive).any(-1, keepdim=True)  # at a task's minimum nothing can be added
        weights = share + averse.solve(cosine, norms, alive & ~still, share, self.c)
        return weights / (1.0 + self.c**2) if self.rescale else weights
