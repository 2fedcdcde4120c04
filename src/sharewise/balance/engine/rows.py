"""Exact task gradients at shared parameters: one trunk backward per task, as a loop or batched by vmap."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from enum import StrEnum

import torch
from torch import Tensor

from sharewise.errors import ConfigError, Problem


class Trunk(StrEnum):
    """How the T trunk backwards are run; `auto` times both once per balancer."""

    AUTO = "auto"
    LOOP = "loop"
    VMAP = "vmap"


def loop(
    outputs: Sequence[Tensor],
    shared: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    task_axis: int,
    used: list[bool],
    retain: bool,
) -> list[Tensor]:
    """Rows (T, *p.shape) of every shared parameter p: T backward passes, memory T P."""
    shape, last = len(used), max((t for t, is_used in enumerate(used) if is_used), default=-1)
    rows = [p.new_empty((shape, *p.shape)) if all(used) else p.new_zeros((shape, *p.shape)) for p in shared]
    for t, is_used in enumerate(used):
        if not is_used:
            continue
        aimed = [c.select(task_axis, t) for c in cotangents]
        grads: Sequence[Tensor | None] = torch.autograd.grad(
            outputs, shared, aimed, retain_graph=retain or t != last, allow_unused=True
        )
        for row, grad in zip(rows, grads, strict=True):
            if grad is None:
                row[t] = 0.0
            else:
                row[t] = grad
    return rows


def batched(
    outputs: Sequence[Tensor],
    shared: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    task_axis: int,
    retain: bool,
) -> list[Tensor]:
    """The same rows from one batched backward pass; takes the memory of T graphs and a trunk vmap allows."""
    aimed = [c.movedim(task_axis, 0) for c in cotangents]
    n = aimed[0].shape[0]
    grads = torch.autograd.grad(outputs, shared, aimed, retain_graph=retain, allow_unused=True, is_grads_batched=True)
    return [p.new_zeros((n, *p.shape)) if g is None else g for p, g in zip(shared, grads, strict=True)]


class RowSource:
    """Chooses loop or vmap by timing both once (the better of two runs each); vmap must win by a tenth."""

    def __init__(self, trunk: Trunk) -> None:
        self.choice = trunk
        self._known = False

    def rows(
        self,
        outputs: Sequence[Tensor],
        shared: Sequence[Tensor],
        cotangents: Sequence[Tensor],
        task_axis: int,
        used: list[bool],
        retain: bool,
    ) -> list[Tensor]:
        """Rows (T, *p.shape) of every shared parameter; `retain` keeps the trunk's graph for another pass."""
        if not shared:
            raise ConfigError(
                Problem(
                    "Gradients are compared at shared parameters",
                    "no parameter that requires a gradient is shared",
                    "pass shared=..., unfreeze the trunk, or set level='representation'",
                )
            )
        if not self._known:
            _check_reached(outputs, shared)
            self._known = True
        if self.choice is Trunk.AUTO:
            self.choice = self._faster(outputs, shared, cotangents, task_axis, used)
        if self.choice is Trunk.VMAP:
            return batched(outputs, shared, cotangents, task_axis, retain)
        return loop(outputs, shared, cotangents, task_axis, used, retain)

    def _faster(
        self,
        outputs: Sequence[Tensor],
        shared: Sequence[Tensor],
        cotangents: Sequence[Tensor],
        task_axis: int,
        used: list[bool],
    ) -> Trunk:
        if len(used) == 1:
            return Trunk.LOOP
        spent = {Trunk.LOOP: float("inf"), Trunk.VMAP: float("inf")}
        for _ in range(2):
            begun = _now(outputs[0])
            loop(outputs, shared, cotangents, task_axis, used, retain=True)
            spent[Trunk.LOOP] = min(spent[Trunk.LOOP], _now(outputs[0]) - begun)
            begun = _now(outputs[0])
            try:
                with warnings.catch_warnings():
                    # torch warns of operators that vmap runs one by one; the clock says the same
                    warnings.simplefilter("ignore")
                    batched(outputs, shared, cotangents, task_axis, retain=True)
            except RuntimeError:
                # autocast with a normalisation, a compiled trunk, recurrent kernels: vmap cannot follow
                return Trunk.LOOP
            spent[Trunk.VMAP] = min(spent[Trunk.VMAP], _now(outputs[0]) - begun)
        return Trunk.VMAP if spent[Trunk.VMAP] < 0.9 * spent[Trunk.LOOP] else Trunk.LOOP


def _check_reached(outputs: Sequence[Tensor], shared: Sequence[Tensor]) -> None:
    """Raise ConfigError where no shared parameter lies below the features."""
    below = {id(leaf) for leaf in leaves(outputs)}
    if not any(id(p) in below or not p.is_leaf for p in shared):
        raise ConfigError(
            Problem(
                "Gradients are compared at parameters that the shared features depend on",
                "they depend on none of those given as 'shared'",
                "pass the trunk's parameters, of the very module that made the features",
            )
        )


def _now(tensor: Tensor) -> float:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)
        return time.perf_counter()
    return time.process_time()  # the CPU's own time: other programs on the machine must not decide


def flat(row: Tensor, lead: int) -> Tensor:
    """Rows (T, *members, *rest) of one parameter as (*members, T, P)."""
    return row.movedim(0, lead).flatten(lead + 1) if row.dim() > lead + 1 else row.movedim(0, lead).unsqueeze(-1)


def gramian(rows: Sequence[Tensor], lead: int) -> Tensor:
    """Sum over parameters of their Gramians: (..., T, T), float64."""
    total: Tensor | None = None
    for row in rows:
        block = flat(row, lead)
        block = block.float() if block.dtype in (torch.float16, torch.bfloat16) else block
        part = (block @ block.mT).double()
        total = part if total is None else total + part
    assert total is not None
    return total


def leaves(roots: Sequence[Tensor], stop: Sequence[Tensor] = ()) -> list[Tensor]:
    """Leaves that require gradients below `roots`, not beyond `stop`; each once, in order of discovery."""
    seen = {t.grad_fn for t in stop if t.grad_fn is not None}
    ends = {id(t) for t in stop}
    stack = [t.grad_fn for t in roots if t.grad_fn is not None]
    found: dict[int, Tensor] = {id(t): t for t in roots if t.is_leaf and t.requires_grad and id(t) not in ends}
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.name().endswith("AccumulateGrad"):
            leaf: Tensor = node.variable  # type: ignore[attr-defined]
            if id(leaf) not in ends:
                found[id(leaf)] = leaf
        stack.extend(child for child, _ in node.next_functions if child is not None)
    return list(found.values())


def accumulate(parameter: Tensor, gradient: Tensor) -> None:
    """Add to `.grad`, as a backward pass does."""
    gradient = gradient.to(parameter.dtype)
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
