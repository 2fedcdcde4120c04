"""What every encoder promises."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from sharewise.batch import Inputs
from sharewise.models.sharing.base import OFF, Dropout
from sharewise.models.stacked import StackedModule


class Encoder(StackedModule, ABC):
    """Inputs (M, B, ...) -> features (M, B, `n_out`); a row's features depend on that row alone.

    `stacks` says whether several members fit in one stack; what does not is trained a member at a time. `cells` are
    the numbers that it holds of a row on the way, where they are more than its features.
    """

    n_out: int
    stacks: bool = True
    cells: int = 0
    per_task: bool = False
    """Whether every task slot has parameters of its own, and so features of its own (`of_slot`)."""
    token_block: str | None = None
    """The block whose tokens have features of their own behind those of the rows, (M, B + L B, `n_out`)."""

    @abstractmethod
    def forward(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        """Features of a batch; what an encoder varies in training it draws from the step of `dropout`."""

    def of_slot(self, slot: int, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        """Features of a batch as the task in `slot` has them; `forward` where tasks have none of their own."""
        made: Tensor = self(inputs, dropout)
        return made
