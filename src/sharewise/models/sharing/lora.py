"""One trunk, with a low-rank difference of every task's own in each weight matrix."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.models.sharing.adapters import own_parts, read_at, side_by_side, tops_of
from sharewise.models.sharing.base import Dropout, Sharing, check_freeze
from sharewise.models.stacked import ZERO, Linear, StackedModule, kaiming


class LowRank(StackedModule):
    """Change of every task in one layer's outputs: (x A_t) B_t, A_t (I, r), B_t (r, O) started at zero.

    Shapes: (M, B, I), or (M, S, B, I), -> (M, S, B, O).
    """

    down: nn.Parameter
    up: nn.Parameter

    def __init__(self, n_slots: int, n_in: int, n_out: int, rank: int) -> None:
        super().__init__()
        self.declare("down", (n_slots, n_in, rank), kaiming(n_in), per_slot=True)
        self.declare("up", (n_slots, rank, n_out), ZERO, per_slot=True)

    def forward(self, x: Tensor) -> Tensor:
        h = x.unsqueeze(1) if x.dim() == 3 else x
        return h @ self.down @ self.up


class LoRA(Sharing):
    """Hard sharing with low-rank changes of every task (Hu et al. 2022, eq. 3): W_t = W + (alpha / rank) A_t B_t.

    B_t starts at zero, so that training starts at hard sharing; `rank` 0 is hard sharing. More tasks need a larger
    rank than one: compare at equal parameters. From the share `freeze_after` of the steps on only A, B and the heads
    are trained (None: never).

    The trunk runs once per task, on the task's own features. z is the last layer of all these side by side, and
    gradients are compared in the parameters (`common` False). Slot s reads layer `at_layer[s]` instead of the last
    where that is not 0.

    Differs from the paper: the trunk is trained with them, not given.

    Shapes: (M, B, I) -> (M, S, B, width). Cost: S trunks, but for the first layer's shared product. Raises
    ValueError for sizes that cannot be.
    """

    def __init__(
        self,
        *,
        n_in: int,
        n_slots: int,
        width: int = 128,
        depth: int = 2,
        rank: int = 4,
        alpha: float = 4.0,
        freeze_after: float | None = None,
        at_layer: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if width < 1 or depth < 1 or rank < 0:
            raise ValueError(
                "A width and a depth are at least 1 and a rank at least 0; however, they are "
                f"{width}, {depth} and {rank}."
            )
        self.freeze_after = check_freeze(freeze_after)
        pairs = list(itertools.pairwise([n_in, *[width] * depth]))
        self.layers = nn.ModuleList(Linear(a, b) for a, b in pairs)
        self.changes = nn.ModuleList(LowRank(n_slots, a, b, rank) for a, b in (pairs if rank else []))
        self.scale = alpha / rank if rank else 0.0
        self.tops = tops_of(at_layer, n_slots, depth)
        self.common = not rank and min(self.tops) == depth
        self.n_slots, self.n_out, self.n_cells = n_slots, width, n_slots * width

    def shared(self, x: Tensor, dropout: Dropout) -> Tensor:
        levels = []
        for i, layer in enumerate(self.layers):
            out = layer(x)
            if len(self.changes):
                base = out.unsqueeze(1) if out.dim() == 3 else out
                out = base + self.scale * self.changes[i](x)
            x = dropout(F.silu(out))
            levels.append(x)
        return x if self.common else side_by_side(read_at(levels, self.tops))

    def branch(self, z: Tensor, dropout: Dropout) -> Tensor:
        return z if self.common else own_parts(z, self.n_slots)
