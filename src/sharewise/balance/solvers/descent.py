"""Many non-negative quadratic programs with one matrix: projected descent in float32, refined in float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sharewise.balance.solvers.matrix import uncast

RESIDUAL = 1e-11
"""Greatest |min(x, A x + q)|, relative to max|q|, at which a problem is done."""

ROUND = 1e-7
"""How far one round in float32 gets, relative to where it began."""


def solve(matrix: Tensor, linear: Tensor, least: Tensor, most: Tensor, rounds: int = 4) -> tuple[Tensor, Tensor]:
    """x >= 0 (N, R, T) for A (N, T, T) and slopes q (N, R, T), and which problems (N, R) stay open.

    Heavy-ball steps (Polyak 1964), each projected on x >= 0, with the step and momentum that are best for the
    extreme eigenvalues `least` and `most` (N,) of A: the error shrinks by (sqrt(k) - 1) / (sqrt(k) + 1) a
    step, k their ratio. A round of them in float32 solves for the correction to x, whose gradient is taken in
    float64; two rounds, sometimes three, reach `RESIDUAL`. Cost: three tensor operations a step, 15 to 40
    steps a round.
    """
    low, high = least.sqrt(), most.sqrt()
    rate = (high - low) / (high + low)
    shrink = -math.log(max(float(rate.amax()), 0.05))
    step, keep = (
        ((high + low).square().reciprocal() * -4.0)[:, None, None].float(),
        rate.square()[:, None, None].float(),
    )
    scale = linear.abs().amax(-1, keepdim=True).clamp_(min=1e-300)
    slope = linear / scale
    x, gradient, left = torch.zeros_like(slope), slope, 1.0
    with uncast(matrix):
        spread = matrix.float().mul_(step)
        spread.diagonal(dim1=-2, dim2=-1).add_(1.0 + keep.squeeze(-1))
        for _ in range(rounds):
            steps = 4 + int(-math.log(max(ROUND, RESIDUAL / left)) / shrink)
            floor = x.float().neg_()
            moved = _round(spread, gradient.float().mul_(step), floor, keep, steps)
            x = (x + moved).mul_(moved > floor)
            gradient = torch.baddbmm(slope, x, matrix)
            residual = torch.minimum(x, gradient).abs_().amax(-1)
            before, left = left, float(residual.amax())
            if not RESIDUAL < left < 0.1 * before:
                break
    if left <= RESIDUAL:
        return x.mul_(scale), torch.zeros_like(residual, dtype=torch.bool)
    open_ = ~(residual <= RESIDUAL)
    return x * ~open_.unsqueeze(-1) * scale, open_


def _round(spread: Tensor, push: Tensor, floor: Tensor, keep: Tensor, steps: int) -> Tensor:
    """x <- max(x ((1 + b) I - a A) - a q - b x_before, floor), from zero: (N, R, T), float32."""
    before = now = torch.zeros_like(push)
    for _ in range(steps):
        after = torch.baddbmm(push, now, spread).addcmul_(before, keep, value=-1.0)
        before, now = now, torch.maximum(after, floor, out=after)
    return now
