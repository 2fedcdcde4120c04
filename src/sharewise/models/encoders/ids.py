"""Learnt vectors of users, items and places."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.batch import Inputs
from sharewise.models.encoders.base import Encoder
from sharewise.models.sharing.base import OFF, Dropout
from sharewise.models.stacked import Init


class Ids(Encoder):
    """A learnt vector for each code: (M, B, 1) -> (M, B, n_out). Codes beyond the table are read as unseen, code 1."""

    def __init__(self, *, block: str, n_codes: int, n_out: int = 8) -> None:
        super().__init__()
        self.block, self.n_codes, self.n_out = block, n_codes, n_out
        # Small at the start: an id that is met twice should not shout over the other inputs.
        self.declare("table", (n_codes, n_out), Init("normal", 0.1))

    def forward(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        codes = inputs[self.block][..., 0].long()
        codes = torch.where(codes < self.n_codes, codes, torch.ones_like(codes))
        table = self.get_parameter("table")
        member = torch.arange(table.shape[0], device=codes.device).unsqueeze(1)
        return table[member, codes]
