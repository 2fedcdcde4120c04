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
    Relative residual: 1e-11, or 50 times the rounding of G w where that is more (the last step
    is below 1e-6 and convergence quadratic). Tasks that
    oppose each other exactly have no answer; the ridge of 1e-12 gives them a finite one. Cost: 4 to 10
    factorisations; about 20 for opposing tasks.
    """
    n = cosine.shape[-1]
    safe = norms.masked_fill(~alive, 1.0)
    base, linear = cosine, torch.ones_like(norms)
    if alpha != 1.0:
        scale = safe ** ((1.0 - alpha) / (1.0 + alpha))
        base, linear = cosine * (scale.unsqueeze(-1) * scale.unsqueeze(-2)), scale * scale
    diagonal = base.diagonal(dim1=-2, dim2=-1).clone()
    u, left = _newton(_lifted(base, RIDGES[0] * diagonal), linear, alpha)
    for ridge in RIDGES[1:]:
        if left is None:
            break
        again, still = _newton(_lifted(base, ridge * n * diagonal), linear, alpha)
        u = torch.where(left.unsqueeze(-1), again, u)
        left = None if still is None or not bool((left & still).any()) else left & still
    u = _without_ridge(base, diagonal, linear, alpha, u)
    return (u / safe if alpha == 1.0 else u * safe ** (-2.0 * alpha / (1.0 + alpha))) * alive


def _without_ridge(matrix: Tensor, diagonal: Tensor, linear: Tensor, alpha: float, u: Tensor) -> Tensor:
    """One Newton step of G itself where the first ridge cost accuracy and yet is small: nearly opposing tasks."""
    push = _push(linear, u, alpha)
    cost = (RIDGES[0] * diagonal * u / push).amax(-1, keepdim=True)
    off = (cost > 1e-11) & (cost < 1e-5)
    if not bool(off.any()):
        return u
    step, info = _step(matrix, push, u, alpha)
    fine = off & (info == 0).unsqueeze(-1) & ((step / u).abs().amax(-1, keepdim=True) < 1e-4)
    return torch.where(fine, u + step, u)


def _push(linear: Tensor, u: Tensor, alpha: float) -> Tensor:
    """c_i phi'(u_i)."""
    return linear / u if alpha == 1.0 else linear * u ** (-1.0 / alpha)


def _step(matrix: Tensor, push: Tensor, u: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Newton's step, and which members' Hessians could not be factorised (not 0)."""
    slope = push - (matrix @ u.unsqueeze(-1)).squeeze(-1)
    factor, info = torch.linalg.cholesky_ex(_lifted(matrix, push / (alpha * u)))
    return torch.cholesky_solve(slope.unsqueeze(-1), factor).squeeze(-1), info


def _lifted(matrix: Tensor, diagonal: Tensor) -> Tensor:
    lifted = matrix.clone()
    lifted.diagonal(dim1=-2, dim2=-1).add_(diagonal)
    return lifted


def _newton(matrix: Tensor, linear: Tensor, alpha: float, iterations: int = 35) -> tuple[Tensor, Tensor | None]:
    """Minimises u^T A u / 2 - sum c_i phi(u_i): the minimum, and which members missed it (None: none)."""
    total = matrix.sum(-1)
    # exact for two tasks and for equal cosines; where rows cancel, bounded
    ratio = torch.maximum(total, 0.1 * linear).reciprocal_().mul_(linear)
    u = ratio.sqrt_() if alpha == 1.0 else ratio ** (alpha / (1.0 + alpha))
    for _ in range(iterations):
        step, info = _step(matrix, _push(linear, u, alpha), u, alpha)
        relative = step / u
        least, most = torch.aminmax(relative)
        low, high = float(least), float(most)
        if not (low > -0.9 and high < torch.inf):
            stop = relative.amin(-1, keepdim=True)
            length = torch.where(stop < -0.9, -0.9 / stop, 1.0) * (info == 0).unsqueeze(-1)
            step = (length * step).nan_to_num(nan=0.0)
        u = u + step
        if max(-low, high) < 1e-6:  # the next step would be its square
            return u, None
    push = _push(linear, u, alpha)
    slope = push - (matrix @ u.unsqueeze(-1)).squeeze(-1)
    rounding = 1e-14 * matrix.diagonal(dim1=-2, dim2=-1) * u.amax(-1, keepdim=True)
    left = ~(slope.abs() <= 1e-11 * push + rounding).all(-1)
    return u, left if bool(left.any()) else None
