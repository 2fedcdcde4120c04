"""Trimmed mean: at each entry the greatest and least task gradients do not count."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Directional
from sharewise.errors import ConfigError, Problem


class TrimmedMean(Directional):
    """At every entry, the mean of the task gradients without the `trim` greatest and the `trim` least.

    Yin et al. 2018 (arXiv 1803.01498, definition 2). Where fewer than 2 trim + 1 tasks are present, trims as
    many as leave one or two (the median). Cost: a sort of every entry, streamed block by block.
    """

    claims = frozenset({Claim.STATELESS, Claim.DETERMINISTIC})

    def __init__(self, *, trim: int = 1) -> None:
        super().__init__()
        if trim < 0:
            raise ConfigError(Problem("'trim' must not be negative", f"it is {trim}"))
        self.trim = trim

    def direction(self, rows: Tensor, values: Tensor | None, present: Tensor, block: int) -> Tensor:
        """Direction (..., P) of one block."""
        hidden = rows.masked_fill(~present.unsqueeze(-1), torch.inf).sort(-2).values
        n = masked.count(present)
        trim = torch.minimum(torch.full_like(n, self.trim), (n - 1).div(2, rounding_mode="floor"))
        place = torch.arange(rows.shape[-2], device=rows.device)
        kept = (place >= trim) & (place < n - trim) & present.any(-1, keepdim=True)
        total = hidden.masked_fill(~kept.unsqueeze(-1), 0.0).sum(-2)
        return total / (n - 2 * trim).to(rows.dtype)
