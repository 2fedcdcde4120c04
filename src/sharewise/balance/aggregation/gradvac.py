"""GradVac: pull gradients towards the cosine they usually have."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Aggregator, TaskFacts
from sharewise.balance.noise import Noise
from sharewise.balance.solvers import surgery
from sharewise.balance.solvers.matrix import cosines


class GradVac(Aggregator):
    """Each task's gradient is turned towards the others to their running target cosine; then the mean.

    With phi the cosine of g_i' and g_j and target t_ij: if phi < t_ij: g_i' += |g_i'| (t sqrt(1 - phi^2) -
    phi sqrt(1 - t^2)) / (|g_j| sqrt(1 - t^2)) g_j; then t_ij = (1 - beta) t_ij + beta phi (Wang et al. 2021,
    arXiv 2010.05874, equations 4 and 5), over j != i in random order. `beta` 0.5 as in public code; the paper
    uses 1e-2. Differs from the paper: one group of parameters, and the mean where it has the sum. Pairs with
    an absent task keep their target.
    """

    target: Tensor

    def __init__(self, *, beta: float = 0.5) -> None:
        super().__init__()
        self.beta = beta
        self.noise = Noise()

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.register_buffer("target", torch.zeros((*shape, facts.n_tasks), dtype=torch.float64))

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        self._built()
        cosine, norms, alive = cosines(gramian, present)
        sequence = self.noise.pairs().argsort(-1)
        self.noise.advance()
        kept, self.target = surgery.turn(cosine, alive, sequence, self.target, self.beta)
        share = masked.uniform(present) * norms
        unit = (share.unsqueeze(-2) @ kept).squeeze(-2)
        return unit / norms.where(alive, norms.new_ones(())) * alive
