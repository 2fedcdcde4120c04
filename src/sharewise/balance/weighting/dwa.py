"""DWA: more weight to tasks whose loss falls more slowly."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Needs, TaskFacts, Weighting


class DWA(Weighting):
    """w = softmax(r / temperature), r_k = L_k(t-1) / L_k(t-2) of epoch means; equal for the first two epochs.

    Liu et al. 2019 (arXiv 1803.10704, equation 7), temperature 2. Differs from the paper: weights sum to one
    where its sum to T. Losses must be positive. Cost: one backward pass.
    """

    needs = Needs(epoch_means=True)
    claims = frozenset({Claim.CONVEX, Claim.DETERMINISTIC})
    last: Tensor
    ratio: Tensor

    def __init__(self, *, temperature: float = 2.0) -> None:
        super().__init__()
        self.temperature = temperature

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.register_buffer("last", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("ratio", torch.ones(shape, dtype=torch.float64))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        self._built()
        weights = masked.softmax(self.ratio / self.temperature, present)
        return masked.total(weights.to(losses.dtype) * losses, present)

    def after_epoch(self, means: Tensor, present: Tensor | None = None, scores: Tensor | None = None) -> None:
        """Take note of the epoch's mean losses."""
        self._built()
        there = torch.ones_like(means, dtype=torch.bool) if present is None else present
        both = there & (self.last > 0)
        ratio = means.double() / self.last.where(both, torch.ones_like(self.last))
        self.ratio = torch.where(both, ratio, self.ratio)
        self.last = torch.where(there, means.double(), self.last)
