"""Weights against the number of labels, so that scarce tasks are heard."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Needs, TaskFacts, Weighting
from sharewise.errors import ConfigError, Problem


class InverseVolume(Weighting):
    """w_k proportional to count_k^-power, no more than `clip` times its median nor less than median / clip.

    For losses that are means over their own labels, `power` 0 is `equal` and -1 weighs every label alike.
    Weights of the tasks present sum to one. Cost: one backward pass.
    """

    needs = Needs(label_counts=True)
    claims = frozenset({Claim.CONVEX, Claim.DETERMINISTIC})
    share: Tensor

    def __init__(self, *, power: float = 1.0, clip: float = 10.0) -> None:
        super().__init__()
        if not clip >= 1:
            raise ConfigError(Problem("'clip' must be at least 1", f"it is {clip}"))
        self.power, self.clip = power, clip

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        counts = torch.tensor(facts.label_counts, dtype=torch.float64).clamp(min=1.0)
        raw = counts**-self.power
        middle = raw.median()
        raw = raw.clamp(middle / self.clip, middle * self.clip)
        self.register_buffer("share", raw.expand(shape).clone())

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        self._built()
        share = self.share * present
        share = share / share.sum(-1, keepdim=True).clamp(min=1e-300)
        return masked.total(share.to(losses.dtype) * losses, present)
