"""Words' vectors that a frozen network made before, and their sentence's."""

from __future__ import annotations

from torch import Tensor

from sharewise.batch import Inputs
from sharewise.models.encoders.base import Encoder
from sharewise.models.encoders.tokens import behind_rows, longest
from sharewise.models.sharing.base import OFF, Dropout


class TokenVectors(Encoder):
    """Features of every word taken as they are, times one number that gives them unit size; a sentence is their mean.

    Shapes: block (M, B, L, 1 + D), 1 and then the word's vector, 0 where there is no word -> (M, B + L' B, D) as
    `Tokens` lays them out, L' the longest sentence of the batch; with `per_token` False (M, B, D).
    """

    def __init__(self, *, block: str, n_in: int, scale: float = 1.0, per_token: bool = True) -> None:
        super().__init__()
        self.block, self.scale, self.n_out = block, scale, n_in
        self.token_block = block if per_token else None
        self.cells = 64 * n_in

    def forward(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        cells = inputs[self.block]
        cells = cells[:, :, : longest(cells)].transpose(1, 2).float()
        x, count = cells[..., 1:] * self.scale, cells[..., :1].sum(1).clamp(min=1)
        return behind_rows(x.sum(1) / count, x if self.token_block is not None else None)
