"""Unequal convergence in a cohort: how fast each task's own parameters move, which rest, and when a member stops."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sharewise.balance.choose import Balance
from sharewise.balance.contracts import TaskFacts
from sharewise.models.stacked import Stack
from sharewise.training.data import TrainingData


class Tempo:
    """Learning rates by task, frozen heads and early stopping, as a balance sets them, for all members of a stack.

    All members have the same tasks and are evaluated together. `factor` (M, P) is what every parameter's learning
    rate is multiplied with, None where nothing was set; `stopped` (M,) which members are done, None where the
    recipe's own rule decides; `frozen` (M, S) whose heads rest.
    """

    def __init__(self, balance: Balance, facts: TaskFacts, seeds: Sequence[int], stack: Stack, epochs: int) -> None:
        self.rates = None if balance.rates is None else balance.rates.build(facts, epochs)
        self.freezer = None if balance.freezer is None else balance.freezer.build(facts, seeds)
        self.stopper = None if balance.stopper is None else balance.stopper.build(facts, seeds)
        self.frozen = torch.zeros(len(seeds), facts.n_tasks, dtype=torch.bool, device=stack.flat.device)
        self.stopped: Tensor | None = None
        self.factor: Tensor | None = None
        self._slot_of = _slots(stack, facts.n_tasks).to(stack.flat.device)
        self._move(0)

    @property
    def idle(self) -> bool:
        """Whether nothing was set, so that members may have different tasks."""
        return self.rates is None and self.freezer is None and self.stopper is None

    def evaluated(self, losses: Tensor, epoch: int) -> None:
        """Take note of validation losses (M, S) after `epoch` epochs, nan for none."""
        if self.freezer is not None:
            self.frozen = self.freezer.update(losses)
        if self.stopper is not None:
            self.stopped = self.stopper.update(losses)[0]
        self._move(epoch)

    def _move(self, epoch: int) -> None:
        if self.rates is None and self.freezer is None:
            return
        speed = (~self.frozen).float()
        if self.rates is not None:
            speed = speed * self.rates.factors(epoch).to(speed)
        shared = torch.ones_like(speed[:, :1])
        self.factor = torch.cat([shared, speed], dim=1)[:, self._slot_of]

    def keep(self, index: Tensor) -> None:
        """Only the members at these positions stay."""
        for rule in (self.freezer, self.stopper):
            if rule is not None:
                rule.keep(index)
        self.frozen = self.frozen[index]
        self.stopped = None if self.stopped is None else self.stopped[index]
        self.factor = None if self.factor is None else self.factor[index]


def _slots(stack: Stack, n_slots: int) -> Tensor:
    """For every parameter (P) 1 + the slot that it belongs to, 0 where tasks share it."""
    parts = []
    for entry in stack.entries:
        if entry.shared or entry.slots is None:
            parts.append(torch.zeros(entry.shape.numel(), dtype=torch.long))
            continue
        mine = torch.tensor(entry.slots or range(n_slots)) + 1
        parts.append(mine.repeat_interleave(entry.shape.numel() // len(mine)))
    return torch.cat(parts)


def facts_of(numbers: Sequence[int], data: TrainingData) -> TaskFacts:
    """What balancing may know of the tasks of one model."""
    everyone = data.tasks.tasks
    tasks = [everyone[t] for t in numbers]
    primary = [i for i, task in enumerate(tasks) if task.primary]
    return TaskFacts(
        len(tasks),
        names=tuple(task.name for task in tasks),
        label_counts=tuple(float(max(len(data.rows_of(t, "train")), 1)) for t in numbers),
        label_variances=(1.0,) * len(tasks),
        n_classes=tuple(max(len(task.classes), 1) for task in tasks),
        primary=primary[0] if primary else None,
        elsewhere=tuple(task.name for i, task in enumerate(everyone) if i not in numbers),
    )
