"""MGDA: the shortest vector in the convex hull of the task gradients."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sharewise.balance.contracts import Aggregator, Claim
from sharewise.balance.solvers import nonnegative
from sharewise.balance.solvers.matrix import cosines
from sharewise.errors import ConfigError, Problem

NORMALISATIONS = ("none", "l2", "loss", "loss+")


class MGDA(Aggregator):
    """w = argmin of w^T G w over the simplex: the min-norm direction, common descent for all tasks.

    Desideri 2012; Sener and Koltun 2018 (arXiv 1810.04650, equation 3). `normalise` divides each gradient
    before the search by its norm ("l2"), its loss ("loss") or both ("loss+"), as the latter's code does; the
    weights found apply to the raw gradients. Exact: solves min x^T G x / 2 - sum x over x >= 0 and
    normalises. Tasks with a zero gradient take all the weight: the point is Pareto-stationary. Cost: one
    non-negative quadratic program.
    """

    claims = frozenset({Claim.CONVEX, Claim.STATELESS, Claim.DETERMINISTIC, Claim.NON_CONFLICTING})

    def __init__(self, *, normalise: Literal["none", "l2", "loss", "loss+"] = "none") -> None:
        super().__init__()
        if normalise not in NORMALISATIONS:
            raise ConfigError(
                Problem(f"'normalise' must be one of {', '.join(NORMALISATIONS)}", f"it is '{normalise}'")
            )
        self.normalise = normalise

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        cosine, norms, alive = cosines(gramian, present)
        length = torch.ones_like(norms) if self.normalise in ("l2", "loss+") else norms
        if self.normalise in ("loss", "loss+"):
            length = length / losses.where(losses > 0, torch.ones_like(losses))
        inverse = torch.where(alive, 1.0 / length.where(alive, torch.ones_like(length)), torch.zeros_like(length))
        slope = -inverse / inverse.amax(-1, keepdim=True).clamp(min=1e-300)
        found = nonnegative.solve(cosine, slope.unsqueeze(-2)).squeeze(-2) * inverse
        still = present & (norms == 0)
        found = torch.where(still.any(-1, keepdim=True), still.double(), found)
        return found / found.sum(-1, keepdim=True).clamp(min=1e-300)
