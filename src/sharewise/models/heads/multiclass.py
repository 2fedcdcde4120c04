"""One of C classes."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.models.heads.base import Head, weigh


class Multiclass(Head):
    """P(y = c) = softmax(o)_c; loss -log P(y)."""

    def row_losses(self, outputs: Tensor, values: Tensor, class_weights: Tensor | None) -> Tensor:
        cells = -torch.log_softmax(outputs, dim=-1).gather(-1, values.long())
        return weigh(cells, values, class_weights)

    def predict(self, outputs: Tensor) -> Tensor:
        return torch.softmax(outputs, dim=-1)
