"""Several inputs of several kinds -> one vector a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.batch import Inputs
from sharewise.models import encoders
from sharewise.models.encoders.base import Encoder
from sharewise.models.sharing.base import OFF, Dropout
from sharewise.models.stacked import Init, Linear

FUSIONS = ("concat", "gated", "attention")
_ABSENT = Init("normal", 0.1)


class Mixed(Encoder):
    """An encoder for each part of the inputs, projected into one space of `width` numbers and brought together.

    A part is `{"name": ENCODER, "present": COLUMN or absent, PARAMETER: ...}`; on rows where its column of the block
    `present` is 0, the part's vector is a learnt one, "absent". With h_i the parts' vectors and c their
    concatenation: `concat` gives c; `gated` gives sum_i sigmoid(c G_i + g_i) * tanh(h_i) (Arevalo et al. 2017,
    "Gated Multimodal Units", eqs. 1-4); `attention` lets every part look at all of them, h_i + Attention(h_i, h)
    with `n_heads` heads (Vaswani et al. 2017, eq. 1), and concatenates. A single part is neither projected nor fused.
    Where a part gives features of tokens, each token is fused with its row's other parts.

    Shapes: (M, B, ...) -> (M, B, n_out); n_out = `width` for `gated`, parts times `width` for the others.
    """

    def __init__(
        self,
        *,
        parts: Sequence[Mapping[str, Any]],
        fusion: str = "concat",
        width: int = 128,
        n_heads: int = 4,
    ) -> None:
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f"A fusion is one of {', '.join(FUSIONS)}; however, '{fusion}' was asked for.")
        if not parts:
            raise ValueError("A mixed encoder needs a part; however, it has none.")
        self.fusion, self.n_heads, self.width = fusion, n_heads, width
        made = [_built(part) for part in parts]
        self.parts = nn.ModuleList(made)
        # The same in a plain list: a ModuleList forgets their type.
        self._encoders = made
        self.per_task = any(part.per_task for part in made)
        self.columns = [part.get("present") for part in parts]
        self.stacks = all(part.stacks for part in made)
        self.cells = sum(max(part.cells, part.n_out) for part in made)
        blocks = [part.token_block for part in made if part.token_block is not None]
        if len(blocks) > 1:
            raise ValueError(f"Tokens of one input are tagged; however, there are {len(blocks)}: {', '.join(blocks)}.")
        self.token_block = blocks[0] if blocks else None
        alone = len(made) == 1
        sizes = [made[0].n_out] if alone else [width] * len(made)
        for i, (column, size) in enumerate(zip(self.columns, sizes, strict=True)):
            if column is not None:
                self.declare(f"absent_{i}", (1, size), _ABSENT)
        self.n_out = sum(sizes)
        self.projections = nn.ModuleList([] if alone else [Linear(part.n_out, width) for part in made])
        self.gates = nn.ModuleList()
        self.attention = nn.ModuleList()
        if not alone and fusion == "gated":
            self.gates.extend(Linear(self.n_out, width) for _ in made)
            self.n_out = width
        elif not alone and fusion == "attention":
            if width % n_heads:
                raise ValueError(f"'width' must divide by n_heads {n_heads}; however, it is {width}.")
            self.attention.extend(Linear(width, width) for _ in range(4))

    def forward(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        return self._fused([part(inputs, dropout) for part in self.parts], inputs)

    def of_slot(self, slot: int, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        return self._fused([part.of_slot(slot, inputs, dropout) for part in self._encoders], inputs)

    def _fused(self, parts: Sequence[Tensor], inputs: Inputs[Tensor]) -> Tensor:
        """The parts' features, absent where a row lacks them, as one vector."""
        made = []
        for i, h in enumerate(parts):
            if len(self.projections):
                h = self.projections[i](h)
            column = self.columns[i]
            if column is not None:
                there = inputs["present"][..., column : column + 1] != 0
                h = torch.where(_beside_tokens(there, h.shape[1]), h, self.get_parameter(f"absent_{i}"))
            made.append(h)
        if self.token_block is not None:
            n = max(h.shape[1] for h in made)
            made = [_beside_tokens(h, n) for h in made]
        first: Tensor = made[0]
        if len(made) == 1:
            return first
        if len(self.attention):
            made = list(self._attended(torch.stack(made, dim=2)).unbind(2))
        joined = torch.cat(made, dim=-1)
        if not len(self.gates):
            return joined
        gated = [torch.sigmoid(gate(joined)) * torch.tanh(h) for gate, h in zip(self.gates, made, strict=True)]
        return torch.stack(gated).sum(0)

    def _attended(self, h: Tensor) -> Tensor:
        """h (M, B, K, W) plus what each of the K parts finds in all of them."""
        m, b, k, w = h.shape
        query, key, value, out = self.attention
        flat = h.reshape(m, b * k, w)
        heads = [f(flat).view(m, b, k, self.n_heads, w // self.n_heads).transpose(2, 3) for f in (query, key, value)]
        found = F.scaled_dot_product_attention(*heads).transpose(2, 3).reshape(m, b * k, w)
        attended: Tensor = out(found).view(m, b, k, w)
        return h + attended


def _beside_tokens(x: Tensor, n: int) -> Tensor:
    """`x` (M, B, D) for rows and then for each of their tokens, (M, n, D) with n = B + L B; `x` where it has them."""
    b = x.shape[1]
    return x if b == n else x.repeat(1, n // b, 1)


def _built(part: Mapping[str, Any]) -> Encoder:
    params = {k: v for k, v in part.items() if k not in ("name", "present")}
    return encoders.CATALOGUE.build(str(part["name"]), **params)
