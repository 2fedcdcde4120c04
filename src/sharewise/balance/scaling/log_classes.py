"""Cross-entropy relative to a uniform guess."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance.contracts import Claim, Needs, Scaling, TaskFacts


class LogClasses(Scaling):
    """Divides each loss by log C_k, the cross-entropy of a uniform guess among C_k classes; regression by 1.

    Every classification task starts at about 1. Cost: none.
    """

    needs = Needs(n_classes=True)
    claims = frozenset({Claim.DETERMINISTIC})
    scale: Tensor

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        classes = torch.tensor(facts.n_classes, dtype=torch.float64)
        scale = torch.where(classes >= 2, classes.clamp(min=2).log(), torch.ones_like(classes))
        self.register_buffer("scale", scale.expand(shape).clone())

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Scaled losses (..., T)."""
        self._built()
        return losses / self.scale.to(losses.dtype)
