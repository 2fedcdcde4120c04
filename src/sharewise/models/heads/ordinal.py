"""One of C classes that have an order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sharewise.models.heads.base import Head, weigh
from sharewise.models.stacked import Init

SPACING = 1.5
"""First distance of neighbouring thresholds: wide enough that every class can be the likeliest (2 log 2 = 1.39)."""

START = math.log(math.expm1(SPACING))
"""softplus(START) = SPACING."""


class Ordinal(Head):
    """Proportional odds (McCullagh 1980, eq. 2.1): P(y <= c) = sigmoid(theta_c - o), theta increasing.

    theta_0 = t_0, theta_c = theta_{c-1} + softplus(t_c); loss -log(P(y <= c) - P(y <= c - 1)). The raw output is one
    number per row; `n_outputs` counts the classes.
    """

    def __init__(
        self, *, n_in: int, n_slots: int, n_outputs: int, families: Sequence[int] = (), own: bool = True
    ) -> None:
        super().__init__(n_in=n_in, n_slots=n_slots, n_outputs=1, families=families, own=own)
        self.n_classes = n_outputs
        self.declare_each("thresholds", (n_outputs - 1,), Init("constant", START))

    def _cumulative(self, outputs: Tensor) -> Tensor:
        t = self.each("thresholds")
        first = t[..., :1] - START - 0.5 * SPACING * (self.n_classes - 2)
        theta = torch.cat([first, F.softplus(t[..., 1:])], dim=-1).cumsum(-1)
        return theta.unsqueeze(2) - outputs

    def predict(self, outputs: Tensor) -> Tensor:
        below = torch.sigmoid(self._cumulative(outputs))
        edges = torch.cat([torch.zeros_like(below[..., :1]), below, torch.ones_like(below[..., :1])], dim=-1)
        return edges.diff(dim=-1)

    def row_losses(self, outputs: Tensor, values: Tensor, class_weights: Tensor | None) -> Tensor:
        logits = self._cumulative(outputs)
        far = torch.full_like(logits[..., :1], 30.0)
        edges = torch.cat([-far, logits, far], dim=-1)
        code = values.long()
        upper, lower = edges.gather(-1, code + 1), edges.gather(-1, code)
        # log(sigmoid(u) - sigmoid(l)) = logsigmoid(u) + logsigmoid(-l) + log(1 - exp(l - u)), stable for u > l.
        gap = torch.log(-torch.expm1((lower - upper).clamp(max=-1e-6)))
        cells = -(F.logsigmoid(upper) + F.logsigmoid(-lower) + gap)
        return weigh(cells, values, class_weights)
