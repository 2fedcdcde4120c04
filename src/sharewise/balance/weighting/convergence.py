"""Convergence-aware weights: a task that has stabilised yields to those that still learn."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Needs, TaskFacts, Weighting


class Convergence(Weighting):
    """w_k proportional to max(floor, p_k / max p), p the smoothed relative fall of the epoch's mean loss.

    p_k = decay p_k + (1 - decay) max(0, 1 - L_k(t) / L_k(t-1)). Equal before the second epoch. A rising loss
    counts as no progress. Weights of the tasks present sum to one. No paper's name: a plain rule. Cost: one
    backward pass.
    """

    needs = Needs(epoch_means=True)
    claims = frozenset({Claim.CONVEX, Claim.DETERMINISTIC})
    last: Tensor
    progress: Tensor

    def __init__(self, *, floor: float = 0.1, decay: float = 0.5) -> None:
        super().__init__()
        self.floor, self.decay = floor, decay

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.register_buffer("last", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("progress", torch.full(shape, -1.0, dtype=torch.float64))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        self._built()
        progress = torch.where(present & (self.progress >= 0), self.progress, torch.zeros_like(self.progress))
        top = progress.amax(-1, keepdim=True)
        known = ((self.progress >= 0) | ~present).all(-1, keepdim=True) & (top > 0)
        raw = torch.where(known, (progress / top.clamp(min=1e-300)).clamp(min=self.floor), 1.0) * present
        weights = raw / raw.sum(-1, keepdim=True).clamp(min=1e-300)
        return masked.total(weights.to(losses.dtype) * losses, present)

    def after_epoch(self, means: Tensor, present: Tensor | None = None, scores: Tensor | None = None) -> None:
        """Take note of how much each mean loss fell."""
        self._built()
        there = torch.ones_like(means, dtype=torch.bool) if present is None else present
        both = there & (self.last > 0)
        fall = (1.0 - means.double() / self.last.where(both, torch.ones_like(self.last))).clamp(min=0)
        mixed = torch.where(self.progress >= 0, self.decay * self.progress + (1 - self.decay) * fall, fall)
        self.progress = torch.where(both, mixed, self.progress)
        self.last = torch.where(there, means.double(), self.last)
