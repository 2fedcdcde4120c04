"""ConFIG: the direction with equal cosines to all task gradients, of their summed projection."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance.contracts import Aggregator, Claim
from sharewise.balance.solvers.matrix import apply, cosines, pseudo_inverse


class ConFIG(Aggregator):
    """d = (sum_k <g_k, d^>) d^ with d^ the unit vector along U^T C^+ 1, U unit gradients, C their cosines.

    Liu et al. 2024 (arXiv 2408.11104, equations 2 and 3). From the Gramian alone: w = s C^+ 1 / n, where
    public code takes the pseudo-inverse of a T x P matrix. The sum convention of the paper. Cost: one
    eigendecomposition.
    """

    claims = frozenset({Claim.STATELESS, Claim.DETERMINISTIC})

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        cosine, norms, alive = cosines(gramian, present)
        inverse = torch.where(alive, 1.0 / norms.where(alive, norms.new_ones(())), torch.zeros_like(norms))
        unit = apply(pseudo_inverse(cosine, alive), alive.double())
        along = apply(cosine * alive.unsqueeze(-1), unit)
        square = (unit * along).sum(-1, keepdim=True).clamp(min=1e-300)
        return unit * inverse * (norms * along).sum(-1, keepdim=True) / square
