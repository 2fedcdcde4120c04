"""Which rows fill the batches of every member, in which order."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sharewise.balance.sampling.base import Sampler
from sharewise.seeds import derive
from sharewise.training.data import TrainingData
from sharewise.training.results import Member

POOL = 16
"""Batches among which rows are sorted by length."""


def samplers(
    sampler: Sampler | None, members: Sequence[Member], data: TrainingData, rows: Sequence[np.ndarray], epochs: int
) -> list[Sampler | None]:
    """The sampler of every member, built for its tasks and train rows; members with equal tasks share one."""
    made: dict[tuple[int, ...], Sampler | None] = {}
    for member, own in zip(members, rows, strict=True):
        if member.tasks not in made:
            names = tuple(data.tasks.tasks[t].name for t in member.tasks)
            made[member.tasks] = None
            if sampler is not None and sampler.applies_to(names) and len(own):
                present, classes = data.labels(member.tasks, own)
                made[member.tasks] = copy.copy(sampler).build(present, classes, names, epochs)
    return [made[member.tasks] for member in members]


class Order:
    """Row numbers of every member's batches, made a few steps ahead so that no Python runs per row.

    An epoch is a new permutation of the member's rows, or what its sampler makes of them; either depends on the
    member's seed and the number of the epoch alone. Where rows are sentences of `lengths` (N,) tokens, a batch holds
    such of like length (`by_length`).
    """

    def __init__(
        self,
        members: Sequence[Member],
        rows: Sequence[np.ndarray],
        size: int,
        device: torch.device,
        chosen: Sequence[Sampler | None] = (),
        lengths: np.ndarray | None = None,
    ) -> None:
        self.lengths = lengths
        self.members, self.rows, self.size, self.device = list(members), list(rows), size, device
        self.samplers = list(chosen) or [None] * len(rows)
        self.per_epoch = [max(len(r) // size, 1) for r in rows]
        self._queues: list[np.ndarray] = [np.empty((0, size), dtype=np.int64) for _ in rows]
        self._epochs = [0] * len(rows)

    def ahead(self, steps: int) -> Tensor:
        """(steps, M, B) row numbers of the next steps."""
        made = np.empty((steps, len(self.members), self.size), dtype=np.int64)
        for m in range(len(self.members)):
            queue = self._queues[m]
            while len(queue) < steps:
                order = np.resize(self._epoch(m), self.per_epoch[m] * self.size)
                batches = order.reshape(self.per_epoch[m], self.size)
                if self.lengths is not None:
                    batches = by_length(batches, self.lengths, self._epochs[m])
                queue = np.concatenate([queue, batches])
                self._epochs[m] += 1
            made[:, m], self._queues[m] = queue[:steps], queue[steps:]
        return torch.from_numpy(made).to(self.device)

    def _epoch(self, m: int) -> np.ndarray:
        seed, number, sampler = self.members[m].seed, self._epochs[m], self.samplers[m]
        if sampler is not None:
            return self.rows[m][sampler.epoch(number, seed)]
        return np.random.default_rng(derive(seed, "order", number)).permutation(self.rows[m])

    def keep(self, positions: Sequence[int]) -> None:
        """Only the members at these positions stay."""
        self.members = [self.members[i] for i in positions]
        self.rows = [self.rows[i] for i in positions]
        self.samplers = [self.samplers[i] for i in positions]
        self.per_epoch = [self.per_epoch[i] for i in positions]
        self._queues = [self._queues[i] for i in positions]
        self._epochs = [self._epochs[i] for i in positions]


def by_length(batches: np.ndarray, lengths: np.ndarray, epoch: int) -> np.ndarray:
    """The same rows (K, B), sorted by length within every `POOL` batches, whose order is then drawn anew.

    The draw depends on the epoch alone, so that at each step the members of a stack have sentences of like length.
    """
    made = []
    random = np.random.default_rng(derive(0, "length", epoch))
    for start in range(0, len(batches), POOL):
        pool = batches[start : start + POOL]
        rows = pool.ravel()
        ordered = rows[np.argsort(lengths[rows], kind="stable")].reshape(pool.shape)
        made.append(ordered[random.permutation(len(pool))])
    return np.concatenate(made)
