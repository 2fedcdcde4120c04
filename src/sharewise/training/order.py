"""Which rows fill the batches of every member, in which order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sharewise.seeds import derive
from sharewise.training.results import Member

POOL = 16
"""Batches among which rows are sorted by length."""


class Order:
    """Row numbers of every member's batches, made a few steps ahead so that no Python runs per row.

    Where rows are sentences of `lengths` (N,) tokens, a batch holds such of like length (`by_length`).
    """

    def __init__(
        self,
        members: Sequence[Member],
        rows: Sequence[np.ndarray],
        size: int,
        device: torch.device,
        lengths: np.ndarray | None = None,
    ) -> None:
        self.lengths = lengths
        self.members, self.rows, self.size, self.device = list(members), list(rows), size, device
        self.per_epoch = [max(len(r) // size, 1) for r in rows]
        self._queues: list[np.ndarray] = [np.empty((0, size), dtype=np.int64) for _ in rows]
        self._epochs = [0] * len(rows)

    def ahead(self, steps: int) -> Tensor:
        """(steps, M, B) row numbers of the next steps; each epoch is a new permutation of the member's rows."""
        made = np.empty((steps, len(self.members), self.size), dtype=np.int64)
        for m, member in enumerate(self.members):
            queue = self._queues[m]
            while len(queue) < steps:
                random = np.random.default_rng(derive(member.seed, "order", self._epochs[m]))
                order = random.permutation(self.rows[m])
                order = np.resize(order, self.per_epoch[m] * self.size)
                batches = order.reshape(self.per_epoch[m], self.size)
                if self.lengths is not None:
                    batches = by_length(batches, self.lengths, self._epochs[m])
                queue = np.concatenate([queue, batches])
                self._epochs[m] += 1
            made[:, m], self._queues[m] = queue[:steps], queue[steps:]
        return torch.from_numpy(made).to(self.device)

    def keep(self, positions: Sequence[int]) -> None:
        """Only the members at these positions stay."""
        self.members = [self.members[i] for i in positions]
        self.rows = [self.rows[i] for i in positions]
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
