"""Experts that all tasks share, and a gate for every task."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.models.sharing.base import Dropout, Sharing, parts_of
from sharewise.models.stacked import ZERO, Linears


class MMoE(Sharing):
    """Multi-gate mixture-of-experts (Ma et al. 2018, eqs. 5-7): f_t(x) = sum_e g_t(x)_e f_e(x).

    g_t(x) = softmax(x V_t + c_t), f_e a perceptron of `depth` layers of `width` units. The gates start at zero: every
    task begins with the mean of the experts and moves off it as far as its labels say. z is the gates' input and all
    experts side by side: everything above it is one task's gate. One expert is hard sharing.

    Differs from the paper: a task's tower is its head, one affine map.

    Shapes: (M, B, I) -> (M, S, B, width); z (M, B, I + n_experts width). Cost: `n_experts` trunks, whatever the
    number of tasks. Raises ValueError for sizes that cannot be.
    """

    def __init__(self, *, n_in: int, n_slots: int, n_experts: int = 4, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        if n_experts < 1 or width < 1 or depth < 1:
            raise ValueError(
                "Experts, their width and their depth are at least 1; however, they are "
                f"{n_experts}, {width} and {depth}."
            )
        sizes = [n_in, *[width] * depth]
        self.experts = nn.ModuleList(Linears(a, b, (n_experts,)) for a, b in itertools.pairwise(sizes))
        self.gate = Linears(n_in, n_experts, (n_slots,), law=ZERO, per_slot=True)
        self.n_in, self.n_experts, self.n_out = n_in, n_experts, width
        self.n_cells = n_in + (n_experts + n_slots) * width

    def shared(self, x: Tensor, dropout: Dropout) -> Tensor:
        h = x
        for layer in self.experts:
            h = dropout(F.silu(layer(h)))
        return torch.cat([x, h.transpose(1, 2).flatten(2)], dim=-1)

    def branch(self, z: Tensor, dropout: Dropout) -> Tensor:
        gates = torch.softmax(self.gate(z[..., : self.n_in]), dim=-1)
        return mixture(gates, parts_of(z[..., self.n_in :], self.n_experts))


def mixture(gates: Tensor, experts: Tensor) -> Tensor:
    """sum_e g_te f_e: gates (M, S, B, E) and experts (M, B, E, W), or one copy per slot (M, S, B, E, W), to
    (M, S, B, W)."""
    if experts.dim() == 4:
        return (gates.transpose(1, 2) @ experts).transpose(1, 2)
    return (gates.unsqueeze(-2) @ experts).squeeze(-2)
