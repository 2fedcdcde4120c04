"""A trunk for every task, tied to the others'."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.models.sharing.base import Dropout, Sharing
from sharewise.models.stacked import Linears
from sharewise.plan import Choice

TIES = ("l2", "trace")


class Soft(Sharing):
    """Soft parameter sharing: a perceptron for every task, whose weights are pulled together layer by layer.

    The penalty, `strength` times the sum over layers (weights and biases as one row W_s per task) of

    - `tie` "l2": sum_s |W_s - mean_r W_r|^2 (Duong et al. 2015, eq. 1, with the mean of all tasks for the other one);
    - `tie` "trace": the nuclear norm of the matrix of all rows, a convex stand-in for its rank (Yang and Hospedales
      2017, "Trace norm regularised deep multi-task learning", last-axis flattening).

    Strength 0 is a net for every task; with l2 and a large one the tasks' trunks are one, which is hard sharing. All
    start from one draw: pulling together nets whose units mean different things would only shrink them. Nothing but
    the encoder is shared, so z is the encoder's features: that is what an aggregator balances.

    Shapes: (M, B, I) -> (M, S, B, width). Raises ValueError for an unknown tie or a negative strength.
    """

    def __init__(
        self,
        *,
        n_in: int,
        n_slots: int,
        width: int = 128,
        depth: int = 2,
        tie: str = "l2",
        strength: float = 0.01,
    ) -> None:
        super().__init__()
        if tie not in TIES:
            raise ValueError(f"A tie is one of {', '.join(TIES)}; however, it is '{tie}'.")
        if strength < 0 or width < 1 or depth < 1:
            raise ValueError(
                "A width and a depth are at least 1 and a strength is at least 0; however, they are "
                f"{width}, {depth} and {strength}."
            )
        self.tie, self.strength = tie, strength
        sizes = [n_in, *[width] * depth]
        self.layers = nn.ModuleList(
            Linears(a, b, (n_slots,), per_slot=True, alike=True) for a, b in itertools.pairwise(sizes)
        )
        self.n_out, self.n_cells = width, n_slots * width

    @classmethod
    def alone(cls, choice: Choice) -> Choice:
        return Choice("hard", {k: v for k, v in choice.params.items() if k in ("width", "depth")})

    def shared(self, x: Tensor, dropout: Dropout) -> Tensor:
        return x

    def branch(self, z: Tensor, dropout: Dropout) -> Tensor:
        for layer in self.layers:
            z = dropout(F.silu(layer(z)))
        return z

    def _rows(self) -> list[Tensor]:
        """Every layer's parameters, (M, S, P_l)."""
        return [torch.cat([p.flatten(2) for p in layer.parameters()], dim=2) for layer in self.layers]

    def penalty(self) -> Tensor | None:
        rows = self._rows()
        if not self.strength or rows[0].shape[1] == 1:
            return None
        return self.strength * torch.stack([self._tied(row) for row in rows]).sum(0)

    def _tied(self, row: Tensor) -> Tensor:
        if self.tie == "l2":
            return (row - row.mean(1, keepdim=True)).square().sum((1, 2))
        # Singular values from the small S x S Gramian; the floor keeps the root's slope finite where one is zero.
        gramian = row @ row.mT
        floor = 1e-6 * gramian.diagonal(dim1=1, dim2=2).mean(1, keepdim=True).detach()
        squares: Tensor = torch.linalg.eigvalsh(gramian)
        return (squares.clamp(min=0) + floor).sqrt().sum(1)

    @torch.no_grad()
    def measured(self) -> dict[str, Tensor]:
        rows = torch.cat(self._rows(), dim=2)
        apart = (rows - rows.mean(1, keepdim=True)).square().sum((1, 2))
        return {"distance of the trunks": (apart / rows.square().sum((1, 2))).sqrt()}
