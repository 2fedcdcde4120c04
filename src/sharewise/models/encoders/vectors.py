"""One input's features, made before: a frozen text or image encoder, n-grams, anything with one vector a row."""

from __future__ import annotations

from torch import Tensor

from sharewise.batch import Inputs
from sharewise.models.encoders.base import Encoder
from sharewise.models.sharing.base import OFF, Dropout


class Vectors(Encoder):
    """Features taken as they are, times one number that gives them unit size: (M, B, D) -> (M, B, D)."""

    def __init__(self, *, block: str, n_in: int, scale: float = 1.0) -> None:
        super().__init__()
        self.block, self.scale, self.n_out = block, scale, n_in

    def forward(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        return inputs[self.block].float() * self.scale
