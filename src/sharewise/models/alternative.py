"""What a study asks of a model of another kind than its own nets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from sharewise.batch import Inputs
from sharewise.models.space import Space
from sharewise.tasks import Task, TaskSet

Array = NDArray[Any]


@dataclass(frozen=True)
class GroupData:
    """What a model is fitted to: the encoded table and, by task, its targets (N, K) with what is present.

    `units` holds, for numeric tasks in a linear unit, (a, b) with original = a * target + b, in the same order as the
    tasks that the model is asked to fit; None for the others.
    """

    inputs: Inputs[Array]
    values: Mapping[str, Array]
    present: Mapping[str, Array]
    units: Mapping[str, tuple[float, float] | None]
    train: Array
    validation: Array


class Alternative(ABC):
    """A fitted model of one task, or of several that it pools, that is not the study's own kind of net.

    `deterministic` models give the same answers whatever the seed, and are trained once. `fitted_by_task` says whether
    a model of several tasks costs its `seconds` for each of them; `needs` is what a study must have for one, a clause.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    deterministic: ClassVar[bool] = False
    fitted_by_task: ClassVar[bool] = False
    needs: ClassVar[str] = "a task whose kind it can fit"

    @classmethod
    @abstractmethod
    def groups(cls, tasks: TaskSet) -> list[tuple[str, tuple[str, ...]]]:
        """Name and tasks of each model that this kind trains; tasks it is not made for are in none."""

    @classmethod
    @abstractmethod
    def search_space(cls, trial: int, seed: int) -> dict[str, Any]:
        """Parameters of a tuning trial: trial 0 the default, later ones drawn by (seed, trial) alone."""

    @classmethod
    @abstractmethod
    def space(cls) -> Space:
        """The same space as ranges, for a search that learns from its trials."""

    @classmethod
    @abstractmethod
    def seconds(cls, rows: int, width: int, outputs: int) -> float:
        """Rough time of one fit on one core, to spread the work and to tell the user beforehand."""

    @classmethod
    @abstractmethod
    def fit_group(cls, tasks: Sequence[Task], data: GroupData, params: Mapping[str, Any], seed: int) -> Self:
        """One model for `tasks`; raises ValueError or ArithmeticError where there is nothing to fit."""

    @abstractmethod
    def predict_task(self, inputs: Inputs[Array], task: str) -> Array:
        """Prediction (N, W) float32 of one of its tasks: probabilities, or the codec's standardised unit."""

    def answer_task(self, inputs: Inputs[Array], task: str) -> Array:
        """What a bundle answers: the prediction; one that tags gives (N, L, 2), the codes and their probabilities."""
        return self.predict_task(inputs, task)

    @abstractmethod
    def to_files(self) -> dict[str, bytes]:
        """The model as plain files, `model.json` with its `kind` among them."""

    @classmethod
    @abstractmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The model that `to_files` wrote; raises ValueError where the files do not hold one."""
