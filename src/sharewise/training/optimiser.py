"""AdamW on the flat (M, P) buffer, with every member's own learning rate and weight decay."""

from __future__ import annotations

import torch
from torch import Tensor


class StackedAdamW:
    """Decoupled weight decay Adam (Loshchilov and Hutter 2019, algorithm 2) for a stack of members.

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p <- p - lr (m^ / (sqrt(v^) + eps) + wd p), with m^ and v^
    corrected for their start. `lr` and `weight_decay` are (M, 1). All members of a stack have taken the same number
    of steps. State: two buffers of the size of the parameters.
    """

    def __init__(self, flat: Tensor, *, beta1: float = 0.9, beta2: float = 0.95, eps: float = 1e-8) -> None:
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.first = torch.zeros_like(flat)
        self.second = torch.zeros_like(flat)
        self.steps = 0

    def step(self, flat: Tensor, gradient: Tensor, lr: Tensor, weight_decay: Tensor) -> None:
        """Move `flat` (M, P) in place against `gradient` (M, P)."""
        self.steps += 1
        self.first.lerp_(gradient, 1 - self.beta1)
        self.second.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        denominator = self.second.sqrt().mul_((1 - self.beta2**self.steps) ** -0.5).add_(self.eps)
        flat.mul_(1 - lr * weight_decay)
        flat.addcmul_(self.first.div(denominator), lr / (1 - self.beta1**self.steps), value=-1.0)

    def keep(self, members: Tensor) -> None:
        """Only the members at these positions stay."""
        self.first, self.second = self.first[members], self.second[members]


def clip_(gradient: Tensor, largest: float) -> Tensor:
    """Scale each member's gradient (M, P) in place to a norm of at most `largest`; returns the norms before, (M,)."""
    norms: Tensor = torch.linalg.vector_norm(gradient, dim=1)
    gradient.mul_((largest / (norms + 1e-6)).clamp(max=1.0).unsqueeze(1))
    return norms
