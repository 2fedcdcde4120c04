"""UW-SO: softmax of inverse losses, uncertainty weighting without parameters."""

from __future__ import annotations

from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Weighting


class UncertaintySoftmax(Weighting):
    """w = softmax((1 / l) / temperature), held constant: small losses get more weight.

    Kirchdorfer et al. 2024 (UW-SO, arXiv 2408.07985, section 3.2). The temperature must be tuned: it is in
    units of 1 / loss, so compose it with a loss scaling. Losses must be positive. Cost: one backward pass.
    """

    claims = frozenset({Claim.CONVEX, Claim.STATELESS, Claim.DETERMINISTIC})

    def __init__(self, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        inverse = 1.0 / losses.detach().double().clamp(min=1e-12)
        weights = masked.softmax(inverse / self.temperature, present)
        return masked.total(weights.to(losses.dtype) * losses, present)
