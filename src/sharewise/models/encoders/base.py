"""What every encoder promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from sharewise.batch import Inputs
from sharewise.models.stacked import StackedModule


class Encoder(StackedModule, ABC):
    """Inputs (M, B, ...) -> features (M, B, `n_out`); a row's features depend on that row alone.

    `stacks` says whether several members fit in one stack; what does not is trained a member at a time. `cells` are
    the numbers that it holds of a row on the way, where they are more than its features.
    """

    n_out: int
    stacks: bool = True
    cells: int = 0

    @abstractmethod
    def forward(self, inputs: Inputs[Tensor]) -> Tensor:
        """Features of a batch."""
