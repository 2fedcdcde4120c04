"""IMTL-G: the direction with equal projections on all task gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance.contracts import Aggregator, Claim
from sharewise.balance.solvers.matrix import apply, cosines, pseudo_inverse


class IMTLG(Aggregator):
    """Weights that sum to one and give d the same projection on every unit gradient: C (n w) = const.

    w = v / sum v, v = C^+ 1 / n with cosines C and norms n (Liu et al. 2021, "Towards impartial multi-task
    learning", equation 3). Differs from the paper: where sum v is negative the paper's direction ascends
    every task; here the sign is kept positive, and a sum below 1e-6 of its terms counts as that, where the
    paper's inverse blows up. Weights can be negative. Cost: one eigendecomposition.
    """

    claims = frozenset({Claim.STATELESS, Claim.DETERMINISTIC})

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        cosine, norms, alive = cosines(gramian, present)
        inverse = torch.where(alive, 1.0 / norms.where(alive, norms.new_ones(())), torch.zeros_like(norms))
        raw = apply(pseudo_inverse(cosine, alive), alive.double()) * inverse
        bound = 1e-6 * raw.abs().sum(-1, keepdim=True)
        return raw / torch.maximum(raw.sum(-1, keepdim=True).abs(), bound).clamp(min=1e-300)
