"""CAGrad's inner problem, exact: the part added to the mean, best for the worst task within a ball."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance.solvers import nonnegative
from sharewise.balance.solvers.matrix import apply, inner, ridged
from sharewise.balance.solvers.nonnegative import RIDGE


def solve(cosine: Tensor, norms: Tensor, alive: Tensor, share: Tensor, c: float) -> Tensor:
    """x >= 0 with G (b + x) = nu + y, y >= 0, x^T y = 0 and x^T G x = c^2 b^T G b: (..., T).

    These are the KKT conditions of max_d min_k <g_k, d>, |d - g_0| <= c |g_0|, with d = J^T (b + x). For a
    given set of positive entries x is linear in nu and nu the root of a quadratic; the set is pivoted as in
    `nonnegative`. Where that circles, nu is bisected. Residual: 1e-9 of |g_0| max|g_k|.
    """
    n = cosine.shape[-1]
    matrix = cosine.reshape(-1, n, n)
    length = (norms * alive).reshape(-1, n)
    top = length.amax(-1, keepdim=True).clamp(min=1e-300)
    on = alive.reshape(-1, n)
    mean = (share.reshape(-1, n) * length) / top
    ones = torch.where(on, top / length.where(on, torch.ones_like(length)), torch.zeros_like(length))
    pull = apply(matrix, mean)
    radius = c * inner(matrix, mean).clamp(min=0).sqrt()
    eased = matrix + RIDGE * torch.eye(n, dtype=matrix.dtype, device=matrix.device)
    found, open_ = _pivot(eased, pull, ones, radius, on)
    if bool(open_.any()):
        found[open_] = _bisect(ridged(matrix[open_]), pull[open_], ones[open_], radius[open_])
    found = found * (radius > 0).unsqueeze(-1)
    raw = torch.where(on, found * top / length.where(on, torch.ones_like(length)), torch.zeros_like(found))
    return raw.reshape(norms.shape)


def _pivot(
    matrix: Tensor, pull: Tensor, ones: Tensor, radius: Tensor, on: Tensor, exchanges: int = 15
) -> tuple[Tensor, Tensor]:
    """x (N, T) and which problems stay open, by exchanging the set of positive entries."""
    positive = on
    x = torch.zeros_like(pull)
    done = torch.zeros_like(radius, dtype=torch.bool)
    lines = torch.stack([ones, pull], -1)
    target = radius * radius
    for _ in range(exchanges):
        mask = positive.to(matrix.dtype)
        part = matrix * (mask.unsqueeze(-1) * mask.unsqueeze(-2))
        part.diagonal(dim1=-2, dim2=-1).add_(1.0 - mask)
        factor, info = torch.linalg.cholesky_ex(part)
        both = torch.cholesky_solve(lines * mask.unsqueeze(-1), factor)
        table = lines.mT @ both
        a, b = table[:, 0, 0], table[:, 0, 1]
        # |J^T x|^2 = a nu^2 - 2 b nu + d is the radius squared at its greater root
        nu = ((b + (b * b - a * (table[:, 1, 1] - target)).clamp_(min=0).sqrt_()) / a).unsqueeze(-1)
        x = nu * both[..., 0] - both[..., 1]
        floor = nu * ones
        y = torch.baddbmm((pull - floor).unsqueeze(-1), matrix, x.unsqueeze(-1)).squeeze(-1)
        size = (x.abs() + floor.abs()).amax(-1, keepdim=True)
        wrong = (torch.where(positive, x, y) < -1e-12 * size) & on
        done = ~(wrong.any(-1) | (info != 0)) & nu.squeeze(-1).isfinite()
        if bool(done.all()):
            break
        grown = positive ^ wrong
        empty = ~grown.any(-1, keepdim=True)
        if bool(empty.any()):
            at = (pull / ones).masked_fill(~on, torch.inf).argmin(-1, keepdim=True)
            grown = torch.where(empty, torch.zeros_like(grown).scatter_(-1, at, True) & on, grown)
        positive = torch.where(done.unsqueeze(-1), positive, grown)
    return x.clamp(min=0), ~done


def _bisect(matrix: Tensor, pull: Tensor, ones: Tensor, radius: Tensor, steps: int = 45) -> Tensor:
    """x (N, T) by bisection on nu, which x^T G x grows with; one quadratic program a step."""
    bound = (pull / ones).masked_fill(ones == 0, torch.inf)
    low = bound.amin(-1)
    width = bound.abs().nan_to_num(posinf=0.0).amax(-1).clamp(min=1e-12) + radius
    high = low + width
    for _ in range(steps):
        x = _at(matrix, pull, ones, high)
        short = inner(matrix, x) < radius**2
        if not bool(short.any()):
            break
        high = torch.where(short, low + 2.0 * (high - low), high)
    for _ in range(steps):
        middle = 0.5 * (low + high)
        x = _at(matrix, pull, ones, middle)
        short = inner(matrix, x) < radius**2
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    x = _at(matrix, pull, ones, high)
    return x * (radius / inner(matrix, x).clamp(min=1e-300).sqrt()).unsqueeze(-1)


def _at(matrix: Tensor, pull: Tensor, ones: Tensor, nu: Tensor) -> Tensor:
    return nonnegative.solve(matrix, (pull - nu.unsqueeze(-1) * ones).unsqueeze(-2)).squeeze(-2)
