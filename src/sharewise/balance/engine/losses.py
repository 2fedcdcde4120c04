"""Losses as the user gives them, checked once: a tensor (..., T), T scalars, or scalars by task name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sharewise.errors import ConfigError, DataError, Problem, nearest

Losses = Tensor | Sequence[Tensor] | Mapping[str, Tensor]


class TaskLosses:
    """T losses with their graphs; `values` (..., T) detached, `present` (..., T) labelled and finite.

    Raises ConfigError for a loss that is not a scalar or has no graph, for a wrong number or order of tasks,
    and DataError for a present loss that is not finite unless `skip` counts it as absent.
    """

    def __init__(self, losses: Losses, present: Tensor | None, names: tuple[str, ...], skip: bool) -> None:
        if isinstance(losses, Mapping):
            _check_order(tuple(losses), names)
            losses = tuple(losses.values())
        self.stacked = losses if isinstance(losses, Tensor) else None
        self.scalars: tuple[Tensor, ...] = () if isinstance(losses, Tensor) else tuple(losses)
        self.values = self._values(names)
        self.present = _labelled(present, self.values)
        given = present is None or bool(present.all())
        # one sum tells that everything is finite; only where it is not are the tasks looked at one by one
        self.whole = given and math.isfinite(float(self.values.sum()))
        self.spoilt = False
        if not self.whole:
            self._set_aside(names, skip)
        self._check_graph(names)

    def _values(self, names: tuple[str, ...]) -> Tensor:
        if self.stacked is None:
            _check_scalars(self.scalars, names)
            device = self.scalars[0].device
            dtype = torch.float64 if any(s.dtype == torch.float64 for s in self.scalars) else torch.float32
            return torch.stack([s.detach().to(device, dtype).reshape(()) for s in self.scalars])
        values = self.stacked.detach()
        if values.dtype in (torch.float16, torch.bfloat16):
            values = values.float()
        if values.dim() == 0 or values.shape[-1] != len(names):
            raise ConfigError(
                Problem(
                    f"Losses must be (..., T) for the T = {len(names)} tasks declared",
                    f"their shape is {tuple(values.shape)}",
                )
            )
        return values

    def _set_aside(self, names: tuple[str, ...], skip: bool) -> None:
        """Count losses that are not finite as absent, or raise DataError."""
        bad = self.present & ~self.values.isfinite()
        self.present = self.present & ~bad
        self.spoilt = bool(bad.any())
        if self.spoilt and not skip:
            where = bad.reshape(-1, len(names)).any(0).tolist()
            wrong = [name for name, is_bad in zip(names, where, strict=True) if is_bad]
            raise DataError(
                Problem(
                    "The loss of a task with labels must be finite",
                    f"that of {', '.join(wrong)} is {float(self.values[bad][0])}",
                    "lower the learning rate, check targets, or leave such tasks out with nonfinite='skip'",
                )
            )

    def _check_graph(self, names: tuple[str, ...]) -> None:
        if self.stacked is not None:
            loose = [] if self.stacked.requires_grad else list(names)
        else:
            flags = [True] * len(names) if self.whole else self.present.tolist()
            loose = [n for n, s, there in zip(names, self.scalars, flags, strict=True) if there and not s.requires_grad]
        if loose and bool(self.present.any()):
            raise ConfigError(
                Problem(
                    "The loss of a task that is present must be attached to the graph",
                    f"that of {', '.join(loose)} is not",
                    "compute it from the model's output, or say present=False for a task without labels",
                )
            )

    def clean(self) -> Tensor:
        """Values with 0 for absent tasks."""
        if self.whole:
            return self.values
        return torch.where(self.present, self.values, torch.zeros_like(self.values))

    def parts(self, weights: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Roots and their gradients for one backward pass of sum_t w_t l_t; absent scalars are left out."""
        if self.stacked is not None:
            return [self.stacked], [weights.to(self.stacked.dtype)]
        there = [True] * len(self.scalars) if self.whole else self.present.tolist()
        kept = [
            (s, w.to(s.dtype).reshape(s.shape))
            for s, w, p in zip(self.scalars, weights.unbind(-1), there, strict=True)
            if p and s.requires_grad
        ]
        return [s for s, _ in kept], [w for _, w in kept]

    def backward(self, weights: Tensor | None) -> None:
        """Backward pass of sum_t w_t l_t into every leaf; None: of the sum of scalars that are all present."""
        if weights is None:
            torch.autograd.backward(self.scalars)
            return
        roots, grads = self.parts(weights)
        if roots:
            torch.autograd.backward(roots, grads)


def _labelled(present: Tensor | None, values: Tensor) -> Tensor:
    """`present` in the shape of the losses; ConfigError where it is none of theirs."""
    if present is None:
        return torch.ones_like(values, dtype=torch.bool)
    if not isinstance(present, Tensor):
        raise ConfigError(
            Problem(
                f"'present' must be a tensor of bool with the losses' shape {tuple(values.shape)}",
                f"it is a {type(present).__name__}",
                "wrap it in torch.tensor(...)",
            )
        )
    fits = present.dim() <= values.dim() and values.shape[values.dim() - present.dim() :] == present.shape
    if present.dtype is not torch.bool or not fits:
        raise ConfigError(
            Problem(
                f"'present' must be a tensor of bool with the losses' shape {tuple(values.shape)}",
                f"it is one of {str(present.dtype).removeprefix('torch.')} with shape {tuple(present.shape)}",
            )
        )
    return present.expand_as(values)


def _check_order(given: tuple[str, ...], names: tuple[str, ...]) -> None:
    if given == names:
        return
    unknown = [name for name in given if name not in names]
    missing = [name for name in names if name not in given]
    if unknown:
        fact, remedy = f"'{unknown[0]}' is none", nearest(unknown[0], names)
    elif missing:
        fact, remedy = (
            f"that of '{missing[0]}' is missing",
            "give every task, and say present=False for absent ones",
        )
    else:
        fact, remedy = f"it is {', '.join(given)}", f"the declared order is {', '.join(names)}"
    raise ConfigError(Problem("Losses must be given for the tasks declared, in their order", fact, remedy))


def _check_scalars(scalars: tuple[Tensor, ...], names: tuple[str, ...]) -> None:
    if len(scalars) != len(names):
        raise ConfigError(Problem(f"Losses must be one per task ({len(names)})", f"{len(scalars)} are given"))
    for name, scalar in zip(names, scalars, strict=True):
        if not isinstance(scalar, Tensor) or scalar.is_complex():
            kind = type(scalar).__name__ if not isinstance(scalar, Tensor) else "complex tensor"
            raise ConfigError(
                Problem(
                    "A loss must be a real tensor",
                    f"that of task '{name}' is a {kind}",
                    "compute it from the model's output, or say present=False for a task without labels",
                )
            )
        if scalar.numel() != 1:
            raise ConfigError(
                Problem(
                    "A loss must be a scalar",
                    f"that of task '{name}' has shape {tuple(scalar.shape)}",
                    "reduce it, for example with .mean()",
                )
            )
