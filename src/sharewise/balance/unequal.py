"""Tasks that converge at different speeds: learning rates, freezing and thawing, when to stop.

All three work on one member (T,) or a stack (M, T), hold their state in buffers and let members leave by
`keep`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Self

import torch
from torch import Tensor, nn

from sharewise.balance.contracts import TaskFacts
from sharewise.errors import ConfigError, Problem, nearest


class Decay(StrEnum):
    """How a task's learning rate goes over the epochs."""

    CONSTANT = "constant"
    COSINE = "cosine"
    LINEAR = "linear"


class TaskRates:
    """Factor on the learning rate of each task's own parameters: scale_t times a decay over its own horizon.

    `scales` and `horizons` (epochs) are by task name; others have 1 and the run's length. The factor of a
    task whose horizon has passed stays at `last`.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        epochs: int,
        *,
        scales: dict[str, float] | None = None,
        horizons: dict[str, int] | None = None,
        decay: Decay | str = Decay.CONSTANT,
        last: float = 0.0,
    ) -> None:
        for given in (scales or {}), (horizons or {}):
            for name in given:
                if name not in tasks:
                    raise ConfigError(
                        Problem("A learning rate must belong to a task", f"'{name}' is none", nearest(name, tasks))
                    )
        self.scales = torch.tensor([float((scales or {}).get(t, 1.0)) for t in tasks])
        self.horizons = torch.tensor([float((horizons or {}).get(t, epochs)) for t in tasks]).clamp(min=1.0)
        self.decay, self.last = Decay(decay), last

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


class _Members(nn.Module):
    """Buffers with a leading member axis."""

    def keep(self, index: Tensor) -> None:
        """Let members leave the stack: index the leading axis of all state."""
        for name, buffer in list(self.named_buffers()):
            self.register_buffer(name, buffer[index])


class Freezer(_Members):
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


class Watch(StrEnum):
    """Which tasks must stop improving before a member stops."""

    ALL = "all"
    PRIMARY = "primary"
    COMPOSITE = "composite"


class Stopper(_Members):
    """Early stopping, and which epoch was each task's best.

    `watch`: a member stops after `patience` epochs in which none of its tasks ("all"), its primary task, or
    the weighted mean over tasks of loss relative to the first epoch's ("composite") improved by more than
    `min_fall`.
    """

    best: Tensor
    first: Tensor
    idle: Tensor
    best_composite: Tensor
    idle_composite: Tensor

    def __init__(
        self,
        *,
        watch: Watch | str = Watch.ALL,
        patience: int = 10,
        min_fall: float = 0.0,
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.watch, self.patience, self.min_fall, self.weights = Watch(watch), patience, min_fall, weights
        self.primary: int | None = None

    def build(self, tasks: int | TaskFacts, seeds: int | Sequence[int] = 0) -> Self:
        """Make the state, of one member or of one per seed; ConfigError where a primary is missing."""
        facts = TaskFacts(tasks) if isinstance(tasks, int) else tasks
        self.primary = facts.primary
        if self.watch is Watch.PRIMARY and self.primary is None:
            raise ConfigError(Problem("Watching the primary task needs one", "none is declared"))
        members: tuple[int, ...] = (len(seeds),) if isinstance(seeds, Sequence) else ()
        shape = (*members, facts.n_tasks)
        for name in ("best", "first"):
            self.register_buffer(name, torch.full(shape, torch.inf, dtype=torch.float64))
        self.register_buffer("idle", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("best_composite", torch.full(members, torch.inf, dtype=torch.float64))
        self.register_buffer("idle_composite", torch.zeros(members, dtype=torch.int64))
        return self

    def update(self, losses: Tensor) -> tuple[Tensor, Tensor]:
        """(stop (...,), improved (..., T)) after an epoch with validation losses (..., T), nan for none.

        `improved` says for which tasks this epoch is the best so far: their checkpoint is worth keeping.
        """
        known = losses.isfinite()
        now = losses.double().nan_to_num(nan=torch.inf)
        improved = known & (now < self.best - self.min_fall)
        self.first = torch.where(known & self.first.isinf(), now, self.first)
        self.best = torch.where(improved, now, self.best)
        self.idle = torch.where(improved, 0, self.idle + known)
        composite = self._composite(now, known)
        better = composite < self.best_composite - self.min_fall
        self.best_composite = torch.where(better, composite, self.best_composite)
        self.idle_composite = torch.where(better, 0, self.idle_composite + 1)
        if self.watch is Watch.COMPOSITE:
            return self.idle_composite >= self.patience, improved
        if self.watch is Watch.PRIMARY:
            return self.idle[..., self.primary] >= self.patience, improved
        return ((self.idle >= self.patience) | ~known).all(-1) & known.any(-1), improved

    def _composite(self, now: Tensor, known: Tensor) -> Tensor:
        weight = torch.ones(now.shape[-1], dtype=now.dtype)
        if self.weights is not None:
            weight = torch.tensor(list(self.weights), dtype=now.dtype)
        weight = weight * known
        relative = torch.where(known, now / self.first.abs().clamp(min=1e-300), torch.zeros_like(now))
        return (relative * weight).sum(-1) / weight.sum(-1).clamp(min=1e-300)
