"""What every encoder promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from sharewise.batch import Inputs
from sharewise.models.sharing.base import OFF, Dropout
from sharewise.models.stacked import StackedModule


class Encoder(StackedModule, ABC):
    """Inputs (M, B, ...) -> features (M, B, `n_out`); a row's features depend on that row alone."""

    n_out: int
    token_block: str | None = None
    """The block whose tokens have features of their own behind those of the rows, (M, B + B L, `n_out`)."""

    @abstractmethod
    def forward(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        """Features of a batch; what an encoder varies in training it draws from the step of `dropout`."""
