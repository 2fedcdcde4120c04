"""When a member stops, and which epoch was each task's best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Self

import torch
from torch import Tensor

from sharewise.balance.contracts import TaskFacts
from sharewise.balance.unequal.members import Members
from sharewise.errors import ConfigError, Problem


class Watch(StrEnum):
    """Which tasks must stop improving before a member stops."""

    ALL = "all"
    PRIMARY = "primary"
    COMPOSITE = "composite"


class Stopper(Members):
    """Early stopping, and which epoch was each task's best.

    `watch`: a member stops after `patience` epochs in which none of its tasks ("all"), its primary task, or
    the weighted mean over tasks of loss relative to the first epoch's ("composite") improved by more than
    `min_fall`. `weights` of the composite are by task name, 1 where not named. Where another model trains the
    primary task, all are watched.
    """

    best: Tensor
    first: Tensor
    idle: Tensor
    best_composite: Tensor
    idle_composite: Tensor

    def __init__(
        self,
        *,
        watch: str = "all",
        patience: int = 10,
        min_fall: float = 0.0,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        if watch not in list(Watch):
            raise ConfigError(Problem("'watch' is all, primary or composite", f"it is '{watch}'"))
        if patience < 1:
            raise ConfigError(Problem("'patience' must be at least 1", f"it is {patience}"))
        self.watch, self.patience, self.min_fall, self.weights = Watch(watch), patience, min_fall, dict(weights or {})
        self.primary: int | None = None

    def build(self, tasks: int | TaskFacts, seeds: int | Sequence[int] = 0) -> Self:
        """Make the state, of one member or of one per seed; ConfigError where a primary is missing."""
        facts = TaskFacts(tasks) if isinstance(tasks, int) else tasks
        self.primary = facts.primary
        for name in self.weights:
            facts.position(name, "A weight must belong to a task")
        self.task_weights = torch.tensor([float(self.weights.get(t, 1.0)) for t in facts.labels], dtype=torch.float64)
        if self.watch is Watch.PRIMARY and self.primary is None:
            if not facts.elsewhere:
                fact, remedy = "none is declared", "declare one, or watch all or composite"
                raise ConfigError(Problem("Watching the primary task needs one", fact, remedy))
            self.watch = Watch.ALL
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
        weight = self.task_weights.to(now) * known
        relative = torch.where(known, now / self.first.abs().clamp(min=1e-300), torch.zeros_like(now))
        return (relative * weight).sum(-1) / weight.sum(-1).clamp(min=1e-300)
