"""IMTL-L: learnt loss scales that bring all scaled losses to one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Needs, TaskFacts, Weighting


class IMTLL(Weighting):
    """(1/n) sum_k exp(s_k) l_k - s_k with s learnt by the main optimiser, from 0.

    Liu et al. 2021 ("Towards impartial multi-task learning", equation 9). Its fixed point exp(s_k) l_k = 1 is
    that of `log`. Give `parameters()` to the optimiser without weight decay. Differs from the paper: the mean
    where it has the sum. Cost: one backward pass.
    """

    needs = Needs(optimised=True)
    claims = frozenset({Claim.DETERMINISTIC})
    log_scale: nn.Parameter

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.log_scale = nn.Parameter(torch.zeros(shape))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        self._built()
        s = self.log_scale.to(losses.dtype)
        return masked.mean(torch.exp(s) * losses - s, present)
