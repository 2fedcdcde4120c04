"""Many non-negative quadratic programs with one matrix: pivoting with conjugate gradients."""

from __future__ import annotations

import torch
from torch import Tensor

RESIDUAL = 1e-11
"""Gradient left on the positive part, relative to max|q|, at which a problem is done."""


def solve(matrix: Tensor, linear: Tensor, exchanges: int = 8) -> tuple[Tensor, Tensor]:
    """x (N, R, T) for A (N, T, T) and slopes q (N, R, T), and which problems (N, R) stay open.

    Exchanges the set of positive entries after a rough solve, and solves exactly once no sign is wrong. Meant
    for well-conditioned matrices, as Gramians of many unit gradients are; what does not settle is left to
    others.
    """
    positive = linear < 0
    scale = linear.abs().amax(-1, keepdim=True).clamp(min=1e-300)
    x = torch.zeros_like(linear)
    gradient = linear
    rough = True
    wrong = torch.zeros_like(positive)
    for _ in range(exchanges):
        x, gradient = _conjugate(matrix, linear, x * positive, positive, scale, 1e-3 if rough else 0.1 * RESIDUAL)
        edge = (1e-4 if rough else RESIDUAL) * scale
        wrong = torch.where(positive, x, gradient) < -edge
        if not bool(wrong.any()):
            if not rough:
                break
            rough = False
            continue
        positive = positive ^ wrong
    settled = ((gradient * positive).abs().amax(-1) <= RESIDUAL * scale.squeeze(-1)) & ~wrong.any(-1)
    open_ = torch.ones_like(settled) if rough else ~settled
    return x.masked_fill(open_.unsqueeze(-1), 0.0), open_


def _conjugate(
    matrix: Tensor, linear: Tensor, x: Tensor, positive: Tensor, scale: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Conjugate gradients on the positive part from x; the solution and the gradient A x + q."""
    mask = positive.to(linear.dtype)
    gradient = linear + x @ matrix
    residual = -gradient * mask
    search = residual
    square = residual.square().sum(-1, keepdim=True)
    bound = (tolerance * scale).square()
    for _ in range(linear.shape[-1] + 10):
        if not bool((square > bound).any()):
            break
        product = search @ matrix
        length = square / (search * product).sum(-1, keepdim=True).clamp(min=1e-300)
        x = torch.addcmul(x, length, search)
        residual = torch.addcmul(residual, length * mask, product, value=-1.0)
        after = residual.square().sum(-1, keepdim=True)
        search = torch.addcmul(residual, after / square.clamp(min=1e-300), search)
        square = after
    return x, linear + x @ matrix
