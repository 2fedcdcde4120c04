"""The geometric mean of the losses."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Weighting
from sharewise.balance.scaling.log import Log


class Geometric(Weighting):
    """(prod_k l_k)^(1/n): effective weights GM / (n l_k), the direction of `log` times the geometric mean.

    Chennupati et al. 2019 (GLS, arXiv 1904.08492, equation 4). Evaluated as exp(mean log), which neither
    overflows nor underflows with many tasks. Losses must be positive. Cost: one backward pass.
    """

    claims = frozenset({Claim.SCALE_INVARIANT, Claim.STATELESS, Claim.DETERMINISTIC})

    def __init__(self, *, floor: float = 1e-12) -> None:
        super().__init__()
        self.log = Log(floor=floor)

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,); 0 where no task is present."""
        return torch.exp(masked.mean(self.log(losses, present), present)) * present.any(-1)
