"""Ids of users, items, places: many values, and tomorrow's rows bring new ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.tables import columns as col
from sharewise.tables.blocks import Array, BlockEncoder, Shape
from sharewise.tables.encoders import Rows
from sharewise.tables.schema import InputKind

MISSING, UNSEEN = 0, 1
MOST = 20_000
"""Ids with a code of their own; the rest of those that are seen often enough share the buckets."""
BUCKETS = 1024
MIN_COUNT = 2


@dataclass(frozen=True)
class IdEncoder(BlockEncoder):
    """Code 0 for missing, 1 for unseen, then the ids of train by falling frequency, then hashed buckets.

    An id that train has only once is read as unseen, so that the vector of the unseen is trained on what unseen ids
    are like. Ids beyond the 20,000 most frequent fall into 1,024 buckets by their hash ("hashing trick", Weinberger
    et al. 2009, "Feature Hashing for Large Scale Multitask Learning").
    """

    kind = InputKind.ID

    levels: tuple[str, ...]
    overflow: bool
    numeric: bool

    @property
    def shape(self) -> Shape:
        return Shape("int32", (1,))

    @property
    def cardinality(self) -> int:
        """Number of codes."""
        return 2 + len(self.levels) + (BUCKETS if self.overflow else 0)

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, rows: Rows) -> Self:
        seen = col.text(column.take(pa.array(rows))).drop_null()
        counts = [(str(c["values"]), int(c["counts"])) for c in pc.value_counts(seen).to_pylist()]
        often = [value for value, n in sorted(counts, key=lambda c: (-c[1], c[0])) if n >= MIN_COUNT]
        return cls(name, (name,), tuple(often[:MOST]), len(often) > MOST, not col.is_text(column.type))

    def read(self, columns: Sequence[pa.ChunkedArray], out: Array) -> None:
        codes = col.codes(columns[0], list(self.levels), numeric=self.numeric)
        made = np.where(codes >= 0, codes + 2, UNSEEN)
        if self.overflow:
            # Which of the rarer ids train had is not kept: they and unseen ones share the buckets.
            rare = np.flatnonzero(codes < 0)
            words = col.text(columns[0].take(pa.array(rare))).to_pylist()
            made[rare] = [UNSEEN if w is None else 2 + len(self.levels) + _bucket(str(w)) for w in words]
        made[~self.present(columns)] = MISSING
        out[:, 0] = made

    def present(self, columns: Sequence[pa.ChunkedArray]) -> Array:
        made: Array = col.text(columns[0]).is_valid().combine_chunks().to_numpy(zero_copy_only=False)
        return made

    def part(self, sample: Array) -> dict[str, Any]:
        # Wide enough to tell the ids apart, narrow enough for a few rows each.
        width = int(min(32, max(4, round(1.6 * self.cardinality**0.28))))
        return {"name": "ids", "block": self.own_block, "n_codes": self.cardinality, "n_out": width}


def _bucket(word: str) -> int:
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % BUCKETS
