"""FAMO: decrease all losses at the same relative rate, from losses alone."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Needs, TaskFacts, Weighting
from sharewise.balance.moments import Moments


class FAMO(Weighting):
    """c sum_k z_k log D_k, z = softmax(xi), D_k = l_k - bound + 1e-8, c = 1 / sum_k (z_k / D_k) constant.

    After the step, with the same batch: xi by Adam (`lr`, L2 `decay`) along (dz/dxi)^T (log D_before - log
    D_after), so that tasks that fell less gain weight. Liu et al. 2023 (arXiv 2306.03792, algorithm 1).
    Effective weights c z_k / D_k are on the simplex. Tasks absent keep xi and its moments and are left out of
    the softmax. Losses must exceed `bound`. Cost: one backward pass and one more forward (1.3).
    """

    needs = Needs(losses_after_step=True)
    claims = frozenset({Claim.CONVEX, Claim.SCALE_INVARIANT, Claim.DETERMINISTIC})
    logits: Tensor

    def __init__(self, *, lr: float = 0.025, decay: float = 1e-3, bound: float = 0.0) -> None:
        super().__init__()
        self.bound = bound
        self.moments = Moments(lr, decay)

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.register_buffer("logits", torch.zeros(shape, dtype=torch.float64))
        self.moments.build(shape)

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        self._built()
        share = masked.softmax(self.logits, present)
        excess = self._excess(losses.double(), present)
        factor = 1.0 / (share / excess.detach()).sum(-1).clamp(min=1e-300)
        return (factor * masked.total(share * excess.log(), present)).to(losses.dtype)

    def after_step(self, before: Tensor, after: Tensor, present: Tensor | None = None) -> None:
        """Move the logits by how much each loss (..., T) fell in the step."""
        self._built()
        there = torch.ones_like(before, dtype=torch.bool) if present is None else present
        old, new = (self._excess(x.double(), there).log() for x in (before, after))
        fall = torch.where(there, old - new, torch.zeros_like(old))
        share = masked.softmax(self.logits, there)
        gradient = share * (fall - (share * fall).sum(-1, keepdim=True))
        self.logits = self.moments.step(self.logits, gradient, there)

    def _excess(self, losses: Tensor, present: Tensor) -> Tensor:
        above = (losses - self.bound).clamp(min=0.0) + 1e-8
        return torch.where(present, above, torch.ones_like(above))
