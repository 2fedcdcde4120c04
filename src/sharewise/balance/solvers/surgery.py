"""Gradient surgery on coefficients: PCGrad and GradVac for all tasks at once, on no vector of length P.

Row i of a coefficient matrix is g_i after surgery, as a sum of unit task gradients. The loop is over the
position in the random order; rows and members go side by side. Rows of absent tasks are zero in the Gramian
and stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor


def project(cosine: Tensor, sequence: Tensor) -> Tensor:
    """PCGrad's coefficients c (..., T, T) for cosines of unit gradients.

    For j in the order `sequence` (..., T, T) of row i: if <g_i', g_j> < 0, g_i' -= <g_i', g_j> g_j. The entry
    j = i needs no exception, for <g_i', g_i> is never negative.
    """
    products = cosine.clone()
    rows, columns, flat = _columns(cosine, sequence)
    pulls = []
    for at, index in zip(columns, flat, strict=True):
        pull = products.gather(-1, at).clamp_(max=0.0)
        products.addcmul_(rows.index_select(0, index).view_as(products), pull, value=-1.0)
        pulls.append(pull)
    moved = torch.zeros_like(cosine).scatter_(-1, sequence, torch.cat(pulls, -1))
    return torch.eye(cosine.shape[-1], dtype=cosine.dtype, device=cosine.device) - moved


def off_one(cosine: Tensor) -> Tensor:
    """`project` for two tasks, whatever the order: c_ij = max(0, -cos_ij)."""
    return torch.eye(2, dtype=cosine.dtype, device=cosine.device) + (-cosine).clamp(min=0)


def turn(cosine: Tensor, alive: Tensor, sequence: Tensor, target: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """GradVac's coefficients (..., T, T) for cosines of unit gradients, and the targets after the step.

    With phi the cosine of g_i' and g_j below its target t: g_i' += (|g_i'| sqrt(1 - phi^2) t / sqrt(1 - t^2)
    - <g_i', g_j>) g_j, which is negative exactly where phi > t.
    """
    n = cosine.shape[-1]
    products = cosine.clone()
    rows, columns, flat = _columns(cosine, sequence)
    goal = target.gather(-1, sequence)
    place = torch.arange(n, device=cosine.device).unsqueeze(-1)
    pair = (alive.unsqueeze(-1) & alive.unsqueeze(-2)).gather(-1, sequence) & (place != sequence)
    # where nothing may move, a slope that no cosine falls short of
    ratio = torch.rsqrt((1.0 - goal * goal).clamp_(min=1e-12)).mul_(goal).masked_fill_(~pair, -1e300)
    square = torch.ones_like(cosine[..., :1])
    dots, pushes, squares = [], [], []
    for at, index, slope in zip(columns, flat, torch.split(ratio, 1, -1), strict=True):
        dot = products.gather(-1, at)
        # |g_i'|^2 (1 - phi^2), then the push, which is negative where phi exceeds its target
        side = torch.addcmul(square, dot, dot, value=-1.0).clamp_(min=1e-30).sqrt_()
        push = torch.addcmul(-dot, side, slope).clamp_(min=0.0)
        dots.append(dot)
        squares.append(square)
        pushes.append(push)
        square = torch.addcmul(square, push, torch.add(push, dot, alpha=2.0))
        products.addcmul_(rows.index_select(0, index).view_as(products), push)
    phi = torch.cat(dots, -1).mul_(torch.cat(squares, -1).clamp_(min=1e-30).rsqrt_()).clamp_(-1.0, 1.0)
    moved = torch.where(pair, torch.lerp(goal, phi, beta), goal)
    added = torch.zeros_like(cosine).scatter_(-1, sequence, torch.cat(pushes, -1))
    added.diagonal(dim1=-2, dim2=-1).add_(1.0)
    return added, target.scatter(-1, sequence, moved)


def _columns(cosine: Tensor, sequence: Tensor) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Rows of all members below one another; per position the column index and the flat row index."""
    n = cosine.shape[-1]
    rows = cosine.reshape(-1, n)
    offset = torch.arange(rows.shape[0] // n, device=cosine.device).mul_(n).reshape(*cosine.shape[:-2], 1, 1)
    flat = (sequence + offset).reshape(-1, n).T.contiguous()
    return rows, torch.split(sequence, 1, -1), flat.unbind(0)
