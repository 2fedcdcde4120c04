"""The two-task toy problem of CAGrad, Nash-MTL and FAMO: who reaches the Pareto front, from five starts.

    python benchmarks/toy.py [--methods nash famo] [--steps 35000] [--scale 0.1] [--svg docs/balance_toy.svg]

Prints the first step on the front from each start, and draws the paths. All starts of a method are one stack.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sharewise.balance.aggregation import CATALOGUE
from sharewise.balance.contracts import Aggregator
from sharewise.balance.weighting.famo import FAMO

STARTS = ((-8.5, 7.5), (0.0, 0.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0))
FRONT = -8.3552
PARAMS: dict[str, dict[str, Any]] = {"cagrad": {"c": 0.4}, "nash": {"max_norm": None}}


def losses(theta: Tensor, scales: Tensor) -> Tensor:
    """Both losses (..., 2) at theta (..., 2), times `scales` (..., 2)."""
    x, y = theta.unbind(-1)
    upper, lower = torch.tanh(y / 2).clamp(min=0), torch.tanh(-y / 2).clamp(min=0)
    f1 = (0.5 * (-x - 7) - torch.tanh(-y)).abs().clamp(min=5e-6).log() + 6
    f2 = (0.5 * (-x + 3) + torch.tanh(-y) + 2).abs().clamp(min=5e-6).log() + 6
    g1 = ((7 - x) ** 2 + 0.1 * (y + 8) ** 2) / 10 - 20
    g2 = ((x + 7) ** 2 + 0.1 * (y + 8) ** 2) / 10 - 20
    return scales * torch.stack([upper * f1 + lower * g1, upper * f2 + lower * g2], -1)


def jacobian(theta: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
    """Losses (M, 2) and gradients (M, 2 tasks, 2), by hand; at y = 0 both halves count, as with clamp."""
    x, y = theta.unbind(-1)
    half, whole = torch.tanh(y / 2), torch.tanh(y)
    upper, lower = half.clamp(min=0), (-half).clamp(min=0)
    bend = 0.5 * (1 - half * half)
    up, down = bend * (y >= 0), -bend * (y <= 0)
    inner = torch.stack([-0.5 * x - 3.5 + whole, -0.5 * x + 3.5 - whole], -1)
    size = inner.abs()
    f = size.clamp(min=5e-6).log() + 6
    slope = torch.where(size >= 5e-6, 1.0 / inner, torch.zeros_like(inner))
    sign = torch.tensor([1.0, -1.0], dtype=theta.dtype)
    f_x, f_y = -0.5 * slope, slope * sign * (1 - whole * whole).unsqueeze(-1)
    away = x.unsqueeze(-1) - 7 * sign
    g = (away**2 + 0.1 * ((y + 8) ** 2).unsqueeze(-1)) / 10 - 20
    g_x, g_y = away / 5, 0.02 * (y + 8).unsqueeze(-1)
    upper, lower, up, down = (v.unsqueeze(-1) for v in (upper, lower, up, down))
    values = scales * (upper * f + lower * g)
    rows = torch.stack([upper * f_x + lower * g_x, up * f + upper * f_y + down * g + lower * g_y], -1)
    return values, scales.unsqueeze(-1) * rows


@dataclass
class Path2D:
    """Where a method went: `points` (steps / stride + 1, M, 2), first step on the front (M), -1 for never."""

    points: Tensor
    reached: list[int]


def run(name: str, scale: Tensor, starts: Tensor, steps: int, stride: int = 100) -> Path2D:
    """Adam, lr 1e-3, on the direction of an aggregator (or FAMO) from M starts; scales (M, 2)."""
    theta = starts.clone().double()
    members = list(range(len(starts)))
    optimiser = torch.optim.Adam([theta], lr=1e-3)
    bounds = 21.0 * scale
    method: Aggregator | FAMO
    if name == "famo":
        method = FAMO(lr=0.025, decay=0.0).build(2, members)
    else:
        found = CATALOGUE.build(name, **PARAMS.get(name, {}))
        assert isinstance(found, Aggregator)
        method = found.build(2, members)
    present = torch.ones(len(starts), 2, dtype=torch.bool)
    points, reached = [theta.clone()], [-1] * len(starts)
    values, rows = jacobian(theta, scale)
    for step in range(1, steps + 1):
        if isinstance(method, FAMO):
            leaf = (values + bounds).requires_grad_()
            (weights,) = torch.autograd.grad(method(leaf, present).sum(), leaf)
        else:
            weights = method(rows @ rows.mT, values)
        theta.grad = (weights.unsqueeze(-2) @ rows).squeeze(-2)
        optimiser.step()
        before, (values, rows) = values, jacobian(theta, scale)
        if isinstance(method, FAMO):
            method.after_step(before + bounds, values + bounds, present)
        if step % stride == 0:
            points.append(theta.clone())
        there = ((theta[:, 1] - FRONT).abs() < 0.15) & (theta[:, 0].abs() < 7.15)
        for i in there.nonzero().flatten().tolist():
            reached[i] = step if reached[i] < 0 else reached[i]
        if all(r >= 0 for r in reached):
            points.append(theta.clone())
            break
    return Path2D(torch.stack(points), reached)


def svg(paths: dict[str, Path2D]) -> str:
    """Small multiples, one per method: the five paths, the front, and how many starts reached it."""
    width, height, columns = 200, 170, 3
    colours = ("#1b6ca8", "#c8553d", "#3a7d44", "#7b4b94", "#b07d12")
    lines = []
    for i, (name, path) in enumerate(paths.items()):
        left, top = (i % columns) * width + 10, (i // columns) * height + 24

        def place(x: float, y: float, left: int = left, top: int = top) -> str:
            return f"{left + (x + 11) / 22 * 180:.1f},{top + (10 - y) / 20 * 130:.1f}"

        ends = f"{sum(r >= 0 for r in path.reached)} of {len(path.reached)}"
        lines.append(f'<text x="{left}" y="{top - 6}" font-weight="600">{name}: {ends} on the front</text>')
        lines.append(f'<rect x="{left}" y="{top}" width="180" height="130" fill="none" stroke="#bbb"/>')
        lines.append(f'<polyline points="{place(-7, FRONT)} {place(7, FRONT)}" stroke="#222" stroke-width="4"/>')
        for member, colour in enumerate(colours[: path.points.shape[1]]):
            steps = path.points[:, member].tolist()
            trace = " ".join(place(x, y) for x, y in steps[:: max(len(steps) // 120, 1)] + steps[-1:])
            lines.append(f'<polyline points="{trace}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
            across, down = trace.split()[0].split(",")
            lines.append(f'<circle cx="{across}" cy="{down}" r="2.5" fill="{colour}"/>')
    rows = -(-len(paths) // columns)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * width + 10} {rows * height + 10}" '
        'font-family="sans-serif" font-size="11" role="img" aria-label="Paths on the toy problem">'
    )
    return "\n".join([head, *lines, "</svg>"]) + "\n"


def main() -> None:
    """Run, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=["nash", "fairgrad", "famo", "mgda", "imtl_g", "mean"])
    parser.add_argument("--steps", type=int, default=35000)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--svg", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    starts = torch.tensor(STARTS)
    scales = torch.tensor([options.scale, 1.0]).expand(len(STARTS), 2).double()
    paths = {}
    for name in options.methods:
        paths[name] = run(name, scales, starts, options.steps)
        print(name.ljust(10), *(str(r).rjust(7) for r in paths[name].reached), flush=True)
    if options.svg is not None:
        options.svg.write_text(svg(paths), encoding="utf-8")


if __name__ == "__main__":
    main()
