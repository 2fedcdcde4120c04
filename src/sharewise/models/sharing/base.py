"""What every sharing architecture promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from sharewise.models.stacked import StackedModule
from sharewise.plan import Choice


class Sharing(StackedModule, ABC):
    """Features (M, B, I) -> features per task, in two steps around the representation that all tasks read.

    `shared` makes the representation z (M, B, Z); `branch` turns it into what the heads read, (M, B, `n_out`)
    where all tasks read the same, (M, S, B, `n_out`) where slot s reads its own. Gradients of single tasks are
    taken at z, so `branch` must also accept one copy per slot, (M, S, B, Z). `n_slots` is the number of tasks.

    Everything that several losses reach lies below z and is declared without slots, or `crossed`; everything in
    `branch` is some slot's own. `common` says whether two tasks' gradients at z can meet: where every task reads a
    part of z of its own (the shared layers run once per task, or tasks leave the trunk at several depths), conflict
    shows in the parameters only, and the engine compares gradients there.
    """

    n_out: int
    n_cells: int
    """Numbers that a row takes at its widest, in z or for all slots."""

    slots_are_independent: ClassVar[bool] = False
    """Whether what a slot reads is the same whatever other slots there are: then slots may stand idle in training."""
    common: bool = True
    freeze_after: float | None = None
    """Share of the training steps after which shared parameters, the encoder's among them, stay as they are."""

    by_task: ClassVar[frozenset[str]] = frozenset()
    """Parameters that may be a mapping from task names to values, placed on slots before the model is built."""

    one_head: ClassVar[bool] = False
    """Whether tasks of one grouped declaration share their head outright."""

    @classmethod
    def alone(cls, choice: Choice) -> Choice:
        """The simplest choice that is the same model where there is one task."""
        return choice

    @abstractmethod
    def shared(self, x: Tensor, dropout: Dropout) -> Tensor:
        """The representation z that every task reads."""

    def branch(self, z: Tensor, dropout: Dropout) -> Tensor:
        """What the heads read; z itself unless the architecture has parts of single tasks."""
        return z

    def penalty(self) -> Tensor | None:
        """What is added to every member's objective beside the tasks' losses, (M,); None for nothing."""
        return None

    def measured(self) -> dict[str, Tensor]:
        """What the trained model says about how much is shared: numbers in [0, 1] by name, (M,) each."""
        return {}


def check_freeze(share: float | None) -> float | None:
    """`share` itself; raises ValueError where it is no share of the steps."""
    if share is not None and not 0 <= share < 1:
        raise ValueError(f"'freeze_after' is a share of the steps in [0, 1); however, it is {share}.")
    return share


def parts_of(z: Tensor, n: int) -> Tensor:
    """The `n` equal parts that the last axis holds side by side: (..., n W) -> (..., n, W)."""
    return z.reshape(*z.shape[:-1], n, -1)


class Dropout:
    """Drops cells with one mask per step for the whole stack, at each member's own rate.

    Cell (b, d) of member m is dropped where u[b, d] < rate[m], u uniform and drawn from the step's seed alone,
    so that a member's masks do not depend on who shares its stack. Members of other seeds start with other
    weights, and hidden units are exchangeable, so the common mask does not make their luck common. `step` is the step
    that a training batch belongs to, from which an encoder draws what it varies; None in evaluation.
    """

    def __init__(self, rate: Tensor | None = None, seed: int = 0) -> None:
        self.rate = rate
        self.step: int | None = None
        self._seed, self._drawn = seed, 0
        if rate is not None:
            self._gain = 1 / (1 - rate)
            self._generator = torch.Generator(device=rate.device)

    def at(self, step: int) -> Dropout:
        """This dropout with the masks of a step."""
        self.step, self._seed, self._drawn = step, step, 0
        return self

    def __call__(self, x: Tensor) -> Tensor:
        """`x` (M, ..., B, D) with cells dropped and the rest scaled by 1 / (1 - rate); `x` itself in evaluation."""
        if self.rate is None:
            return x
        # A seed for each layer: how much one draws (sentences differ in length) does not move the next one's luck.
        self._generator.manual_seed(self._seed + (self._drawn << 40))
        self._drawn += 1
        u = torch.rand(x.shape[-2:], generator=self._generator, device=x.device)
        shape = (-1, *([1] * (x.dim() - 1)))
        return x * ((u >= self.rate.view(shape)) * self._gain.view(shape))


OFF = Dropout()
