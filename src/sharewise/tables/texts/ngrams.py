"""Text without any model: hashed n-grams, weighted, and their main directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from sharewise.errors import DataError, Problem
from sharewise.tables.blocks import Array, BlockEncoder, Shape
from sharewise.tables.encoders import Rows
from sharewise.tables.schema import InputKind
from sharewise.tables.texts.base import Reading, strings
from sharewise.tables.texts.grams import BITS, LONGEST, counts

MOST_COLUMNS = 20_000
"""N-grams kept of each of the two kinds, the most frequent."""

FIT_ROWS = 16_000
"""Train rows, spread evenly, from which weights and directions are learnt."""

PIECE = 2_000
_POWER_STEPS = 2


@dataclass(frozen=True)
class Ngrams(Reading):
    """Words alone and in pairs and runs of `shortest` to `longest` characters, as `features` numbers a text."""

    features: int = 384
    words: int = 2
    shortest: int = 2
    longest: int = 5

    def check(self) -> None:
        if min(self.features, self.words, self.shortest) < 1 or self.longest < self.shortest:
            rule = "N-grams have features, words and characters, at least 1 of each, and shortest is at most longest"
            now = (self.features, self.words, self.shortest, self.longest)
            fact = "features, words, shortest and longest are {}, {}, {} and {}".format(*now)
            raise DataError(Problem(rule, fact, "Correct them, or leave them out"))

    def fit(self, name: str, columns: Sequence[tuple[str, pa.ChunkedArray]], rows: Rows) -> NgramsEncoder:
        some = pa.array(rows[np.linspace(0, len(rows) - 1, min(len(rows), FIT_ROWS)).astype(int)])
        texts = [t for _, column in columns for t in strings(column.take(some), LONGEST) if t.strip()]
        kept, weights = [], []
        for matrix in self._counts(texts):
            seen = np.bincount(matrix.indices, minlength=1 << BITS)
            order = np.argsort(-seen, kind="stable")[:MOST_COLUMNS]
            chosen = np.sort(order[seen[order] >= 2])
            kept.append(chosen.astype(np.int32))
            weights.append((np.log((1 + len(texts)) / (1 + seen[chosen])) + 1).astype(np.float32))
        said = (self.words, self.shortest, self.longest)
        blank = NgramsEncoder(name, tuple(n for n, _ in columns), 0, *said, 1.0)
        plain = replace(
            blank,
            fitted={
                "words": kept[0],
                "characters": kept[1],
                "word_weights": weights[0],
                "character_weights": weights[1],
            },
        )
        directions = main_directions(plain.weighted(texts), self.features)
        projected = plain.weighted(texts[:PIECE]) @ directions
        size = float(np.sqrt(np.mean(projected**2))) if projected.size else 0.0
        return replace(
            plain,
            features=directions.shape[1],
            scale=1.0 / size if size > 0 else 1.0,
            fitted={**plain.fitted, "directions": directions.astype(np.float16)},
        )

    def _counts(self, texts: Sequence[str]) -> list[sparse.csr_matrix]:
        pieces = [
            counts(texts[at : at + PIECE], words=self.words, shortest=self.shortest, longest=self.longest)
            for at in range(0, max(len(texts), 1), PIECE)
        ]
        return [sparse.vstack([p[k] for p in pieces]).tocsr() for k in range(2)]


@dataclass(frozen=True)
class NgramsEncoder(BlockEncoder):
    """TF-IDF of hashed n-grams on its main directions: latent semantic analysis (Deerwester et al. 1990).

    x = (1 + log tf) idf, idf = log((1 + n) / (1 + df)) + 1, words and characters each scaled to length 1; the features
    are x V / s with V the leading right singular vectors on train rows and s their root mean square. A pair of texts
    u, v gives u, v, |u - v| and u v. Cost: a few passes over the characters, and a sparse product.
    """

    kind = InputKind.TEXT

    features: int
    words: int
    shortest: int
    longest: int
    scale: float
    aside: bool = False
    fitted: Mapping[str, Array] = field(default_factory=dict, repr=False, compare=False)

    @property
    def shape(self) -> Shape:
        return Shape("float16", (self.features * (4 if len(self.columns) == 2 else 1),))

    @property
    def for_network(self) -> bool:
        return not self.aside

    def aside_of_network(self) -> NgramsEncoder:
        """The same encoder for models that cannot read what the network reads."""
        return replace(self, aside=True)

    @property
    def arrays(self) -> Mapping[str, Array]:
        return self.fitted

    def with_arrays(self, arrays: Mapping[str, Array]) -> NgramsEncoder:
        return replace(self, fitted=dict(arrays))

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "fitted": {}}

    def weighted(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """TF-IDF of texts, (N, kept words + kept characters)."""
        found = counts(texts, words=self.words, shortest=self.shortest, longest=self.longest)
        parts = []
        for matrix, name in zip(found, ("word", "character"), strict=True):
            part = matrix[:, self.fitted[f"{name}s"]]
            part.data = 1 + np.log(part.data)
            part = part.multiply(self.fitted[f"{name}_weights"]).tocsr()
            length = np.sqrt(np.asarray(part.multiply(part).sum(axis=1)))
            parts.append(part.multiply(1 / np.maximum(length, 1e-12)).tocsr())
        return sparse.hstack(parts).tocsr().astype(np.float32)

    def read(self, columns: Sequence[pa.ChunkedArray], out: Array) -> None:
        directions = self.fitted["directions"].astype(np.float32) * np.float32(self.scale)
        for start, stop in _pieces(len(out)):
            made = [
                self.weighted(strings(column.slice(start, stop - start), LONGEST)) @ directions for column in columns
            ]
            out[start:stop] = joined(made)

    def part(self, sample: Array) -> dict[str, Any]:
        return {"name": "vectors", "block": self.own_block, "n_in": self.shape.cells[0]}


def _pieces(n: int) -> Iterator[tuple[int, int]]:
    return ((at, min(at + PIECE, n)) for at in range(0, n, PIECE))


def joined(vectors: Sequence[Array]) -> Array:
    """One text's vectors (N, D) as they are; a pair's u, v, |u - v|, u v side by side, (N, 4 D)."""
    if len(vectors) == 1:
        return vectors[0]
    u, v = vectors
    return np.concatenate([u, v, np.abs(u - v), u * v], axis=1)


def main_directions(matrix: sparse.csr_matrix, most: int) -> Array:
    """Leading right singular vectors (D, K) of a sparse matrix (N, D), from a random range finder with two power
    steps (Halko, Martinsson and Tropp 2011, algorithm 4.4); K = min(`most`, N, D). Seeded: equal data, equal result.
    """
    n, d = matrix.shape
    size = min(most + 16, n, d)
    if size == 0:
        return np.zeros((d, 0), np.float32)
    random = np.random.default_rng(0)
    basis = matrix @ random.standard_normal((d, size)).astype(np.float32)
    for _ in range(_POWER_STEPS):
        basis = np.linalg.qr(basis)[0]
        basis = matrix @ (matrix.T @ basis)
    basis = np.linalg.qr(basis)[0]
    small = (matrix.T @ basis).T
    values, vectors = np.linalg.eigh((small @ small.T).astype(np.float64))
    order = np.argsort(-values)[: min(most, size)]
    order = order[values[order] > 1e-9 * max(float(values.max()), 1e-30)]
    found = small.T @ (vectors[:, order] / np.sqrt(values[order])).astype(np.float32)
    return np.asarray(found, np.float32)
