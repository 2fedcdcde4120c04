"""What a group's model promises once it is loaded, whatever kind of model it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from numpy.typing import NDArray

from sharewise.batch import Inputs

Array = NDArray[Any]


class Answerer(ABC):
    """A group's model, ready to answer. One that answers `task_by_task` is asked about each task's own rows alone."""

    task_by_task: ClassVar[bool] = False

    @abstractmethod
    def predict(self, inputs: Inputs[Array], tasks: Sequence[str]) -> dict[str, Array]:
        """Prediction (N, W) of each of `tasks`: probabilities, or the codec's standardised unit; of tags (N, L, 2), the
        codes, -1 where there is no token, and their probabilities."""
