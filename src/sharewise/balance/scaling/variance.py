"""Squared errors relative to the spread of the labels."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance.contracts import Claim, Needs, Scaling, TaskFacts


class Variance(Scaling):
    """Divides each loss by the variance of its labels, so that predicting the mean costs 1.

    Meant for squared errors in a physical unit; give 1 for other tasks. Cost: none.
    """

    needs = Needs(label_variances=True)
    claims = frozenset({Claim.DETERMINISTIC})
    scale: Tensor

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        variance = torch.tensor(facts.label_variances, dtype=torch.float64)
        scale = torch.where(variance > 0, variance, torch.ones_like(variance))
        self.register_buffer("scale", scale.expand(shape).clone())

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Scaled losses (..., T)."""
        self._built()
        return losses / self.scale.to(losses.dtype)
