"""What a group's model promises once it is loaded, whatever kind of model it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from sharewise.batch import Inputs

Array = NDArray[Any]


class Answerer(ABC):
    """A group's model, ready to answer."""

    @abstractmethod
    def predict(self, inputs: Inputs[Array], tasks: Sequence[str]) -> dict[str, Array]:
        """Prediction (N, W) of each of `tasks`: probabilities, or the codec's standardised unit."""
