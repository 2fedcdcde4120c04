"""Losses as the user gives them, checked once: a tensor (..., T), T scalars, or scalars by task name."""

from __future__ import annotations

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
        if self.stacked is None:
            _check_scalars(self.scalars, names)
            device = self.scalars[0].device
            self.values = torch.stack([s.detach().to(device).float() for s in self.scalars])
            if any(s.dtype == torch.float64 for s in self.scalars):
                self.values = torch.stack([s.detach().double() for s in self.scalars])
        else:
            self.values = self.stacked.detach()
            if self.values.dtype in (torch.float16, torch.bfloat16):
                self.values = self.values.float()
            if self.values.dim() == 0 or self.values.shape[-1] != len(names):
                raise ConfigError(
                    Problem(
                        f"Losses must be (..., T) for the T = {len(names)} tasks declared",
                        f"their shape is {tuple(self.values.shape)}",
                    )
                )
        labelled = torch.ones_like(self.values, dtype=torch.bool) if present is None else present
        finite = self.values.isfinite()
        self.present = labelled & finite
        self.spoilt = bool((labelled & ~finite).any())
        if self.spoilt and not skip:
            where = (labelled & ~finite).reshape(-1, len(names)).any(0).tolist()
            bad = [name for name, wrong in zip(names, where, strict=True) if wrong]
            raise DataError(
                Problem(
                    "The loss of a task with labels must be finite",
                    f"that of {', '.join(bad)} is {_first(self.values, labelled & ~finite)}",
                    "lower the learning rate, check targets, or leave such tasks out with nonfinite='skip'",
                )
            )
        self._check_graph(names)

    def _check_graph(self, names: tuple[str, ...]) -> None:
        if self.stacked is not None:
            loose = [] if self.stacked.requires_grad else list(names)
        else:
            flags = self.present.tolist()
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
        return torch.where(self.present, self.values, torch.zeros_like(self.values))

    def parts(self, weights: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Roots and their gradients for one backward pass of sum_t w_t l_t; absent scalars are left out."""
        if self.stacked is not None:
            return [self.stacked], [weights.to(self.stacked.dtype)]
        used = [(s, w.to(s.dtype)) for s, w in zip(self.scalars, weights, strict=True) if s.requires_grad]
        kept = [(s, w.reshape(s.shape)) for (s, w), p in zip(used, self._attached(), strict=True) if p]
        return [s for s, _ in kept], [w for _, w in kept]

    def _attached(self) -> list[bool]:
        return [p for p, s in zip(self.present.tolist(), self.scalars, strict=True) if s.requires_grad]

    def backward(self, weights: Tensor) -> None:
        """Backward pass of sum_t w_t l_t into every leaf."""
        roots, grads = self.parts(weights)
        if roots:
            torch.autograd.backward(roots, grads)


def _first(values: Tensor, where: Tensor) -> float:
    return float(values[where][0])


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
        if scalar.numel() != 1:
            raise ConfigError(
                Problem(
                    "A loss must be a scalar",
                    f"that of task '{name}' has shape {tuple(scalar.shape)}",
                    "reduce it, for example with .mean()",
                )
            )
