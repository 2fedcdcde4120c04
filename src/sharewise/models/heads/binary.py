"""Two classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sharewise.models.heads.base import Head, weigh


class Binary(Head):
    """P(y = 1) = sigmoid(o); loss -log P(y)."""

    def row_losses(self, outputs: Tensor, values: Tensor, class_weights: Tensor | None) -> Tensor:
        cells = F.binary_cross_entropy_with_logits(outputs, values, reduction="none")
        return weigh(cells, values, class_weights)

    def predict(self, outputs: Tensor) -> Tensor:
        return torch.sigmoid(outputs)
