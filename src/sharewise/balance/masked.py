"""Sums and means over the tasks present; the last axis is the task."""

from __future__ import annotations

import torch
from torch import Tensor


def count(present: Tensor) -> Tensor:
    """Number of tasks present, at least 1: (..., 1)."""
    return present.sum(-1, keepdim=True).clamp(min=1)


def total(values: Tensor, present: Tensor) -> Tensor:
    """Sum over the tasks present: (...,)."""
    return torch.where(present, values, torch.zeros((), dtype=values.dtype, device=values.device)).sum(-1)


def mean(values: Tensor, present: Tensor) -> Tensor:
    """Mean over the tasks present, 0 where none is: (...,)."""
    return total(values, present) / count(present).squeeze(-1)


def softmax(logits: Tensor, present: Tensor) -> Tensor:
    """Softmax over the tasks present, 0 elsewhere: (..., T)."""
    kept = logits.masked_fill(~present, -torch.inf)
    top = kept.amax(-1, keepdim=True).clamp(min=torch.finfo(logits.dtype).min)
    powers = torch.exp(kept - top)
    return powers / powers.sum(-1, keepdim=True).clamp(min=torch.finfo(logits.dtype).tiny)


def uniform(present: Tensor) -> Tensor:
    """1 / number of tasks present for each of them, 0 elsewhere, float64: (..., T)."""
    return present.double() / count(present)
