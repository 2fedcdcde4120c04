"""What a step on one task does to the others, looked at now and then while they train together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

LOOKS = 16
"""Steps of a run that are looked at, spread evenly over its first half, when the shared trunk is made."""


def affinities(losses: Callable[[], Tensor], shared: Sequence[Tensor], rate: Tensor) -> Tensor:
    """Z (M, S, S): Z[m, k, j] = 1 - L_k(theta - rate g_j) / L_k(theta), what a step on task j does to task k.

    `losses` gives every member's losses (M, S) from the parameters as they are; `shared` are the parameters (M, ...)
    that tasks share, `rate` (M,) the length of the step, g_j the gradient of L_j with respect to them. Plus helps. It
    moves the parameters and puts them back as they were. Cost: one forward pass, for each task a backward and a
    forward pass, and all task gradients in memory. Source: Fifty et al. 2021, "Efficiently identifying task groupings
    for multi-task learning", eq. 1.
    """
    before = losses()
    steps = rate.to(before.dtype)
    n_slots = before.shape[1]
    moves = [
        torch.autograd.grad(before[:, j].sum(), list(shared), retain_graph=j + 1 < n_slots, allow_unused=True)
        for j in range(n_slots)
    ]
    kept = [p.detach().clone() for p in shared]
    made = []
    with torch.no_grad():
        for move in moves:
            for p, m in zip(shared, move, strict=True):
                if m is not None:
                    p.sub_(steps.view(-1, *([1] * (p.dim() - 1))) * m)
            made.append(1 - losses() / before)
            for p, old in zip(shared, kept, strict=True):
                p.copy_(old)
    return torch.stack(made, dim=-1)


class LookaheadObserver:
    """The mean of `affinities` over some steps of a cohort's one member; pairs without labels in a batch do not count.

    Differs from the paper: at 16 steps instead of at every one, with a plain gradient step of the member's own learning
    rate whatever its optimiser does, and without dropout.
    """

    def __init__(self, total: int) -> None:
        self.at = frozenset(int(s) for s in np.linspace(total // 20, total // 2, LOOKS))
        self._sum, self._count = torch.zeros(1, 1), torch.zeros(1, 1)

    def due(self, step: int) -> bool:
        """Whether this step is looked at."""
        return step in self.at

    def look(self, losses: Callable[[], Tensor], shared: Sequence[Tensor], rate: Tensor, present: Tensor) -> None:
        """Take note of one step whose batch has labels for the tasks `present` (M, S)."""
        found = affinities(losses, shared, rate)
        there = present.unsqueeze(-1) & present.unsqueeze(-2) & torch.isfinite(found)
        self._sum = self._sum + torch.where(there, found, 0.0).sum(dim=0)
        self._count = self._count + there.sum(dim=0)

    def table(self) -> np.ndarray:
        """Means (S, S), row k the task that is helped; nan on the diagonal and where a pair never met."""
        made: np.ndarray = (self._sum / self._count).cpu().numpy().astype(np.float64)
        np.fill_diagonal(made, np.nan)
        return made
