"""Interior-point method for non-negative quadratic programs: slower than pivoting, and cannot circle."""

from __future__ import annotations

import torch
from torch import Tensor

COMPLEMENTARITY = 1e-15
"""Mean x_i y_i at which a problem is done, relative to max|q| = 1 and x at most 1, else to max x."""


def solve(matrix: Tensor, linear: Tensor, iterations: int = 60) -> Tensor:
    """argmin over x >= 0 of x^T A x / 2 + q^T x: positive definite A (N, T, T), q (N, T) -> (N, T).

    Primal-dual predictor-corrector (Mehrotra 1992), about 15 to 30 iterations of one Cholesky factorisation
    each.
    """
    scale = linear.abs().amax(-1, keepdim=True).clamp(min=1e-300)
    q = linear / scale
    x = torch.ones_like(q)
    y = (torch.einsum("nij,nj->ni", matrix, x) + q).clamp(min=1.0)
    for _ in range(iterations):
        residual = torch.einsum("nij,nj->ni", matrix, x) + q - y
        gap = (x * y).mean(-1, keepdim=True)
        size = x.amax(-1, keepdim=True).clamp(min=1.0)
        settled = residual.abs().amax(-1, keepdim=True) <= 1e-13 * size
        if bool(((gap <= COMPLEMENTARITY * size) & settled).all()):
            break
        ratio = y / x
        factor = torch.linalg.cholesky_ex(matrix + torch.diag_embed(ratio)).L
        dx = _solve(factor, -residual - y)
        dy = -y - ratio * dx
        reach = _reach(x, dx, y, dy)
        affine = ((x + reach * dx) * (y + reach * dy)).mean(-1, keepdim=True)
        centre = (affine / gap).clamp(0.0, 1.0) ** 3 * gap
        aim = (centre - dx * dy) / x
        dx = _solve(factor, -residual - y + aim)
        dy = -y + aim - ratio * dx
        step = (0.995 * _reach(x, dx, y, dy)).nan_to_num(nan=0.0)
        tiny = torch.finfo(x.dtype).tiny * 1e20
        x = (x + step * dx.nan_to_num()).clamp(min=tiny)
        y = (y + step * dy.nan_to_num()).clamp(min=tiny)
    return torch.where(x > y, x, torch.zeros_like(x)) * scale


def _solve(factor: Tensor, right: Tensor) -> Tensor:
    return torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)


def _reach(x: Tensor, dx: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    """Greatest step in (0, 1] that keeps x and y non-negative: (N, 1)."""
    limits = torch.cat([torch.where(dx < 0, -x / dx, 2.0), torch.where(dy < 0, -y / dy, 2.0)], -1)
    return limits.amin(-1, keepdim=True).clamp(max=1.0)
