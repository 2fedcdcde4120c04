"""Columns of token lists: every token as codes of its word, its pieces and its shape."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.errors import DataError, Problem
from sharewise.tables import columns as col
from sharewise.tables import tags
from sharewise.tables.blocks import Array, BlockEncoder, Shape
from sharewise.tables.encoders import Rows
from sharewise.tables.schema import InputKind

NO_TOKEN, UNSEEN = 0, 1
MOST_WORDS = 20_000
MIN_COUNT = 2
"""A word has a code of its own from this many occurrences in train, up to so many words; the rarest are read as
unseen, so that the vector of the unseen is trained on what unseen words are like."""

BUCKETS = 8192
AS_WORDS = " as words"
"""Ending of the name of a block that holds words for the rivals of a network that reads sub-words."""

N_FORMS = 7
"""Codes that `forms` gives."""


@dataclass(frozen=True)
class TokensEncoder(BlockEncoder):
    """Per token the code of its lower-case word and the hashed codes of its forms (`forms`).

    Shape (N, L, 1 + 7) int32 with L the longest sentence of the fitted table, at most 512; code 0 throughout where
    there is no token. Hashing follows Weinberger et al. 2009 ("Feature Hashing for Large Scale Multitask Learning").
    """

    kind = InputKind.TOKENS

    levels: tuple[str, ...]
    length: int
    aside: bool = False

    @property
    def for_network(self) -> bool:
        return not self.aside

    def aside_of_network(self, name: str) -> TokensEncoder:
        """The same encoder, under another name, for models that cannot read what the network reads."""
        return replace(self, name=name, aside=True)

    @property
    def stored(self) -> pa.DataType:
        return pa.list_(pa.string())

    @property
    def shape(self) -> Shape:
        return Shape("int32", (self.length, 1 + N_FORMS))

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, rows: Rows) -> Self:
        """Words from the rows `rows`; the length from all rows, since it says nothing but how much room to keep."""
        column = text_lists(column, name)
        seen = tags.flat(column.take(pa.array(rows)))[0]
        counts = [(str(c["values"]), int(c["counts"])) for c in pc.value_counts(pc.utf8_lower(seen)).to_pylist()]
        often = sorted(((n, w) for w, n in counts if n >= MIN_COUNT), key=lambda c: (-c[0], c[1]))[:MOST_WORDS]
        most = int(tags.lengths(column).max(initial=1))
        return cls(name, (name,), tuple(w for _, w in often), max(min(most, tags.LONGEST), 1))

    def room(self, columns: Sequence[pa.ChunkedArray]) -> Array:
        """Room for the longest sentence that is there: an answer has a tag for every token, however many."""
        most = int(tags.lengths(text_lists(columns[0], self.name)).max(initial=1))
        return Shape("int32", (max(most, 1), 1 + N_FORMS)).empty(len(columns[0]))

    def read(self, columns: Sequence[pa.ChunkedArray], out: Array) -> None:
        values, rows, places = tags.flat(text_lists(columns[0], self.name))
        kept = places < out.shape[1]
        unique = pc.unique(pc.fill_null(values, ""))
        words = [str(w) for w in unique.to_pylist()]
        lower = pc.utf8_lower(unique)
        known = pc.fill_null(pc.index_in(lower, value_set=pa.array(self.levels, pa.string())), -1)
        table = np.empty((len(words), 1 + N_FORMS), np.int32)
        table[:, 0] = known.to_numpy(zero_copy_only=False) + 2
        table[table[:, 0] < 2, 0] = UNSEEN
        table[:, 1:] = np.reshape(
            [forms(w, str(low)) for w, low in zip(words, lower.to_pylist(), strict=True)], (-1, N_FORMS)
        )
        which = pc.index_in(pc.fill_null(values, ""), value_set=unique).to_numpy(zero_copy_only=False)
        out[rows[kept], places[kept]] = table[which[kept]]

    def present(self, columns: Sequence[pa.ChunkedArray]) -> Array:
        """Rows with at least one token."""
        made: Array = tags.lengths(text_lists(columns[0], self.name)) > 0
        return made

    def part(self, sample: Array) -> dict[str, Any]:
        n_words = 2 + len(self.levels)
        return {
            "name": "tokens",
            "block": self.own_block,
            "n_words": n_words,
            "n_forms": N_FORMS,
            "n_buckets": BUCKETS,
        }


def forms(word: str, lower: str) -> list[int]:
    """Codes 1 .. BUCKETS - 1 of a token's whole word, prefixes, suffixes and shape."""
    pieces = (lower, lower[:2], lower[:3], lower[-2:], lower[-3:], lower[-4:], shape_of(word))
    return [_bucket(i, piece) for i, piece in enumerate(pieces)]


def shape_of(word: str) -> str:
    """Upper and lower case letters, digits and the rest as X, x, d and themselves; at most two alike in a row.

    >>> shape_of("McDonald's-2024")
    "XxXxx'x-dd"
    """
    made: list[str] = []
    for letter in word[:40]:
        kind = "d" if letter.isdigit() else "X" if letter.isupper() else "x" if letter.isalpha() else letter
        if made[-2:] != [kind, kind]:
            made.append(kind)
    return "".join(made)


def _bucket(kind: int, piece: str) -> int:
    return 1 + zlib.crc32(f"{kind}:{piece}".encode("utf-8", "surrogatepass")) % (BUCKETS - 1)


def text_lists(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """The column as lists of text, also where no row holds a word or the words are whole numbers, such as the ids of
    what a person bought; raises DataError where it holds something else."""
    if pa.types.is_null(column.type) or (col.is_list(column.type) and pa.types.is_null(column.type.value_type)):
        return column.cast(pa.list_(pa.string()))
    inside = column.type.value_type if col.is_list(column.type) else None
    if inside is not None and pa.types.is_integer(inside):
        return column.cast(pa.list_(pa.string()))
    if inside is None or not col.is_text(inside):
        rule = "A tokens input is a list of words, or of whole numbers, in every row"
        fact = f"the column is of type {column.type}"
        remedy = "Write lists of words, or text that white space separates, or give it another kind"
        if inside is not None and col.is_number(inside):
            fact = f"its lists hold numbers that need not be whole ({column.type})"
            remedy = "Write them as text or as whole numbers; lists of one length may be of kind embedding"
        raise DataError(Problem(rule, fact, remedy, column=name))
    return column
