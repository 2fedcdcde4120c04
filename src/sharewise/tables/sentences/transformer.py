"""Sentences of words through a transformer: how its sub-words become words again. The network lives in the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sharewise.tables import tags
from sharewise.tables.blocks import Array, BlockEncoder, Shape, to_unit_size
from sharewise.tables.schema import InputKind
from sharewise.tables.texts.base import FROZEN

MOST_PIECES = 16
"""Sub-words of a word that are read."""

SUBWORDS = ("first", "mean")

SAMPLED = 256
"""Sentences from which the size of frozen features is measured."""


@dataclass(frozen=True)
class SentenceTransformerEncoder(BlockEncoder):
    """Words as a transformer reads them: each by its `first` sub-word's vector, or by the `mean` of its sub-words'.

    Frozen: (N, L, 1 + width) float16, 1 and then the word's vector, 0 throughout where there is no token. Trained: the
    word's sub-words (N, L, P) int32, 0 for none, else 1 + the sub-word's number. L is the table's longest sentence.
    """

    kind = InputKind.TOKENS

    model: str
    digest: str
    size: int
    max_tokens: int
    train: str
    rank: int
    subwords: str
    length: int
    per_task: bool = False

    @property
    def deferred(self) -> bool:
        return True

    @property
    def frozen(self) -> bool:
        """Whether its features are computed once."""
        return self.train == FROZEN

    @property
    def stored(self) -> pa.DataType:
        return pa.list_(pa.string())

    @property
    def shape(self) -> Shape:
        if self.frozen:
            return Shape("float16", (self.length, 1 + self.size))
        return Shape("int32", (self.length, MOST_PIECES))

    def present(self, columns: Sequence[pa.ChunkedArray]) -> Array:
        """Rows with at least one token."""
        made: Array = tags.lengths(columns[0]) > 0
        return made

    def part(self, sample: Array) -> dict[str, Any]:
        if self.frozen:
            some = sample[:SAMPLED]
            scale = to_unit_size(some[some[..., 0] != 0][:, 1:])
            return {"name": "token_vectors", "block": self.own_block, "n_in": self.size, "scale": scale}
        return {
            "name": "token_transformer",
            "block": self.own_block,
            "model": self.model,
            "digest": self.digest,
            "n_out": self.size,
            "max_tokens": self.max_tokens,
            "subwords": self.subwords,
            "train": self.train,
            "rank": self.rank,
            "per_task": self.per_task,
        }
