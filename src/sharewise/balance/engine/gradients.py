"""Task gradients of one step at one level: what is measured, what is moved, and how it reaches `.grad`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sharewise.balance.contracts import Directional
from sharewise.balance.engine import ranks
from sharewise.balance.engine.conventions import Level
from sharewise.balance.engine.losses import TaskLosses
from sharewise.balance.engine.rows import RowSource, accumulate, flat, leaves
from sharewise.balance.solvers.matrix import apply, pseudo_inverse
from sharewise.errors import ConfigError, Problem

UNREAD = Problem(
    "Every head must read its own copy of the shared features",
    "a loss has been computed from the features themselves",
    "pass copies[t] of copies = balancer.copies(z) to head t, and call backward once a step",
)
"""What is wrong where a backward pass through the heads does not end at the copies."""


@dataclass
class Gradients:
    """Blocks (..., T, P_b) of task gradients.

    `measured` are compared, `moved` are combined (the same, but for the last block); `values` (..., P_b) are
    the features or parameters that `moved` belong to; `put` takes one direction (..., P_b) per moved block to
    `.grad`; `heads` takes weights (..., T) to the heads' `.grad` where they still wait for them.
    """

    measured: list[Tensor]
    moved: list[Tensor]
    values: list[Tensor] | None
    put: Callable[[Iterable[Tensor]], None]
    heads: Callable[[Tensor], None] | None
    at_parameters: bool

    def gramian(self) -> Tensor:
        """Inner products (..., T, T), float64, over all ranks."""
        total: Tensor | None = None
        for block in self.measured:
            block = block.float() if block.dtype in (torch.float16, torch.bfloat16) else block
            part = (block @ block.mT).double()
            total = part if total is None else total + part
        assert total is not None
        return total if self.at_parameters else ranks.sum_gramian(total)

    def clean(self, present: Tensor) -> None:
        """Zero the rows of absent tasks where a loss or gradient that is not finite spoilt them."""
        absent = ~present.unsqueeze(-1)
        self.measured = [b.masked_fill(absent, 0.0) for b in self.measured]
        self.moved = [b.masked_fill(absent, 0.0) for b in self.moved]

    def combine(self, weights: Tensor) -> None:
        """Move along J^T w; gives up the blocks one by one: rows and directions need not fit together."""
        row, blocks = weights.unsqueeze(-2), self.moved
        self.measured = []
        blocks.reverse()

        def directions() -> Iterator[Tensor]:
            while blocks:
                block = blocks.pop()
                yield (row.to(block.dtype) @ block).squeeze(-2)

        self.put(directions())

    def direct(self, method: Directional, present: Tensor, clip: float | None) -> list[Tensor]:
        """Directions (..., P_b) of an element-wise method, clipped together."""
        values: Sequence[Tensor | None] = self.values or [None] * len(self.moved)
        pairs = zip(self.moved, values, strict=True)
        found = [method.direction(block, value, present, i) for i, (block, value) in enumerate(pairs)]
        if clip is None:
            return found
        square = torch.stack([f.double().square().sum(-1) for f in found]).sum(0)
        factor = (clip / square.clamp(min=1e-300).sqrt()).clamp(max=1.0).unsqueeze(-1)
        return [f * factor.to(f.dtype) for f in found]

    def explained(self, directions: Sequence[Tensor], gramian: Tensor, present: Tensor) -> Tensor:
        """Weights w (..., T) for which J^T w is nearest to a direction that is no such sum."""
        along = torch.stack(
            [(b @ d.unsqueeze(-1)).squeeze(-1).double() for b, d in zip(self.moved, directions, strict=True)]
        ).sum(0)
        return apply(pseudo_inverse(gramian, present), along)


def at_features(
    features: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    lead: int,
    heads: Callable[[Tensor], None] | None,
) -> Gradients:
    """Gradients at the shared representation; one trunk backward puts the direction into the parameters."""
    blocks = [_flat(c, lead) for c in cotangents]
    values = [_flat_value(f.detach(), lead) for f in features]

    def put(directions: Iterable[Tensor]) -> None:
        aimed = [d.reshape(f.shape).to(f.dtype) for d, f in zip(directions, features, strict=True)]
        # Features that nothing trainable lies below, say the inputs themselves, have nothing to hand on.
        moved = [(f, a) for f, a in zip(features, aimed, strict=True) if f.requires_grad]
        try:
            if moved:
                torch.autograd.backward([f for f, _ in moved], [a for _, a in moved])
        except RuntimeError as fault:
            # torch's own words, where some head has taken the trunk's graph along already
            if "through the graph a second time" in str(fault):
                raise ConfigError(UNREAD) from fault
            raise

    return Gradients(blocks, blocks, values, put, heads, at_parameters=False)


def at_parameters(
    features: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    shared: Sequence[Tensor],
    source: RowSource,
    used: list[bool],
    lead: int,
    heads: Callable[[Tensor], None] | None,
    level: Level,
) -> Gradients:
    """Exact gradients at `shared`; at level `last_block` only measured, and the whole trunk moves along."""
    found = source.rows(features, shared, cotangents, lead, used, retain=level is not Level.PARAMETERS)
    ranks.mean_rows(found)
    rows = _of_parameters(shared, found, lead, heads)
    if level is Level.PARAMETERS:
        return rows
    trunk = at_features(features, cotangents, lead, heads)
    return Gradients(rows.measured, trunk.moved, trunk.values, trunk.put, heads, at_parameters=True)


def without_features(losses: TaskLosses, shared: Sequence[Tensor], slopes: Tensor, own: bool) -> Gradients:
    """Exact gradients at `shared` without common features: one whole backward per task, for any model."""
    rows = [p.new_zeros((len(losses.scalars), *p.shape)) for p in shared]
    others = _per_task(losses, shared, slopes, own, rows)
    ranks.mean_rows(rows)
    return _of_parameters(shared, rows, 0, others)


def without_copies(losses: TaskLosses, features: Sequence[Tensor], slopes: Tensor, own: bool) -> Gradients:
    """Gradients at features that all heads read directly: one pass per head. Copies spare that."""
    rows = [f.new_zeros((len(losses.scalars), *f.shape)) for f in features]
    heads = _per_task(losses, features, slopes, own, rows)
    return at_features(features, rows, 0, heads)


def _per_task(
    losses: TaskLosses, targets: Sequence[Tensor], slopes: Tensor, own: bool, rows: list[Tensor]
) -> Callable[[Tensor], None] | None:
    """Fill rows (T, *target.shape); heads get theirs now where `own`, else by the callable returned."""
    if losses.stacked is not None:
        raise ConfigError(
            Problem(
                "Gradients per task need losses apart",
                "they are one tensor",
                "give a list of scalars, or per-task copies of the features",
            )
        )
    waiting: list[tuple[Tensor, int, Tensor]] = []
    for t, (loss, is_present) in enumerate(zip(losses.scalars, losses.present.tolist(), strict=True)):
        if not is_present:
            continue
        rest = leaves([loss], targets)
        grads = torch.autograd.grad(
            loss,
            [*targets, *rest],
            slopes[t].to(loss.dtype).reshape(loss.shape),
            retain_graph=True,
            allow_unused=True,
        )
        for row, grad in zip(rows, grads, strict=False):
            if grad is not None:
                row[t] = grad
        waiting += [(p, t, g) for p, g in zip(rest, grads[len(targets) :], strict=True) if g is not None]
        if own:
            for parameter, _, grad in waiting:
                accumulate(parameter, grad)
            waiting = []

    def put(weights: Tensor) -> None:
        for parameter, t, grad in waiting:
            accumulate(parameter, weights[t].to(grad.dtype) * grad)

    return None if own else put


def _of_parameters(
    shared: Sequence[Tensor], rows: Sequence[Tensor], lead: int, heads: Callable[[Tensor], None] | None
) -> Gradients:
    blocks = [flat(row, lead) for row in rows]

    def put(directions: Iterable[Tensor]) -> None:
        for parameter, direction in zip(shared, directions, strict=True):
            accumulate(parameter, direction.reshape(parameter.shape))

    return Gradients(blocks, blocks, None, put, heads, at_parameters=True)


def _flat(cotangents: Tensor, lead: int) -> Tensor:
    return cotangents.flatten(lead + 1) if cotangents.dim() > lead + 1 else cotangents.unsqueeze(-1)


def _flat_value(value: Tensor, lead: int) -> Tensor:
    return value.flatten(lead) if value.dim() > lead else value.unsqueeze(-1)
