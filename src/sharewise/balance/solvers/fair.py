"""Newton's method for Nash-MTL and FairGrad: G w = w^(-1/alpha), strictly convex, batched."""

from __future__ import annotations

import torch
from torch import Tensor

RIDGES = (1e-12, 1e-7, 1e-5)
"""Relative to a unit diagonal; the next is tried where float32 noise makes a Gramian indefinite."""


def solve(cosine: Tensor, norms: Tensor, alive: Tensor, alpha: float) -> Tensor:
    """w > 0 with (G w)_i = w_i^(-1/alpha) for the tasks alive, 0 elsewhere: (..., T).

    The stationarity condition of min w^T G w / 2 - sum phi(w_i), phi' = w^(-1/alpha), solved by Newton steps
    that stop at 0.9 of the way to the boundary, in variables u = w n^(2 alpha / (1 + alpha)) whose answer for
    orthogonal tasks is 1. `cosine` (..., T, T) has unit diagonal, `norms` (..., T) are positive where alive.
    Relative residual of G + ridge: 1e-11, or 50 times the rounding of G w where that is more. Tasks that
    oppose each other exactly have no answer; the ridge of 1e-12 gives them a finite one. Cost: 4 to 10
    factorisations; about 20 for opposing tasks.
    """
    n = cosine.shape[-1]
    power = (1.0 - alpha) / (1.0 + alpha)
    safe = norms.where(alive, torch.ones_like(norms))
    scale = safe**power
    eye = torch.eye(n, dtype=cosine.dtype, device=cosine.device)
    both = alive.unsqueeze(-1) & alive.unsqueeze(-2)
    base = torch.where(both, cosine, eye)
    outer = scale.unsqueeze(-1) * scale.unsqueeze(-2)
    u, left = _newton((base + RIDGES[0] * eye) * outer, scale * scale, alpha)
    for ridge in RIDGES[1:]:
        if not bool(left.any()):
            break
        again, still = _newton((base + ridge * n * eye) * outer, scale * scale, alpha)
        u = torch.where(left.unsqueeze(-1), again, u)
        left = left & still
    return u * safe ** (-2.0 * alpha / (1.0 + alpha)) * alive


def _newton(matrix: Tensor, linear: Tensor, alpha: float, iterations: int = 50) -> tuple[Tensor, Tensor]:
    """Minimises u^T A u / 2 - sum c_i phi(u_i): the minimum, and which members did not reach it."""
    u = torch.ones_like(linear)
    size = 1e-14 * matrix.diagonal(dim1=-2, dim2=-1)
    left = torch.ones_like(u[..., 0], dtype=torch.bool)
    for _ in range(iterations):
        push = linear / u if alpha == 1.0 else linear * u ** (-1.0 / alpha)
        slope = push - (matrix @ u.unsqueeze(-1)).squeeze(-1)
        left = (slope.abs() > 1e-11 * push + size * u.amax(-1, keepdim=True)).any(-1)
        if not bool(left.any()):
            break
        hessian = matrix.clone()
        hessian.diagonal(dim1=-2, dim2=-1).add_(push / (alpha * u))
        factor, info = torch.linalg.cholesky_ex(hessian)
        step = torch.cholesky_solve(slope.unsqueeze(-1), factor).squeeze(-1)
        stop = (step / u).amin(-1, keepdim=True)
        length = torch.where(stop < -0.9, -0.9 / stop, 1.0) * (left & (info == 0)).unsqueeze(-1)
        u = torch.addcmul(u, length, step)
    return u, left
