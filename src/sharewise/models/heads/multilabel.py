"""Any of L labels at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sharewise.models.heads.base import Head


class Multilabel(Head):
    """P(y_l = 1) = sigmoid(o_l) for every label; loss: mean over present labels of -log P(y_l)."""

    def row_losses(self, outputs: Tensor, values: Tensor, class_weights: Tensor | None) -> Tensor:
        cells = F.binary_cross_entropy_with_logits(outputs, values, reduction="none")
        if class_weights is not None:
            cells = cells * torch.where(values > 0.5, class_weights.unsqueeze(2), 1.0)
        return cells

    def predict(self, outputs: Tensor) -> Tensor:
        return torch.sigmoid(outputs)
