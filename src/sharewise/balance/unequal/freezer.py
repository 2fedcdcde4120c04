"""Heads of converged tasks rest, and wake when they get worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from sharewise.balance.contracts import TaskFacts
from sharewise.balance.unequal.members import Members
from sharewise.errors import ConfigError, Problem


class Freezer(Members):
    """Freezes a task's own parameters when it has converged, and thaws them when it gets worse again.

    A task whose validation loss has not fallen by more than the share `min_fall` for `patience` epochs is
    frozen; frozen, it thaws once its loss exceeds its best by more than the share `rise`. Freezing is
    gradual: no more than `at_once` tasks of a member freeze in one epoch, those longest without progress
    first.
    """

    best: Tensor
    idle: Tensor
    frozen: Tensor

    def __init__(self, *, patience: int = 5, min_fall: float = 1e-3, rise: float = 0.02, at_once: int = 1) -> None:
        super().__init__()
        for name, value in {"patience": patience, "at_once": at_once}.items():
            if value < 1:
                raise ConfigError(Problem(f"'{name}' must be at least 1", f"it is {value}"))
        self.patience, self.min_fall, self.rise, self.at_once = patience, min_fall, rise, at_once

    def build(self, tasks: int | TaskFacts, seeds: int | Sequence[int] = 0) -> Self:
        """Make the state for tasks, of one member or of one per seed."""
        n = tasks if isinstance(tasks, int) else tasks.n_tasks
        shape = (len(seeds), n) if isinstance(seeds, Sequence) else (n,)
        self.register_buffer("best", torch.full(shape, torch.inf, dtype=torch.float64))
        self.register_buffer("idle", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("frozen", torch.zeros(shape, dtype=torch.bool))
        return self

    def update(self, losses: Tensor) -> Tensor:
        """Which tasks (..., T) are frozen after an epoch with validation losses (..., T), nan for none."""
        known = losses.isfinite()
        now = losses.double().nan_to_num(nan=torch.inf)
        fell = known & (now < self.best - self.min_fall * self.best.abs().nan_to_num(posinf=0.0))
        self.idle = torch.where(fell, 0, self.idle + known)
        self.best = torch.where(known, torch.minimum(self.best, now), self.best)
        worse = known & (now > self.best + self.rise * self.best.abs())
        thawed = self.frozen & worse
        self.idle = torch.where(thawed, 0, self.idle)
        due = ~self.frozen & known & (self.idle >= self.patience) & ~worse
        order = torch.where(due, self.idle, -1).argsort(dim=-1, descending=True, stable=True).argsort(-1)
        self.frozen = (self.frozen & ~thawed) | (due & (order < self.at_once))
        return self.frozen
