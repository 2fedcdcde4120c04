"""What every encoder promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from sharewise.batch import Inputs
from sharewise.models.stacked import StackedModule


class Encoder(StackedModule, ABC):
    """Inputs (M, B, ...) -> features (M, B, `n_out`); a row's features depend on that row alone."""

    n_out: int

    @abstractmethod
    def forward(self, inputs: Inputs[Tensor]) -> Tensor:
        """Features of a batch."""
