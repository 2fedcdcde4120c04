"""DualProj: the mean gradient, projected so that it conflicts with no task."""

from __future__ import annotations

from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Aggregator, Claim
from sharewise.balance.solvers import nonnegative
from sharewise.balance.solvers.matrix import apply, cosines


class DualProj(Aggregator):
    """The mean gradient projected on the dual cone {d: J d >= 0}: w = argmin_{v >= 1/n} v^T G v.

    Lopez-Paz and Ranzato 2017 (GEM, arXiv 1706.08840, equation 11). Cost: one quadratic program.
    """

    claims = frozenset({Claim.NON_CONFLICTING, Claim.STATELESS, Claim.DETERMINISTIC})

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        cosine, norms, alive = cosines(gramian, present)
        share = masked.uniform(present)
        length = share * norms
        top = length.amax(-1, keepdim=True).clamp(min=1e-300)
        slope = apply(cosine, length / top)
        extra = nonnegative.solve(cosine, slope.unsqueeze(-2)).squeeze(-2) * top
        return share + extra / norms.where(alive, norms.new_ones(())) * alive
