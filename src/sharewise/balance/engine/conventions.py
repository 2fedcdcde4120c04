"""The engine's explicit choices, the same for every method so that comparisons are fair."""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor

from sharewise.balance.solvers.matrix import inner


class Level(StrEnum):
    """Where task gradients are compared, with the cost of a step against the plain sum's."""

    LOSSES = "losses"
    """Nowhere: one backward pass; weightings only. 1.0."""
    REPRESENTATION = "representation"
    """At the shared features, each task reading its own copy: 1.0 to 1.3."""
    LAST_BLOCK = "last_block"
    """At the parameters given as `shared`, the rest of the trunk going along: 1 + 2 T q / 3 for a share q."""
    PARAMETERS = "parameters"
    """Exactly, at all shared parameters: (1 + 2 T) / 3."""


class Heads(StrEnum):
    """Which gradient the heads get: of their own (scaled) loss, or weighted like the trunk's."""

    OWN = "own"
    WEIGHTED = "weighted"


class Scale(StrEnum):
    """Length of the direction: the method's own, or that of the plain mean (only directions differ)."""

    NATIVE = "native"
    MEAN_NORM = "mean_norm"


def rescaled(weights: Tensor, gramian: Tensor, present: Tensor, scale: Scale, clip: float | None) -> Tensor:
    """Weights (..., T) after the scale convention, then clipped to |J^T w| <= clip."""
    if scale is Scale.MEAN_NORM:
        plain = present.double() / present.sum(-1, keepdim=True).clamp(min=1)
        factor = (inner(gramian, plain).clamp(min=0) / inner(gramian, weights).clamp(min=1e-300)).sqrt()
        weights = weights * factor.unsqueeze(-1)
    if clip is not None:
        length = inner(gramian, weights).clamp(min=1e-300).sqrt()
        weights = weights * (clip / length).clamp(max=1.0).unsqueeze(-1)
    return weights


def renormalised(held: Tensor, present: Tensor) -> Tensor:
    """Held weights of the tasks present, with the sum that all held weights have."""
    kept = held * present
    there, whole = kept.sum(-1, keepdim=True), held.sum(-1, keepdim=True)
    usable = (there > 0) & (whole > 0)
    return kept * torch.where(usable, whole / there.where(usable, torch.ones_like(there)), 1.0)
