"""Experts that all tasks share beside experts of their own, level upon level."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.models.sharing.adapters import own_parts, side_by_side
from sharewise.models.sharing.base import Dropout, Sharing, parts_of
from sharewise.models.sharing.mmoe import mixture
from sharewise.models.stacked import ZERO, Linears, StackedModule


class Experts(StackedModule):
    """Perceptrons side by side, one for every cell of `axes`: (M, [*axes,] B, I) -> (M, *axes, B, W)."""

    def __init__(self, sizes: list[int], axes: tuple[int, ...], per_slot: bool, crossed: bool) -> None:
        super().__init__()
        pairs = itertools.pairwise(sizes)
        self.layers = nn.ModuleList(Linears(a, b, axes, per_slot=per_slot, crossed=crossed) for a, b in pairs)

    def forward(self, x: Tensor, dropout: Dropout) -> Tensor:
        for layer in self.layers:
            x = dropout(F.silu(layer(x)))
        return x


class PLE(Sharing):
    """Progressive layered extraction (Tang et al. 2020, eqs. 1-7): `levels` of shared experts and experts per task.

    On every level task t's gate mixes its `n_own` experts and the `n_shared` shared ones, and the shared gate mixes
    all experts of all tasks; both feed the next level: x_t' = sum_e softmax(x_t V_t + c_t)_e f_e(x_t or x_shared).
    The last level has no shared gate. An expert is a perceptron of `depth` layers of `width` units. One level is the
    paper's customised gate control (CGC). Gates start at zero, at the mean of the experts they read. With no expert
    of its own and one shared expert it is hard sharing of `levels` times `depth` layers.

    Below the last level all tasks' experts are reached by all losses, through the shared gate, and are shared; the
    last level's are the tasks' own. z is what the last level reads, and its shared experts' outputs. With several
    levels every task reads a part of z of its own: gradients are then compared in the parameters (`common` False).

    Differs from the paper: a task's tower is its head, one affine map.

    Shapes: (M, B, I) -> (M, S, B, width). Cost: `n_shared` + S `n_own` experts a level. Raises ValueError for sizes
    that cannot be.
    """

    def __init__(
        self,
        *,
        n_in: int,
        n_slots: int,
        levels: int = 2,
        n_shared: int = 2,
        n_own: int = 1,
        width: int = 64,
        depth: int = 1,
    ) -> None:
        super().__init__()
        if min(levels, n_shared, width, depth) < 1 or n_own < 0:
            raise ValueError(
                "Levels, shared experts, width and depth are at least 1 and own experts at least 0; however, they are "
                f"{levels}, {n_shared}, {width}, {depth} and {n_own}."
            )
        self.n_slots, self.n_shared, self.n_own, self.n_out = n_slots, n_shared, n_own, width
        self.n_cells = (n_slots * (1 + n_own) + n_shared) * width
        self.common = levels == 1
        inputs = [n_in, *[width] * (levels - 1)]
        sizes = [[n, *[width] * depth] for n in inputs]
        last = levels - 1
        several = n_own > 0 and n_slots > 1
        self.shared_experts = nn.ModuleList(Experts(s, (n_shared,), False, False) for s in sizes)
        own = [Experts(s, (n_slots, n_own), True, several and i < last) for i, s in enumerate(sizes)]
        self.own_experts = nn.ModuleList(own if n_own else [])
        self.gates = nn.ModuleList(
            Linears(n, n_own + n_shared, (n_slots,), law=ZERO, per_slot=True, crossed=several and i < last - 1)
            for i, n in enumerate(inputs)
        )
        self.shared_gates = nn.ModuleList(Linears(n, n_slots * n_own + n_shared, (1,), law=ZERO) for n in inputs[:last])
        # Width of what a task reads on the last level, and whether every task reads its own.
        self.n_read, self.apart = inputs[-1], levels > 1

    def shared(self, x: Tensor, dropout: Dropout) -> Tensor:
        mine = x  # (M, B, I) that every task reads, later (M, S, B, W)
        for level, gate in enumerate(self.shared_gates):
            together = self.shared_experts[level](x, dropout).transpose(1, 2)
            own = self._own(level, mine, dropout)
            mixed = self._mixed(level, mine, own, together)
            m, b = x.shape[0], x.shape[-2]
            everyone = together if own is None else torch.cat([own.permute(0, 2, 1, 3, 4).flatten(2, 3), together], 2)
            weights = torch.softmax(gate(x), dim=-1)
            x, mine = mixture(weights, everyone).view(m, b, -1), mixed
        read = side_by_side(mine) if self.apart else mine
        return torch.cat([read, self.shared_experts[-1](x, dropout).transpose(1, 2).flatten(2)], dim=-1)

    def branch(self, z: Tensor, dropout: Dropout) -> Tensor:
        cells = self.n_read * (self.n_slots if self.apart else 1)
        mine, together = z[..., :cells], parts_of(z[..., cells:], self.n_shared)
        if self.apart:
            mine = own_parts(mine, self.n_slots)
        level = len(self.gates) - 1
        return self._mixed(level, mine, self._own(level, mine, dropout), together)

    def _own(self, level: int, mine: Tensor, dropout: Dropout) -> Tensor | None:
        """Outputs of every task's own experts, (M, S, B, n_own, W)."""
        if not self.n_own:
            return None
        if mine.dim() == 4:
            mine = mine.unsqueeze(2).expand(-1, -1, self.n_own, -1, -1)
        made: Tensor = self.own_experts[level](mine, dropout)
        return made.transpose(2, 3)

    def _mixed(self, level: int, mine: Tensor, own: Tensor | None, together: Tensor) -> Tensor:
        """What every task makes of its own experts and the shared ones (M, [S,] B, n_shared, W): (M, S, B, W)."""
        weights = torch.softmax(self.gates[level](mine), dim=-1)
        made = mixture(weights[..., self.n_own :], together)
        return made if own is None else made + mixture(weights[..., : self.n_own], own)
