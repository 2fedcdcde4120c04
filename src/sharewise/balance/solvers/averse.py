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
    top = length.amax(-1, keepdim=True).clamp_(min=1e-300)
    mean = (share.reshape(-1, n) * length).div_(top)
    ones = (top / length).nan_to_num_(posinf=0.0)
    pull = apply(matrix, mean)
    radius = (mean * pull).sum(-1).clamp_(min=0).sqrt_().mul_(c)
    found, open_ = _pivot(matrix, pull, ones, radius)
    open_ = None if open_ is None else open_ & (radius > 0)
    if open_ is not None and bool(open_.any()):
        found[open_] = _bisect(ridged(matrix[open_]), pull[open_], ones[open_], radius[open_])
    return (found * ones).masked_fill_(~(radius > 0).unsqueeze(-1), 0.0).reshape(norms.shape)


FAR = 1e60
"""Added to the diagonal where an entry is to be zero: what comes out is its slack y over -FAR."""


def _pivot(
    matrix: Tensor, pull: Tensor, ones: Tensor, radius: Tensor, exchanges: int = 15
) -> tuple[Tensor, Tensor | None]:
    """x (N, T) and which problems stay open (None: none), by exchanging the set of positive entries.

    Entries of tasks without a gradient have a row of zeros in `pull` and `ones`, and stay zero.
    """
    lines = torch.stack([ones, pull], -1)
    across, target, top = lines.mT, radius * radius, ones.amax(-1, keepdim=True)
    base = matrix.clone()
    base.diagonal(dim1=-2, dim2=-1).add_(RIDGE)
    mask = torch.ones_like(pull)
    for _ in range(exchanges):
        away = mask.mul(-FAR).add_(FAR)
        part = base.clone()
        part.diagonal(dim1=-2, dim2=-1).add_(away)
        factor, info = torch.linalg.cholesky_ex(part)
        both = torch.cholesky_solve(lines, factor)
        a, b, _, d = (across @ both).flatten(1).unbind(-1)
        # |J^T x|^2 = a nu^2 - 2 b nu + d is the radius squared at its greater root
        nu = (b + (b * b - a * (d - target)).clamp_(min=0).sqrt_()).div_(a).unsqueeze(-1)
        less = torch.addcmul(both[..., 1], both[..., 0], nu, value=-1.0)
        edge = torch.addcmul(less.abs().amax(-1, keepdim=True), top, nu.abs()).mul_(1e-12)
        over = (less * (mask - away)).sub_(edge)
        good = (over.amax(-1) <= 0).logical_and_(info == 0)
        x = less.mul_(mask).neg_().clamp_(min=0)
        if bool(good.all()):
            return x, None
        mask = ((over > 0) != (mask > 0)).double()
    return x, ~good


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
