"""What happened to the gradients: numbers per step, by-products of the Gramian that every step already has.

Observers read a `Step` and cannot write. `record` turns a step into plain tensors; `Log` averages them over
an epoch per member at the cost of a few T x T operations a step, and gives JSON-able rows for the report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.engine.step import Step


@dataclass(frozen=True)
class Observation:
    """One step, seen. Shapes (..., T) and (..., T, T); nan where a task, or a pair, was absent.

    `weights` effective weights; `loss_shares` w_k l_k over their sum; `norms` of the raw gradients;
    `norm_shares` |w_k g_k| over their sum; `cosines` between raw gradients; `similarities` of magnitude 2 n_j
    n_k / (n_j^2 + n_k^2); `conflict_rate` (...,) the share of pairs present with a negative cosine.
    """

    weights: Tensor
    loss_shares: Tensor
    norms: Tensor | None
    norm_shares: Tensor | None
    cosines: Tensor | None
    similarities: Tensor | None
    conflict_rate: Tensor | None


def record(step: Step) -> Observation:
    """Observation of a step; gradient statistics only where the step has a Gramian."""
    nothing = torch.full_like(step.weights, torch.nan)
    weights = torch.where(step.present, step.weights, nothing)
    part = step.weights * torch.where(step.present, step.losses, torch.zeros_like(step.losses))
    loss_shares = torch.where(step.present, part / masked.total(part, step.present).unsqueeze(-1), nothing)
    if step.gramian is None:
        return Observation(weights, loss_shares, None, None, None, None, None)
    scaled = step.gramian.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
    slopes = step.slopes.double()
    norms = scaled / slopes.where(slopes != 0, torch.ones_like(slopes))
    size = step.weights.double().abs() * norms
    norm_shares = size / masked.total(size, step.present).unsqueeze(-1).clamp(min=1e-300)
    pair = step.present.unsqueeze(-1) & step.present.unsqueeze(-2)
    outer = scaled.unsqueeze(-1) * scaled.unsqueeze(-2)
    cosines = (step.gramian / outer.clamp(min=1e-300)).clamp(-1.0, 1.0)
    squares = norms.unsqueeze(-1) ** 2 + norms.unsqueeze(-2) ** 2
    alike = 2.0 * norms.unsqueeze(-1) * norms.unsqueeze(-2) / squares.clamp(min=1e-300)
    conflict = conflict_rate(step.gramian, step.present)
    return Observation(
        weights,
        loss_shares,
        torch.where(step.present, norms, torch.nan),
        torch.where(step.present, norm_shares, torch.nan),
        torch.where(pair, cosines, torch.nan),
        torch.where(pair, alike, torch.nan),
        conflict,
    )


def conflict_rate(gramian: Tensor, present: Tensor) -> Tensor:
    """Share (...,) of pairs of tasks present with a negative inner product; nan without a pair."""
    pair = (present.unsqueeze(-1) & present.unsqueeze(-2)).triu(1)
    return ((gramian < 0) & pair).sum((-2, -1)).double() / pair.sum((-2, -1))


def layer_conflicts(rows: Iterable[tuple[str, Tensor]], present: Tensor) -> dict[str, float]:
    """Conflict rate per layer from rows (T, *shape) of its parameters, as level `parameters` computes them.

    Parameters of one layer share the name up to the last dot.
    """
    layers: dict[str, Tensor] = {}
    for name, row in rows:
        block = row.flatten(1)
        layer = name.rpartition(".")[0] or name
        layers[layer] = layers.get(layer, torch.zeros(1)) + (block @ block.mT).double()
    return {layer: float(conflict_rate(matrix, present)) for layer, matrix in layers.items()}


class Log:
    """Means over an epoch's steps, one value per member and task (or pair), nan-safe; `flush` ends it."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}

    def add(self, step: Step) -> None:
        """Take note of a step."""
        seen = record(step)
        for name, value in seen.__dict__.items():
            if value is None:
                continue
            known = value.isfinite()
            clean = torch.where(known, value, torch.zeros_like(value)).double()
            if name not in self._sums:
                self._sums[name], self._counts[name] = clean, known.double()
            else:
                self._sums[name] += clean
                self._counts[name] += known

    def keep(self, index: Tensor) -> None:
        """Let members leave the stack."""
        self._sums = {name: value[index] for name, value in self._sums.items()}
        self._counts = {name: value[index] for name, value in self._counts.items()}

    def flush(self) -> dict[str, list[object] | float | None]:
        """Nested lists (members, tasks) of the means, None where nothing was seen; empties the log."""
        found: dict[str, list[object] | float | None] = {}
        for name, total in self._sums.items():
            mean = torch.where(self._counts[name] > 0, total / self._counts[name].clamp(min=1), torch.nan)
            found[name] = _plain(mean.tolist())
        self._sums, self._counts = {}, {}
        return found


def _plain(value: list[object] | float) -> list[object] | float | None:
    if isinstance(value, list):
        return [_plain(v) for v in value]  # type: ignore[arg-type]
    return None if value != value else value
