"""What happened to the gradients: numbers per step, by-products of the Gramian that every step already has.

Observers read a `Step` and cannot write. `record` turns steps into plain tensors; `Log` averages them per member,
sixteen steps at a time, so that a step costs next to nothing; `look` and `exact` compare gradients now and then
where the method itself compares none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.engine.features import detached_copies
from sharewise.balance.engine.rows import flat, loop
from sharewise.balance.engine.step import Step

TABLES = ("cosines", "similarities")
"""Observations that are (T, T); means of them are kept for the whole run."""


@dataclass(frozen=True)
class Observation:
    """One step, or a stack of steps, seen. Shapes (..., T) and (..., T, T); nan where a task, or a pair, was absent.

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


def look(features: Tensor, losses_from: Callable[[Tensor], Tensor], step: Step) -> Step:
    """`step` with the Gramian of its task gradients at the shared representation, for a step that has none.

    `features` (..., *rest) and `losses_from` as the balancer's `backward_from` takes them, before the optimiser moves
    anything. Touches no `.grad`. Cost: heads forward and backward, the trunk not at all.
    """
    return replace(step, gramian=_gramian(_cotangents(features, losses_from, step), step))


def exact(
    features: Tensor,
    losses_from: Callable[[Tensor], Tensor],
    step: Step,
    shared: Sequence[tuple[str, Tensor]],
) -> dict[str, Tensor]:
    """Gramians (..., T, T) of the scaled losses' exact gradients in every layer of the trunk; their sum is the whole.

    `features` carry the trunk's graph, `shared` are its parameters by name; parameters of one layer share the name
    up to the last dot. Touches no `.grad`. Cost: one trunk backward per task, memory T P.
    """
    cotangents = _cotangents(features, losses_from, step)
    n_tasks, lead = step.present.shape[-1], step.present.dim() - 1
    rows = loop([features], [p for _, p in shared], [cotangents], lead, [True] * n_tasks, retain=False)
    slopes = step.slopes.double()
    both = slopes.unsqueeze(-1) * slopes.unsqueeze(-2)
    blocks = [(name, flat(row, lead)) for (name, _), row in zip(shared, rows, strict=True)]
    return {layer: matrix * both for layer, matrix in by_layer(blocks).items()}


def by_layer(rows: Sequence[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Gramian (..., T, T) per layer from rows (..., T, P) of its parameters, as level `parameters` computes them."""
    found: dict[str, Tensor] = {}
    for name, row in rows:
        layer = name.rpartition(".")[0] or name
        part = (row @ row.mT).double()
        found[layer] = part if layer not in found else found[layer] + part
    return found


def _cotangents(features: Tensor, losses_from: Callable[[Tensor], Tensor], step: Step) -> Tensor:
    lead = step.present.dim() - 1
    leaf = detached_copies(features, step.present.shape[-1], lead)
    with torch.enable_grad():
        losses = losses_from(leaf)
        (found,) = torch.autograd.grad(losses.nan_to_num()[step.present].sum(), leaf, allow_unused=True)
    return torch.zeros_like(leaf) if found is None else found


def _gramian(cotangents: Tensor, step: Step) -> Tensor:
    lead = step.present.dim() - 1
    rows = cotangents.flatten(lead + 1)
    slopes = step.slopes.double()
    return (rows @ rows.mT).double() * slopes.unsqueeze(-1) * slopes.unsqueeze(-2)


class Log:
    """Means over steps per member, nan-safe: what is a number per task or member since it was last taken, what is a
    table of task pairs over the whole run.

    Steps are kept as they are and worked off `every` at a time.
    """

    def __init__(self, every: int = 16) -> None:
        self._every = every
        self._steps: list[Step] = []
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}

    def add(self, step: Step) -> None:
        """Take note of a step."""
        self._steps.append(step)
        if len(self._steps) >= self._every:
            self._work_off()

    def keep(self, index: Tensor) -> None:
        """Let members leave the stack."""
        self._work_off()
        self._sums = {name: value[index] for name, value in self._sums.items()}
        self._counts = {name: value[index] for name, value in self._counts.items()}

    def take(self, index: Tensor | None = None) -> dict[str, Tensor]:
        """Means of everything but tables for the members at `index` (None: the one member, or all); they start anew."""
        self._work_off()
        found = {}
        for name in self._sums:
            if name in TABLES:
                continue
            where: Tensor | tuple[()] = () if index is None else index
            found[name] = self._mean(name)[where]
            self._sums[name][where] = 0.0
            self._counts[name][where] = 0.0
        return found

    def tables(self, index: Tensor | None = None) -> dict[str, Tensor]:
        """Means (..., T, T) of `TABLES` over all steps so far; nothing where no gradient was compared."""
        self._work_off()
        where: Tensor | tuple[()] = () if index is None else index
        return {name: self._mean(name)[where] for name in TABLES if name in self._sums}

    def _mean(self, name: str) -> Tensor:
        count = self._counts[name]
        return torch.where(count > 0, self._sums[name] / count.clamp(min=1), torch.nan)

    def _work_off(self) -> None:
        steps, self._steps = self._steps, []
        for part in ([s for s in steps if s.gramian is None], [s for s in steps if s.gramian is not None]):
            if part:
                self._sum(record(_stacked(part)))

    def _sum(self, seen: Observation) -> None:
        for name, value in seen.__dict__.items():
            if value is None:
                continue
            known = value.isfinite()
            clean = torch.where(known, value, torch.zeros_like(value)).double().sum(0)
            if name not in self._sums:
                self._sums[name], self._counts[name] = clean, known.sum(0).double()
            else:
                self._sums[name] += clean
                self._counts[name] += known.sum(0)


def _stacked(steps: Sequence[Step]) -> Step:
    gramians = [s.gramian for s in steps if s.gramian is not None]
    return Step(
        torch.stack([s.losses for s in steps]),
        torch.stack([s.present for s in steps]),
        torch.stack([s.weights for s in steps]),
        torch.stack([s.slopes for s in steps]),
        torch.stack(gramians) if gramians else None,
        True,
    )
