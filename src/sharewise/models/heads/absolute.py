"""A number judged by its absolute error."""

from __future__ import annotations

from torch import Tensor

from sharewise.models.heads.base import Head


class Absolute(Head):
    """Prediction o in standardised units; loss |o - y|, minimised by the conditional median."""

    def row_losses(self, outputs: Tensor, values: Tensor, class_weights: Tensor | None) -> Tensor:
        return (outputs - values).abs()

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs
