"""Sentences of tokens -> features of every token and of the sentence, trained from scratch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sharewise.batch import Inputs
from sharewise.models.encoders.base import Encoder
from sharewise.models.sharing.base import OFF, Dropout
from sharewise.models.stacked import Init, Linear, StackedModule


class Table(StackedModule):
    """Learnt vectors of codes, code 0 (no token) being zero: (M, ...) -> (M, ..., D)."""

    weight: nn.Parameter

    def __init__(self, n_codes: int, width: int, scale: float) -> None:
        super().__init__()
        self.declare("weight", (n_codes, width), Init("normal", scale))

    def forward(self, codes: Tensor) -> Tensor:
        # Member by member: the tables of a stack lie apart, and are large to bring together.
        found = torch.stack([F.embedding(c, w) for c, w in zip(codes.long(), self.weight, strict=True)])
        return found * (codes != 0).unsqueeze(-1)


class Context(nn.Module):
    """y_t = x_t + W [x_{t-d}; x_t; x_{t+d}], rectified before the sum: a dilated convolution over tokens.

    Kernel 3 with dilation d (Strubell et al. 2017, "Iterated Dilated Convolutions", section 3). As one matrix
    product per layer it serves all members. Where there is no token x is zero, so that a sentence's features do not
    depend on how far its batch is padded.
    """

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.map = Linear(3 * width, width)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        m, length, b, width = x.shape
        wide = F.pad(x, (0, 0, 0, 0, self.dilation, self.dilation))
        beside = torch.cat([wide[:, :length], x, wide[:, 2 * self.dilation :]], dim=-1)
        made: Tensor = self.map(beside.view(m, length * b, 3 * width)).view(m, length, b, width)
        return (x + F.silu(made)) * there


class Tokens(Encoder):
    """Words and pieces of words, each token beside its neighbours.

    A token is its word's learnt vector and those of its hashed forms (whole word, prefixes, suffixes, shape), mapped
    to `width` numbers; then one `Context` layer for each of `dilations`. Hashed affixes and shape stand in for a
    character network at a fraction of its cost (the features of Ratnaparkhi 1996, table 1). A sentence is a linear
    map of the mean and the maximum over its tokens.

    Shapes: block (M, B, L, 1 + forms) integers, 0 where there is no token -> with `per_token` the features of the B
    sentences followed by those of their tokens, the first tokens of all before the second ones,
    (M, B + L' B, width), L' the longest sentence of the batch; otherwise (M, B, width).
    """

    def __init__(
        self,
        *,
        block: str,
        n_words: int,
        n_forms: int,
        n_buckets: int,
        per_token: bool = True,
        word_width: int = 64,
        form_width: int = 16,
        width: int = 96,
        dilations: tuple[int, ...] | list[int] = (1, 2, 4),
    ) -> None:
        super().__init__()
        if width < 1 or min(dilations, default=1) < 1:
            raise ValueError(f"Width and dilations are at least 1; however, they are {width} and {list(dilations)}.")
        self.block, self.n_forms, self.width = block, n_forms, width
        self.token_block = block if per_token else None
        self.words = Table(n_words, word_width, 0.3)
        self.forms = Table(n_buckets, form_width, 0.3)
        self.join = Linear(word_width + n_forms * form_width, width)
        self.layers = nn.ModuleList(Context(width, d) for d in dilations)
        self.pool = Linear(2 * width, width)
        self.n_out = width
        self.cells = 64 * (word_width + n_forms * form_width)

    def forward(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        codes = inputs[self.block]
        # Tokens before rows: what dropout draws for a token then does not depend on how long the batch is.
        codes = codes[:, :, : longest(codes)].transpose(1, 2)
        m, length, b, _ = codes.shape
        there = (codes[..., :1] != 0).float()
        vectors = torch.cat([self.words(codes[..., 0]), self.forms(codes[..., 1:]).flatten(-2)], dim=-1)
        x = (
            F.silu(self.join(dropout(vectors.view(m, length * b, vectors.shape[-1])))).view(m, length, b, self.width)
            * there
        )
        for layer in self.layers:
            x = layer(x, there)
        count = there.sum(1).clamp(min=1)
        highest = torch.where(there.bool(), x, -torch.inf).amax(1)
        highest = torch.where(torch.isfinite(highest), highest, 0.0)
        sentence: Tensor = self.pool(torch.cat([x.sum(1) / count, highest], dim=-1))
        return behind_rows(sentence, x if self.token_block is not None else None)


def behind_rows(sentences: Tensor, tokens: Tensor | None) -> Tensor:
    """Features (M, B, D) of sentences followed by those of their tokens (M, L, B, D), the first ones of all before the
    second ones: (M, B + L B, D). The sentences alone where there are no tokens."""
    return sentences if tokens is None else torch.cat([sentences, tokens.flatten(1, 2)], dim=1)


def longest(codes: Tensor) -> int:
    """Tokens of the longest sentence in codes (M, B, L, F), at least 1."""
    return max(int((codes[..., 0] != 0).sum(-1).max()), 1) if codes.numel() else 1
