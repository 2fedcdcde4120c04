"""Uncertainty weighting: each task's noise is learnt and divides its loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Needs, TaskFacts, Weighting


class Uncertainty(Weighting):
    """(1/n) sum_k (exp(-s_k) l_k + s_k) / 2 with log variances s learnt by the main optimiser.

    Kendall et al. 2018 (arXiv 1705.07115, equation 7), in the form that treats all kinds of loss alike. At
    its optimum exp(s_k) = l_k, so that it is `log` with a lag. `initial` is s at the start. Give
    `parameters()` to the optimiser without weight decay. Differs from the paper: the mean where it has the
    sum. Cost: one backward pass.
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
        return masked.mean(0.5 * (torch.exp(-s) * losses + s), present)
