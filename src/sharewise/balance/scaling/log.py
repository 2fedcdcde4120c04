"""The logarithm of each loss."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance.contracts import Claim, Scaling
from sharewise.errors import DataError, Problem


class Log(Scaling):
    """log l_k, so that each task's gradient is relative to its loss: g_k / l_k.

    Scale-invariant; the steps of `equal` after it are those of the Nash-MTL paper's SI baseline. Losses must
    be positive: below `floor` the loss counts as `floor` and keeps the slope it has there; DataError for a
    negative one. Cost: none.
    """

    claims = frozenset({Claim.SCALE_INVARIANT, Claim.STATELESS, Claim.DETERMINISTIC})

    def __init__(self, *, floor: float = 1e-12) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Logarithms (..., T); 0 for absent tasks."""
        safe = torch.where(present, losses, torch.ones_like(losses))
        least = float(safe.detach().amin())
        if least < 0:
            raise DataError(
                Problem(
                    "Only losses that are not negative have a logarithm",
                    f"one is {least:.4g}",
                    "add a constant to it, or take a method without logarithms",
                )
            )
        linear = (safe - self.floor) / self.floor
        above = torch.log(safe.clamp(min=self.floor) / self.floor)
        offset = torch.log(torch.tensor(self.floor, dtype=torch.float64)).to(losses.dtype)
        return torch.where(present, torch.where(safe > self.floor, above, linear) + offset, torch.zeros_like(safe))
