"""One of C classes, each below a class of a coarser task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sharewise.models.heads.base import Head, weigh


class Nested(Head):
    """P(y = f) = P(parent = c(f)) P(f | c(f)): a softmax among the classes that share a parent class, times what the
    parent's head says of that class, so that the fine classes of c sum to c (Redmon and Farhadi 2017, "YOLO9000",
    section 4; also Morin and Bengio 2005).

    `under` (C) are the parent's class numbers c(f). Where some class of the parent has no fine class, rows with a fine
    label are known not to be of it, and probabilities are given that. Loss -log P(y); the coarse factor is read, not
    moved: the parent learns from its own labels.

    Shapes: `compose` outputs (M, S, B, C) and the parent's log probabilities (M, B, C') -> log P (M, S, B, C).
    """

    under: Tensor

    def __init__(
        self,
        *,
        n_in: int,
        n_slots: int,
        n_outputs: int,
        families: Sequence[int] = (),
        own: bool = True,
        under: Sequence[int] = (),
    ) -> None:
        super().__init__(n_in=n_in, n_slots=n_slots, n_outputs=n_outputs, families=families, own=own)
        codes = tuple(under) or (0,) * n_outputs
        if len(codes) != n_outputs:
            raise ValueError(f"Every fine class has a coarse one; however, {n_outputs} have {len(codes)}.")
        self.register_buffer("under", torch.tensor(codes), persistent=False)
        self.siblings = [[f for f, c in enumerate(codes) if c == coarse] for coarse in sorted(set(codes))]

    def compose(self, outputs: Tensor, parent: Tensor) -> Tensor:
        """log P(f) of the raw outputs under the parent's log probabilities."""
        among = torch.empty_like(outputs)
        for fine in self.siblings:
            among[..., fine] = torch.log_softmax(outputs[..., fine], dim=-1)
        joint = among + parent.detach()[..., self.under].unsqueeze(1)
        return joint - torch.logsumexp(joint, dim=-1, keepdim=True)

    def row_losses(self, outputs: Tensor, values: Tensor, class_weights: Tensor | None) -> Tensor:
        cells = -torch.log_softmax(outputs, dim=-1).gather(-1, values.long())
        return weigh(cells, values, class_weights)

    def predict(self, outputs: Tensor) -> Tensor:
        return torch.softmax(outputs, dim=-1)
