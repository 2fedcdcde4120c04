"""Weights that the user sets: one point of the sweep that any method must beat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, TaskFacts, Weighting
from sharewise.errors import ConfigError, Problem


class Static(Weighting):
    """Fixed weights: sum_k w_k l_k / sum_k w_k over the tasks present. Linear scalarisation.

    `weights` are by position or by task name (a task not named counts 1); non-negative, finite, not all zero.
    Tuned by a sweep this is the front that Xin et al. (arXiv 2209.11379) found no method to beat. Cost: one
    backward pass. Raises ConfigError for a negative or unknown weight.
    """

    claims = frozenset({Claim.CONVEX, Claim.DETERMINISTIC})
    share: Tensor

    def __init__(self, *, weights: Sequence[float] | Mapping[str, float]) -> None:
        super().__init__()
        self.weights = weights

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        row = _row(self.weights, facts)
        self.register_buffer("share", row.expand(shape).clone())

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        self._built()
        share = self.share * present
        share = share / share.sum(-1, keepdim=True).clamp(min=torch.finfo(share.dtype).tiny)
        return masked.total(share.to(losses.dtype) * losses, present)


def _row(weights: Sequence[float] | Mapping[str, float], facts: TaskFacts) -> Tensor:
    if isinstance(weights, Mapping):
        for name in weights:
            facts.position(name, "A weight must belong to a task")
        values = [float(weights.get(name, 1.0)) for name in facts.labels]
    else:
        values = [float(w) for w in weights]
        if len(values) != facts.n_tasks:
            raise ConfigError(
                Problem(f"'weights' must have one number per task ({facts.n_tasks})", f"it has {len(values)}")
            )
    bad = [w for w in values if not (math.isfinite(w) and w >= 0)]
    if bad or sum(values) == 0:
        fact = f"{bad[0]} is given" if bad else "all are zero"
        raise ConfigError(Problem("Weights must be finite, not negative and not all zero", fact))
    return torch.tensor(values, dtype=torch.float64)
