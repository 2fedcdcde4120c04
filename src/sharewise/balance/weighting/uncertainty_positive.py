"""Uncertainty weighting whose regulariser cannot go below zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Needs, TaskFacts, Weighting


class UncertaintyPositive(Weighting):
    """(1/n) sum_k l_k / (2 c_k^2) + log(1 + c_k^2), the regularised form of uncertainty weighting.

    Liebel and Koerner 2018 (arXiv 1805.06334, equation 3); c_k^2 = exp(s_k) with s learnt by the main
    optimiser. Unlike `uncertainty`, its terms stay positive, so small losses cannot drive it below zero.
    Differs from the paper: the mean where it has the sum, and s is learnt where it has c. Cost: one backward
    pass.
    """

    needs = Needs(optimised=True)
    claims = frozenset({Claim.DETERMINISTIC})
    log_variance: nn.Parameter

    def __init__(self, *, initial: float = 0.0) -> None:
        super().__init__()
        self.initial = initial

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.log_variance = nn.Parameter(torch.full(shape, self.initial))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        self._built()
        s = self.log_variance.to(losses.dtype)
        terms = 0.5 * torch.exp(-s) * losses + torch.nn.functional.softplus(s)
        return masked.mean(terms, present)
