"""One trunk and one head for many small tasks, told apart by a learnt vector each."""

from __future__ import annotations

import itertools
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.models.sharing.adapters import own_parts, side_by_side
from sharewise.models.sharing.base import Dropout, Sharing
from sharewise.models.stacked import ZERO, Init, Linear, Linears


class TaskEmbedding(Sharing):
    """Feature-wise modulation by a task's vector (FiLM, Perez et al. 2018, eq. 2, after every affine map).

    h_t <- SiLU((1 + g_t) * (h_t W + b) + c_t), [g_t, c_t] = e_t U: e_t of `size` numbers is all that a task has of
    its own. Tasks of one grouped declaration (`by:`) share one head as well, so that a group with a handful of rows
    adds `size` parameters; tasks that are not grouped keep their heads. U starts at zero: training starts at hard
    sharing, and `size` 0 is hard sharing. Modulation is chosen over a concatenated vector because it contains that
    (c_t alone) at the same cost.

    From the first layer on features are each task's own. z is the last layer of all these side by side, and
    gradients are compared in the parameters (`common` False).

    Differs from the paper: the vector is learnt per task, not computed from an input.

    Shapes: (M, B, I) -> (M, S, B, width). Cost: the first layer's product once, the others S times. Raises
    ValueError for sizes that cannot be.
    """

    one_head: ClassVar[bool] = True

    def __init__(self, *, n_in: int, n_slots: int, width: int = 128, depth: int = 2, size: int = 8) -> None:
        super().__init__()
        if width < 1 or depth < 1 or size < 0:
            raise ValueError(
                "A width and a depth are at least 1 and a size at least 0; however, they are "
                f"{width}, {depth} and {size}."
            )
        pairs = list(itertools.pairwise([n_in, *[width] * depth]))
        self.layers = nn.ModuleList(Linear(a, b) for a, b in pairs)
        self.common = not size
        self.n_slots, self.n_out, self.n_cells = n_slots, width, n_slots * width
        if size:
            self.declare("task", (n_slots, size), Init("normal", 1.0), per_slot=True)
            self.films = nn.ModuleList(Linears(size, 2 * width, (1,), law=ZERO) for _ in pairs)

    def shared(self, x: Tensor, dropout: Dropout) -> Tensor:
        for i, layer in enumerate(self.layers):
            out = layer(x)
            if not self.common:
                # (M, 1, S, 2 W) -> (M, S, 1, 2 W): one modulation per task, for all rows.
                film = self.films[i](self.get_parameter("task")).transpose(1, 2)
                gain, shift = film.chunk(2, dim=-1)
                out = out.unsqueeze(1) if out.dim() == 3 else out
                out = out + gain * out + shift
            x = dropout(F.silu(out))
        return x if self.common else side_by_side(x)

    def branch(self, z: Tensor, dropout: Dropout) -> Tensor:
        return z if self.common else own_parts(z, self.n_slots)
