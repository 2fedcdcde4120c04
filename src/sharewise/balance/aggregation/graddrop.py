"""GradDrop: at each entry keep the gradients of one sign, drawn by how pure the sign is."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Directional
from sharewise.balance.noise import Noise


class GradDrop(Directional):
    """At every entry keeps the positive parts where purity P > U, one draw U in (0, 1), else the negative.

    P = (1 + sum_k g_k / sum_k |g_k|) / 2 (Chen et al. 2020, arXiv 2010.06808, algorithm 1). At the
    representation gradients are first multiplied by the sign of the feature, as in the paper; there the
    purity is also summed over the rows of a batch, here it is taken entry by entry. `leak` keeps that share
    of what is dropped. The mean over tasks where the paper has the sum. Cost: none beyond the rows, streamed
    block by block.
    """

    def __init__(self, *, leak: float = 0.0) -> None:
        super().__init__()
        self.leak = leak
        self.noise = Noise()

    def prepare(self, losses: Tensor, present: Tensor) -> None:
        """Draw anew this step."""
        self._built()
        self.noise.advance()

    def direction(self, rows: Tensor, values: Tensor | None, present: Tensor, block: int) -> Tensor:
        """Direction (..., P) of one block; `values` are features (signs count) or None for parameters."""
        sign = torch.ones_like(rows[..., 0, :]) if values is None else torch.sign(values)
        signed = rows * sign.unsqueeze(-2)
        total, size = signed.sum(-2), signed.abs().sum(-2)
        purity = 0.5 * (1.0 + total / size.clamp(min=1e-30))
        draw = self.noise.entries(rows.shape[-1], block).to(purity.dtype)
        positive = (purity > draw).unsqueeze(-2)
        kept = torch.where(positive, signed > 0, signed < 0)
        factor = torch.where(kept, 1.0, self.leak).to(rows.dtype)
        share = masked.uniform(present).to(rows.dtype).unsqueeze(-1)
        return (rows * factor * share).sum(-2)
