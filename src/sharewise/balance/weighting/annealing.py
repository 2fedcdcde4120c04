"""Tasks that enter, or grow, by schedule."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Needs, TaskFacts, Weighting


class Annealing(Weighting):
    """Task k enters at epoch `start[k]` and grows linearly from `initial` to 1 over `length` epochs.

    Tasks not named are in from the start. Epochs count from 0. Weights of the tasks that are in sum to one;
    where none of the tasks in a batch is in yet, the batch moves nothing. `length` 0 is a curriculum of
    steps. No paper's name: a plain rule. Cost: one backward pass.
    """

    needs = Needs(epoch_means=True)
    claims = frozenset({Claim.DETERMINISTIC})
    begin: Tensor
    epoch: Tensor

    def __init__(self, *, start: Mapping[str, int] | None = None, length: int = 0, initial: float = 0.0) -> None:
        super().__init__()
        self.start = dict(start or {})
        self.length, self.initial = length, initial

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        for name in self.start:
            facts.position(name, "A schedule must belong to a task")
        begin = torch.tensor([float(self.start.get(name, -1e9)) for name in facts.labels], dtype=torch.float64)
        self.register_buffer("begin", begin.expand(shape).clone())
        self.register_buffer("epoch", torch.zeros(shape, dtype=torch.float64))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        self._built()
        age = self.epoch - self.begin
        grown = torch.ones_like(age)
        if self.length:
            grown = (self.initial + (1.0 - self.initial) * (age + 1.0) / (self.length + 1.0)).clamp(max=1.0)
        raw = torch.where(age >= 0, grown, torch.zeros_like(grown)) * present
        weights = raw / raw.sum(-1, keepdim=True).clamp(min=1e-300)
        return masked.total(weights.to(losses.dtype) * losses, present)

    def after_epoch(self, means: Tensor, present: Tensor | None = None, scores: Tensor | None = None) -> None:
        """Go to the next epoch."""
        self._built()
        self.epoch = self.epoch + 1
