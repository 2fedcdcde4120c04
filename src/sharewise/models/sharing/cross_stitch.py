"""A trunk for every task, each reading a mixture of all."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.models.sharing.base import Dropout, Sharing, parts_of
from sharewise.models.stacked import ZERO, Linears, StackedModule
from sharewise.plan import Choice


class Stitch(StackedModule):
    """Cross-stitch unit: task t reads sum_s a_ts h_s, (M, S, B, W) -> (M, S, B, W).

    a = start + learnt difference; it starts with `own` on the diagonal and rows that sum to one.
    """

    start: Tensor
    mix: nn.Parameter

    def __init__(self, n_slots: int, own: float, crossed: bool) -> None:
        super().__init__()
        others = (1 - own) / max(n_slots - 1, 1)
        start = torch.full((n_slots, n_slots), others).fill_diagonal_(own if n_slots > 1 else 1.0)
        self.register_buffer("start", start, persistent=False)
        self.declare("mix", (n_slots, n_slots), ZERO, per_slot=True, crossed=crossed)

    def weights(self) -> Tensor:
        """a (M, S, S), task by trunk."""
        return self.start + self.mix

    def forward(self, h: Tensor) -> Tensor:
        m, s, b, w = h.shape
        return torch.bmm(self.weights(), h.reshape(m, s, b * w)).view(m, s, b, w)


class CrossStitch(Sharing):
    """Cross-stitch networks (Misra et al. 2016, eq. 1): after every layer each task reads a mixture of all trunks.

    h_t = sum_s a_ts SiLU(h_s W_s + b_s): one learnt S x S matrix a per layer. It starts with `own` for a task's own
    trunk and the rest spread evenly; the trunks start from one draw, as the paper's do from one trained net. Every
    trunk is reached by all losses and is shared; the rows of the last matrix are the tasks' own. z is the last
    layer of all trunks side by side, before the last mixture. With trunks that are equal and rows of a that sum to
    one it is hard sharing; with `own` 1, as long as the mixtures stay there, a net for every task.

    Differs from the paper: a task's heads and trunk are trained from the start together, not first alone.

    Shapes: (M, B, I) -> (M, S, B, width); z (M, B, S width). Cost: S trunks. Raises ValueError for sizes that
    cannot be.
    """

    def __init__(self, *, n_in: int, n_slots: int, width: int = 64, depth: int = 2, own: float = 0.9) -> None:
        super().__init__()
        if width < 1 or depth < 1 or not 0 <= own <= 1:
            raise ValueError(
                "A width and a depth are at least 1 and 'own' is a share in [0, 1]; however, they are "
                f"{width}, {depth} and {own}."
            )
        sizes = [n_in, *[width] * depth]
        crossed = n_slots > 1
        self.layers = nn.ModuleList(
            Linears(a, b, (n_slots,), per_slot=True, crossed=crossed, alike=True) for a, b in itertools.pairwise(sizes)
        )
        self.lower = nn.ModuleList(Stitch(n_slots, own, crossed) for _ in range(depth - 1))
        self.last = Stitch(n_slots, own, crossed=False)
        self.n_slots, self.n_out, self.n_cells = n_slots, width, n_slots * width

    @classmethod
    def alone(cls, choice: Choice) -> Choice:
        return Choice("hard", {"width": 64} | {k: v for k, v in choice.params.items() if k in ("width", "depth")})

    def shared(self, x: Tensor, dropout: Dropout) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = dropout(F.silu(layer(x)))
            if i < len(self.lower):
                x = self.lower[i](x)
        return x.transpose(1, 2).flatten(2)

    def branch(self, z: Tensor, dropout: Dropout) -> Tensor:
        trunks = parts_of(z, self.n_slots)
        if trunks.dim() == 4:
            mixed: Tensor = self.last(trunks.transpose(1, 2))
            return mixed
        return torch.einsum("mts,mtbsw->mtbw", self.last.weights(), trunks)

    @torch.no_grad()
    def measured(self) -> dict[str, Tensor]:
        weights = torch.stack([stitch.weights() for stitch in [*self.lower, self.last]]).abs()
        own = weights.diagonal(dim1=2, dim2=3).sum((0, 2))
        return {"weight on other tasks' trunks": 1 - own / weights.sum((0, 2, 3))}
