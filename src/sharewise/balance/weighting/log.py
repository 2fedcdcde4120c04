"""The mean of the log losses: every task in its own proportion."""

from __future__ import annotations

from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Weighting
from sharewise.balance.scaling.log import Log


class LogLoss(Weighting):
    """(1/n) sum_k log l_k: effective weights 1 / (n l_k). Scale-invariant ("SI" of Navon et al. 2022).

    Losses must be positive; one below `floor` counts as linear there. Cost: one backward pass.
    """

    claims = frozenset({Claim.SCALE_INVARIANT, Claim.STATELESS, Claim.DETERMINISTIC})

    def __init__(self, *, floor: float = 1e-12) -> None:
        super().__init__()
        self.log = Log(floor=floor)

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        return masked.mean(self.log(losses, present), present)
