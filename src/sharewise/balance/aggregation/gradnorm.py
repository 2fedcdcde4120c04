"""GradNorm: learnt weights that bring gradient norms to a common scale, faster tasks below it."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Aggregator, Claim, TaskFacts
from sharewise.balance.moments import Moments


class GradNorm(Aggregator):
    """Learns w by descent on sum_k | w_k n_k - mean_j(w_j n_j) (r_k / mean r)^alpha |, r_k = l_k / l_k(0).

    Chen et al. 2018 (arXiv 1711.02257, equations 1 and 2), n_k the gradient norm at the engine's level (the
    paper's is the last shared layer: level "last_block"). The target is held constant; Adam with `lr`; then
    the weights of the tasks present are rescaled to sum to their number. This step uses the weights of the
    step before. Differs from the paper: the mean where it has the sum, and weights below 1e-3 are set to it,
    for the L1 descent can cross zero. Cost: none beyond the norms.
    """

    claims = frozenset({Claim.CONVEX, Claim.DETERMINISTIC})
    weight: Tensor
    initial: Tensor

    def __init__(self, *, alpha: float = 1.5, lr: float = 0.025) -> None:
        super().__init__()
        self.alpha = alpha
        self.moments = Moments(lr)

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.register_buffer("weight", torch.ones(shape, dtype=torch.float64))
        self.register_buffer("initial", torch.zeros(shape, dtype=torch.float64))
        self.moments.build(shape)

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        self._built()
        norms = gramian.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
        now = self.weight * present
        now = now / now.sum(-1, keepdim=True).clamp(min=1e-300)
        self.initial = torch.where(present & (self.initial <= 0), losses, self.initial)
        usable = present & (self.initial > 0)
        rate = torch.where(usable, losses / self.initial.where(usable, torch.ones_like(losses)), 1.0).clamp(min=0)
        relative = rate / masked.mean(rate, present).unsqueeze(-1).clamp(min=1e-300)
        length = self.weight * norms
        goal = masked.mean(length, present).unsqueeze(-1) * relative**self.alpha
        gradient = norms * torch.sign(length - goal)
        moved = self.moments.step(self.weight, gradient, present).clamp(min=1e-3)
        before, after = (masked.total(w, present).unsqueeze(-1) for w in (self.weight, moved))
        self.weight = torch.where(present, moved * before / after.clamp(min=1e-300), self.weight)
        return now
