"""What one balanced step did: measured, detached, and a by-product of what was computed anyway."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Step:
    """One step of one member (T,) or a stack (M, T).

    `losses` as the heads gave them; `present` the tasks that counted (labelled and finite); `weights` the
    effective weights, d objective / d loss, on the shared parameters; `slopes` d scaled loss / d loss;
    `gramian` (..., T, T) of the *scaled* losses' gradients at the engine's level, None where no gradient was
    compared; `fresh` False where held weights were used again.
    """

    losses: Tensor
    present: Tensor
    weights: Tensor
    slopes: Tensor
    gramian: Tensor | None
    fresh: bool
