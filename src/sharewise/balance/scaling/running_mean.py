"""Losses relative to their recent mean."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance.contracts import Claim, Scaling, TaskFacts


class RunningMean(Scaling):
    """Divides each loss by its moving average: l_k / ema_k, exponential with decay `decay`, bias-corrected.

    Every task stays at about 1 throughout: a lagged, smoothed form of `log`. Scale-invariant. An absent
    task's average does not move. Losses must be positive. Cost: none.
    """

    claims = frozenset({Claim.SCALE_INVARIANT, Claim.DETERMINISTIC})
    average: Tensor
    mass: Tensor

    def __init__(self, *, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.register_buffer("average", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("mass", torch.zeros(shape, dtype=torch.float64))

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Move the averages of the tasks present."""
        self._built()
        average = self.decay * self.average + (1 - self.decay) * losses.double()
        self.average = torch.where(present, average, self.average)
        self.mass = torch.where(present, self.decay * self.mass + (1 - self.decay), self.mass)

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Scaled losses (..., T)."""
        usable = (self.average > 0) & (self.mass > 0)
        scale = torch.where(usable, self.average / self.mass.clamp(min=1e-300), torch.ones_like(self.mass))
        return losses / scale.to(losses.dtype)
