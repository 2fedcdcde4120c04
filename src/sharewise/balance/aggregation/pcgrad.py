"""PCGrad: project conflicting gradients off each other."""

from __future__ import annotations

from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Aggregator
from sharewise.balance.noise import Noise
from sharewise.balance.solvers import surgery
from sharewise.balance.solvers.matrix import cosines


class PCGrad(Aggregator):
    """Each task's gradient is projected off those it conflicts with, in random order; then the mean.

    For each i, over j != i in random order: if <g_i', g_j> < 0: g_i' -= <g_i', g_j> / |g_j|^2 g_j; d = (1/n)
    sum_i g_i' (Yu et al. 2020, arXiv 2001.06782, algorithm 1). Works on coefficients: T steps of T x T tensor
    operations, no vector of length P. Differs from the paper: the mean where it has the sum.
    """

    def __init__(self) -> None:
        super().__init__()
        self.noise = Noise()

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        self._built()
        cosine, norms, alive = cosines(gramian, present)
        if cosine.shape[-1] == 2:  # each has one other: there is no order to draw
            kept = surgery.off_one(cosine)
        else:
            sequence = self.noise.pairs().argsort(-1)
            self.noise.advance()
            kept = surgery.project(cosine * alive.unsqueeze(-1), sequence)
        share = masked.uniform(present) * norms
        unit = (share.unsqueeze(-2) @ kept).squeeze(-2)
        return unit / norms.where(alive, norms.new_ones(())) * alive
