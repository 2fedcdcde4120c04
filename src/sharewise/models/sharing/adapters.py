"""One trunk with a small bottleneck of every task's own after each layer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.models.sharing.base import Dropout, Sharing, check_freeze, parts_of
from sharewise.models.stacked import ZERO, Linear, Linears, StackedModule


class Adapter(StackedModule):
    """Bottleneck of every task (Houlsby et al. 2019, section 2.1): h + up(SiLU(down(h))), `up` started at zero.

    Shapes: (M, B, W), or (M, S, B, W), -> (M, S, B, W).
    """

    def __init__(self, n_slots: int, width: int, size: int) -> None:
        super().__init__()
        self.down = Linears(width, size, (n_slots,), per_slot=True)
        self.up = Linears(size, width, (n_slots,), law=ZERO, per_slot=True)

    def forward(self, h: Tensor) -> Tensor:
        common = h.unsqueeze(1) if h.dim() == 3 else h
        changed: Tensor = self.up(F.silu(self.down(h)))
        return common + changed


class Adapters(Sharing):
    """Hard sharing with an adapter of `size` units per task after every layer of the trunk.

    Adapters start as the identity, so that training starts at hard sharing; `size` 0 is hard sharing. From the share
    `freeze_after` of the steps on only adapters and heads are trained (None: never).

    From the second layer on the trunk runs once per task, on the task's own features. z is the last layer of all
    these side by side, and gradients are compared in the parameters (`common` False) unless the trunk has one layer.
    Slot s reads layer `at_layer[s]`, with its adapter, instead of the last where that is not 0.

    Differs from the paper: the trunk is trained with them, not given; there is no layer normalisation.

    Shapes: (M, B, I) -> (M, S, B, width). Cost: the first layer once, the others S times. Raises ValueError for
    sizes that cannot be.
    """

    at_the_top: Tensor

    def __init__(
        self,
        *,
        n_in: int,
        n_slots: int,
        width: int = 128,
        depth: int = 2,
        size: int = 8,
        freeze_after: float | None = None,
        at_layer: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if width < 1 or depth < 1 or size < 0:
            raise ValueError(
                "A width and a depth are at least 1 and a size at least 0; however, they are "
                f"{width}, {depth} and {size}."
            )
        self.freeze_after = check_freeze(freeze_after)
        sizes = [n_in, *[width] * depth]
        self.layers = nn.ModuleList(Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.adapters = nn.ModuleList(Adapter(n_slots, width, size) for _ in range(depth if size else 0))
        self.tops = tops_of(at_layer, n_slots, depth)
        self.apart = (size > 0 and depth > 1) or min(self.tops) < depth
        at_the_top = torch.tensor(self.tops).view(-1, 1, 1) == depth
        self.register_buffer("at_the_top", at_the_top, persistent=False)
        self.common = not self.apart
        self.n_slots, self.n_out, self.n_cells = n_slots, width, n_slots * width

    def shared(self, x: Tensor, dropout: Dropout) -> Tensor:
        levels = []
        for i, layer in enumerate(self.layers):
            x = dropout(F.silu(layer(x)))
            if i < len(self.adapters) - 1:
                x = self.adapters[i](x)
            levels.append(x)
        return side_by_side(read_at(levels, self.tops)) if self.apart else x

    def branch(self, z: Tensor, dropout: Dropout) -> Tensor:
        if self.apart:
            z = own_parts(z, self.n_slots)
        for adapter in self.adapters[-1:]:
            z = torch.where(self.at_the_top, adapter(z), z) if self.apart else adapter(z)
        return z


def tops_of(at_layer: Sequence[int], n_slots: int, depth: int) -> list[int]:
    """The layer that every slot reads, 1 to `depth`; raises ValueError for one that there is not."""
    tops = [layer or depth for layer in at_layer] or [depth] * n_slots
    if len(tops) != n_slots or not all(1 <= top <= depth for top in tops):
        raise ValueError(f"A task is attached at a layer from 1 to the depth {depth}; however, it is {list(tops)}.")
    return tops


def read_at(levels: Sequence[Tensor], tops: Sequence[int]) -> Tensor:
    """What every slot reads, (M, S, B, W), of the layers (M, B, W), or (M, S, B, W) where slots have their own."""
    if levels[-1].dim() == 4 and min(tops) == len(levels):
        return levels[-1]
    read = [levels[top - 1] for top in tops]
    return torch.stack([h[:, s] if h.dim() == 4 else h for s, h in enumerate(read)], dim=1)


def side_by_side(h: Tensor) -> Tensor:
    """Features of every slot (M, S, B, W) as one representation (M, B, S W)."""
    return h.transpose(1, 2).flatten(2)


def own_parts(z: Tensor, n_slots: int) -> Tensor:
    """Part t of `side_by_side` (M, B, S W) for slot t; of one copy per slot (M, S, B, S W), part t of copy t."""
    parts = parts_of(z, n_slots)
    return parts.transpose(1, 2) if z.dim() == 3 else torch.diagonal(parts, dim1=1, dim2=3).permute(0, 3, 1, 2)
