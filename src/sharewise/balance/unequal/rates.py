"""A learning rate for every task's own parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Self

import torch
from torch import Tensor

from sharewise.balance.contracts import TaskFacts
from sharewise.errors import ConfigError, Problem


class Decay(StrEnum):
    """How a task's learning rate goes over the epochs."""

    CONSTANT = "constant"
    COSINE = "cosine"
    LINEAR = "linear"


class TaskRates:
    """Factor on the learning rate of each task's own parameters: scale_t times a decay over its own horizon.

    `scales` and `horizons` (epochs) are by task name; others have 1 and the run's length. The factor of a
    task whose horizon has passed stays at `last` times its scale. Call `build` once. Raises ConfigError for a task
    that is none, and for a scale or horizon that is not positive.
    """

    def __init__(
        self,
        *,
        scales: Mapping[str, float] | None = None,
        horizons: Mapping[str, int] | None = None,
        decay: str = "constant",
        last: float = 0.0,
    ) -> None:
        given = {**(scales or {}), **{f"{t} (horizon)": h for t, h in (horizons or {}).items()}}
        for task, value in given.items():
            if not (value > 0 and math.isfinite(value)):
                raise ConfigError(Problem("Scales and horizons of learning rates are positive", f"{task}: {value}"))
        if decay not in list(Decay):
            fact = f"it is '{decay}'"
            raise ConfigError(Problem("'decay' is constant, cosine or linear", fact))
        self.scale_of, self.horizon_of = dict(scales or {}), dict(horizons or {})
        self.decay, self.last = Decay(decay), last

    def build(self, tasks: TaskFacts, epochs: int) -> Self:
        """Take note of the tasks and of the epochs planned."""
        for name in (*self.scale_of, *self.horizon_of):
            tasks.position(name, "A learning rate must belong to a task")
        self.scales = torch.tensor([float(self.scale_of.get(t, 1.0)) for t in tasks.labels])
        self.horizons = torch.tensor([float(self.horizon_of.get(t, epochs)) for t in tasks.labels]).clamp(min=1.0)
        return self

    def factors(self, epoch: int) -> Tensor:
        """Factors (T) in epoch `epoch`, counted from 0."""
        part = (torch.tensor(float(epoch)) / self.horizons).clamp(max=1.0)
        match self.decay:
            case Decay.CONSTANT:
                shape = torch.ones_like(part)
            case Decay.LINEAR:
                shape = 1.0 - part
            case Decay.COSINE:
                shape = 0.5 * (1.0 + torch.cos(math.pi * part))
        return self.scales * (self.last + (1.0 - self.last) * shape)
