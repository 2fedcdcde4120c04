"""Losses relative to their first value."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance.contracts import Claim, Scaling, TaskFacts


class Initial(Scaling):
    """Divides each loss by its mean over the first `steps` steps the task was present: l_k / l_k(0).

    Every task starts at about 1. Scale-invariant. Losses must be positive. Cost: none.
    """

    claims = frozenset({Claim.SCALE_INVARIANT, Claim.DETERMINISTIC})
    mean: Tensor
    seen: Tensor

    def __init__(self, *, steps: int = 1) -> None:
        super().__init__()
        self.steps = steps

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(shape, dtype=torch.int64))

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Average the first losses of the tasks present."""
        self._built()
        fresh = present & (self.seen < self.steps)
        seen = self.seen + fresh
        self.mean = torch.where(fresh, self.mean + (losses.double() - self.mean) / seen.clamp(min=1), self.mean)
        self.seen = seen

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Scaled losses (..., T)."""
        scale = torch.where(self.mean > 0, self.mean, torch.ones_like(self.mean))
        return losses / scale.to(losses.dtype)
