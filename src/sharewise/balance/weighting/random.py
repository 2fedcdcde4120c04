"""RLW: random weights, drawn anew every step."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Weighting
from sharewise.balance.noise import Noise
from sharewise.errors import ConfigError, Problem


class Random(Weighting):
    """w = softmax of standard normal numbers ("normal"), or uniform on the simplex ("dirichlet"), every step.

    Lin et al. 2021 (RLW, arXiv 2111.10603, section 3). A noisy `equal`, and the baseline that much cleverer
    methods do not beat. Each member and task has its own stream. Cost: one backward pass.
    """

    claims = frozenset({Claim.CONVEX})

    def __init__(self, *, distribution: Literal["normal", "dirichlet"] = "normal") -> None:
        super().__init__()
        if distribution not in ("normal", "dirichlet"):
            raise ConfigError(Problem("'distribution' must be normal or dirichlet", f"it is '{distribution}'"))
        self.distribution = distribution
        self.noise = Noise()

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        self._built()
        if self.distribution == "normal":
            weights = masked.softmax(self.noise.normal(), present)
        else:
            raw = -torch.log(self.noise.uniform()) * present
            weights = raw / raw.sum(-1, keepdim=True).clamp(min=1e-300)
        self.noise.advance()
        return masked.total(weights.to(losses.dtype) * losses, present)
