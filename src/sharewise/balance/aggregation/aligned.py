"""Aligned-MTL: gradients made orthogonal and of one length before they are added."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Aggregator, Claim
from sharewise.balance.solvers.matrix import NOISE, apply
from sharewise.errors import ConfigError, Problem

SCALES = ("min", "median", "rmse")


class AlignedMTL(Aggregator):
    """The mean of the closest orthogonal system: w = sigma V L^(-1/2) V^T p for G = V L V^T, p = 1/n.

    Senushkin et al. 2023 (arXiv 2305.19000, equation 14). sigma is the square root of the smallest kept
    eigenvalue ("min", the paper's), their median or their mean ("rmse"); eigenvalues below n 2^-23 of the
    greatest are noise and dropped. Differs from the paper: p is the mean, there the sum. Cost: one
    eigendecomposition.
    """

    claims = frozenset({Claim.STATELESS, Claim.DETERMINISTIC})

    def __init__(self, *, scale: Literal["min", "median", "rmse"] = "min") -> None:
        super().__init__()
        if scale not in SCALES:
            raise ConfigError(Problem(f"'scale' must be one of {', '.join(SCALES)}", f"it is '{scale}'"))
        self.scale = scale

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        values, vectors = torch.linalg.eigh(gramian)
        n_present = masked.count(present)
        kept = values > values[..., -1:].clamp(min=0) * n_present * NOISE
        safe = values.where(kept, torch.ones_like(values))
        sigma = self._sigma(values, kept).sqrt().unsqueeze(-1)
        root = torch.where(kept, safe.rsqrt(), torch.zeros_like(safe))
        balance = (vectors * root.unsqueeze(-2)) @ vectors.mT
        return sigma * apply(balance, masked.uniform(present))

    def _sigma(self, values: Tensor, kept: Tensor) -> Tensor:
        hidden = values.masked_fill(~kept, torch.inf)
        count = kept.sum(-1, keepdim=True).clamp(min=1)
        if self.scale == "min":
            found = hidden.amin(-1)
        elif self.scale == "median":
            middle = (count - 1).div(2, rounding_mode="floor")
            found = hidden.sort(-1).values.gather(-1, middle).squeeze(-1)
        else:
            found = masked.total(values, kept) / count.squeeze(-1)
        return found.nan_to_num(posinf=0.0).clamp(min=0)
