"""What every head promises: a linear map per task, a loss per task and a prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from sharewise.models.stacked import ZERO, Init, StackedModule, kaiming


class Head(StackedModule, ABC):
    """S tasks of one kind and one width, computed together.

    outputs_s = h W_s + b_s. Slots of one family (a grouped task: a school, a mine field) share a family map that
    is learnt beside their own: W_s = W_family + V_s with V_s started at zero, the mean-regularised form of
    Evgeniou and Pontil 2004 ("Regularized multi-task learning", eq. 1), so that a group with few labels starts
    from what its family knows. With `own` False a family's slots have the family's map and bias and nothing of their
    own: their features must tell them apart.

    Shapes: features (M, B, D) or (M, S, B, D) -> outputs (M, S, B, C); losses (M, S). Where an encoder gives features
    of tokens, they follow those of the rows, and `own_rows` picks the outputs that a head means.
    """

    per_token: ClassVar[bool] = False
    """Whether it answers for every token of a row."""

    member_of: Tensor

    def __init__(
        self, *, n_in: int, n_slots: int, n_outputs: int, families: Sequence[int] = (), own: bool = True
    ) -> None:
        super().__init__()
        self.n_slots, self.n_outputs = n_slots, n_outputs
        families = tuple(families) or (-1,) * n_slots
        self.n_families = max(families, default=-1) + 1
        self.own = own or not self.n_families
        if self.own:
            law = ZERO if self.n_families else kaiming(n_in)
            self.declare("weight", (n_slots, n_in, n_outputs), law, per_slot=True)
        self.declare_each("bias", (1, n_outputs), ZERO)
        if self.n_families:
            if min(families) < 0:
                raise ValueError("The slots of one head are all of families or none is; however, they are mixed.")
            self.register_buffer("member_of", torch.tensor(families), persistent=False)
            self.declare("family", (self.n_families, n_in, n_outputs), kaiming(n_in))

    def declare_each(self, name: str, shape: Sequence[int], law: Init) -> None:
        """Declare a parameter that every slot has, or every family where slots have nothing of their own."""
        if self.own:
            self.declare(name, (self.n_slots, *shape), law, per_slot=True)
        else:
            self.declare(name, (self.n_families, *shape), law)

    def each(self, name: str) -> Tensor:
        """That parameter of every slot, (M, S, ...)."""
        value: Tensor = self.get_parameter(name)
        return value if self.own else value[:, self.member_of]

    def forward(self, features: Tensor) -> Tensor:
        """Raw outputs (M, S, B, C)."""
        bias = self.each("bias")
        if not self.n_families:
            weight: Tensor = self.get_parameter("weight")
        else:
            weight = self.get_parameter("family")[:, self.member_of]
            weight = weight + self.get_parameter("weight") if self.own else weight
        m, s, d, c = weight.shape
        if features.dim() == 4:
            out = torch.bmm(features.reshape(m * s, -1, d), weight.reshape(m * s, d, c))
            return out.view(m, s, -1, c) + bias
        if s == 1:
            return torch.bmm(features, weight[:, 0]).unsqueeze(1) + bias
        wide = weight.permute(0, 2, 1, 3).reshape(m, d, s * c)
        return torch.bmm(features, wide).view(m, -1, s, c).transpose(1, 2) + bias

    def own_rows(self, outputs: Tensor, n_rows: int) -> Tensor:
        """The outputs of the batch's `n_rows` rows, (M, S, B, C); tokens' outputs, if any, stand behind them."""
        return outputs if outputs.shape[2] == n_rows else outputs[:, :, :n_rows]

    @abstractmethod
    def row_losses(self, outputs: Tensor, values: Tensor, class_weights: Tensor | None) -> Tensor:
        """Loss of every target cell, (M, S, B, K), from outputs (M, S, B, C) and values (M, S, B, K);
        `class_weights` (M, S, C') weighs cells by their class where the study asks for it."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """Probabilities (M, S, B, W), or standardised numbers for regression."""

    def losses(self, outputs: Tensor, values: Tensor, present: Tensor, class_weights: Tensor | None) -> Tensor:
        """Mean loss over labelled cells, (M, S); 0 for a slot without any label in the batch."""
        outputs = self.own_rows(outputs, values.shape[2])
        cells = self.row_losses(outputs, values, class_weights) * present
        return cells.sum((-1, -2)) / present.sum((-1, -2)).clamp(min=1)


def weigh(cells: Tensor, codes: Tensor, class_weights: Tensor | None) -> Tensor:
    """`cells` (M, S, B, 1) times the weight of their class, codes (M, S, B, 1), weights (M, S, C)."""
    if class_weights is None:
        return cells
    m, s, b, _ = codes.shape
    table = class_weights.unsqueeze(2).expand(m, s, b, class_weights.shape[-1])
    return cells * table.gather(-1, codes.long())
