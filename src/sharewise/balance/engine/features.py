"""Per-task copies of the shared features, so that one backward over all heads leaves task gradients apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def detached_copies(features: Tensor, n_tasks: int, lead: int) -> Tensor:
    """Leaf (..., T, *rest) of T copies of features (..., *rest) after `lead` member axes; no memory."""
    shape = (*features.shape[:lead], n_tasks, *features.shape[lead:])
    return features.detach().unsqueeze(lead).expand(shape).requires_grad_()


class Carrier:
    """Weights (..., T) that attached copies read on the way back; set before the backward pass."""

    def __init__(self) -> None:
        self.weights: Tensor | None = None


class _Carry(torch.autograd.Function):
    """T copies forward; on the way back the weighted sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, carrier: Carrier, n_tasks: int, lead: int) -> Tensor:
        ctx.carrier, ctx.lead = carrier, lead
        shape = (*features.shape[:lead], n_tasks, *features.shape[lead:])
        return features.unsqueeze(lead).expand(shape)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        weights = ctx.carrier.weights
        assert weights is not None
        return combine(grads[0], weights, ctx.lead), None, None, None


def attached_copies(features: Tensor, n_tasks: int, lead: int, carrier: Carrier) -> Tensor:
    """T copies (..., T, *rest) whose gradients reach the features weighted by `carrier`."""
    return _Carry.apply(features, carrier, n_tasks, lead)  # type: ignore[no-any-return, no-untyped-call]


def combine(cotangents: Tensor, weights: Tensor, lead: int) -> Tensor:
    """sum_t w_t c_t: cotangents (..., T, *rest), weights (..., T) -> (..., *rest)."""
    rest = cotangents.shape[lead + 1 :]
    flat = cotangents.flatten(lead + 1) if rest else cotangents.unsqueeze(-1)
    row = weights.to(flat.dtype).unsqueeze(-2)
    return (row @ flat).reshape(*cotangents.shape[:lead], *rest)


@dataclass(frozen=True)
class Copies:
    """The copies handed out for one step: detached leaves, or attached ones with their carrier."""

    features: tuple[Tensor, ...]
    leaves: tuple[Tensor, ...]
    carrier: Carrier | None

    @staticmethod
    def of(features: Sequence[Tensor], n_tasks: int, lead: int, attached: bool) -> Copies:
        """Copies of every feature tensor."""
        if attached:
            carrier = Carrier()
            made = tuple(attached_copies(f, n_tasks, lead, carrier) for f in features)
            return Copies(tuple(features), made, carrier)
        return Copies(tuple(features), tuple(detached_copies(f, n_tasks, lead) for f in features), None)
