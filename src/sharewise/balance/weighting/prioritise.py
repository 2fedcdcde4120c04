"""Dynamic task prioritisation: hard tasks first."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Needs, TaskFacts, Weighting


class Prioritise(Weighting):
    """w_k proportional to -(1 - kappa_k)^gamma log kappa_k, kappa the smoothed score of the task in (0, 1].

    Guo et al. 2018 (Dynamic Task Prioritization, ECCV, equation 4): a focal loss over tasks. Scores are
    validation scores of the epoch (1 is perfect), smoothed by `decay`; equal weights before the first.
    Differs from the paper: once an epoch instead of every step, weights sum to one, and a perfect task keeps
    1e-3. Cost: one backward pass.
    """

    needs = Needs(epoch_means=True, epoch_scores=True)
    claims = frozenset({Claim.CONVEX, Claim.DETERMINISTIC})
    score: Tensor

    def __init__(self, *, gamma: float = 1.0, decay: float = 0.5) -> None:
        super().__init__()
        self.gamma, self.decay = gamma, decay

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.register_buffer("score", torch.full(shape, -1.0, dtype=torch.float64))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        self._built()
        known = self.score >= 0
        score = self.score.clamp(1e-6, 1.0)
        focus = (-((1.0 - score) ** self.gamma) * score.log()).clamp(min=1e-3)
        ready = (known | ~present).all(-1, keepdim=True)
        raw = torch.where(ready, focus, torch.ones_like(focus)) * present
        weights = raw / raw.sum(-1, keepdim=True).clamp(min=1e-300)
        return masked.total(weights.to(losses.dtype) * losses, present)

    def after_epoch(self, means: Tensor, present: Tensor | None = None, scores: Tensor | None = None) -> None:
        """Take note of the epoch's validation scores (..., T); nan where a task has none."""
        self._built()
        if scores is None:
            return
        new = scores.double()
        there = new.isfinite() if present is None else new.isfinite() & present
        new = new.nan_to_num().clamp(0.0, 1.0)
        mixed = torch.where(self.score >= 0, self.decay * self.score + (1 - self.decay) * new, new)
        self.score = torch.where(there, mixed, self.score)
