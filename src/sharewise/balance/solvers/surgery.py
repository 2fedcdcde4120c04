"""Gradient surgery on coefficients: PCGrad and GradVac for all tasks at once, on no vector of length P."""

from __future__ import annotations

import torch
from torch import Tensor


def order(noise: Tensor) -> Tensor:
    """For each task a random order of all tasks, from numbers (..., T, T): (..., T, T)."""
    return noise.argsort(-1)


def project(gramian: Tensor, alive: Tensor, sequence: Tensor) -> Tensor:
    """PCGrad's coefficients c (..., T, T): row i is g_i after its projections, as a sum of task gradients.

    For j in the order `sequence` of row i, j != i: if <g_i', g_j> < 0, g_i' -= <g_i', g_j> / |g_j|^2 g_j. The
    loop is over the position in the order; rows and members go side by side. `gramian` has unit diagonal.
    """
    n = gramian.shape[-1]
    coefficients = torch.eye(n, dtype=gramian.dtype, device=gramian.device).expand(gramian.shape).clone()
    products = gramian.clone()
    index = torch.arange(n, device=gramian.device).unsqueeze(-1)
    usable = (
        (index != sequence)
        & alive.unsqueeze(-1)
        & alive.unsqueeze(-2).expand_as(sequence).gather(-1, sequence)
    )
    ceiling = torch.where(usable, 0.0, -torch.inf).to(gramian.dtype)
    rows = gramian.reshape(-1, n)
    offset = torch.arange(rows.shape[0] // n, device=gramian.device).mul(n).reshape(*gramian.shape[:-2], 1, 1)
    flat = sequence + offset
    for position in range(n):
        at = sequence[..., position : position + 1]
        pull = products.gather(-1, at)
        pull = torch.where(pull < 0, pull, 0.0) * (ceiling[..., position : position + 1] == 0)
        coefficients.scatter_add_(-1, at, -pull)
        products.addcmul_(rows[flat[..., position]], pull, value=-1.0)
    return coefficients


def turn(
    gramian: Tensor, alive: Tensor, sequence: Tensor, target: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """GradVac's coefficients (..., T, T), and the targets after this step; as `project` otherwise."""
    n = gramian.shape[-1]
    coefficients = torch.eye(n, dtype=gramian.dtype, device=gramian.device).expand(gramian.shape).clone()
    products, target = gramian.clone(), target.clone()
    square = torch.ones_like(gramian[..., :1])
    index = torch.arange(n, device=gramian.device).unsqueeze(-1)
    usable = (
        (index != sequence)
        & alive.unsqueeze(-1)
        & alive.unsqueeze(-2).expand_as(sequence).gather(-1, sequence)
    )
    rows = gramian.reshape(-1, n)
    offset = torch.arange(rows.shape[0] // n, device=gramian.device).mul(n).reshape(*gramian.shape[:-2], 1, 1)
    flat = sequence + offset
    for position in range(n):
        at = sequence[..., position : position + 1]
        on = usable[..., position : position + 1]
        dot, goal = products.gather(-1, at), target.gather(-1, at)
        length = square.clamp(min=1e-30).sqrt()
        phi = (dot / length).clamp(-1.0, 1.0)
        ratio = goal / (1.0 - goal * goal).clamp(min=1e-12).sqrt()
        push = length * (ratio * (1.0 - phi * phi).sqrt() - phi)
        push = torch.where(on & (phi < goal), push, 0.0)
        target.scatter_add_(-1, at, torch.where(on, beta * (phi - goal), 0.0))
        coefficients.scatter_add_(-1, at, push)
        square = square + push * (2.0 * dot + push)
        products.addcmul_(rows[flat[..., position]], push)
    return coefficients, target
