"""Pictures and tokens as one vector a row, for models that read nothing else."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharewise.tables.tokens import AS_WORDS

Array = NDArray[Any]

SIDE = 16
"""Pooled pixels a side, at most."""

WORDS = 1024
"""Codes of words that are counted; codes follow falling frequency."""


def pooled_pixels(pictures: Array, most: int = SIDE) -> Array:
    """Means over squares of pixels: (N, S, S, C) uint8 -> (N, s^2 C) uint8 with s at most `most`."""
    n, side, _, channels = pictures.shape
    size = -(-side // most)
    edges = np.arange(0, side, size)
    counts = np.diff([*edges, side])
    out = np.empty((n, len(edges) ** 2 * channels), np.uint8)
    for start in range(0, n, 4096):
        sums = np.add.reduceat(pictures[start : start + 4096].astype(np.uint32), edges, axis=1)
        sums = np.add.reduceat(sums, edges, axis=2)
        means = sums // (counts[:, None, None] * counts[None, :, None]).astype(np.uint32)
        out[start : start + 4096] = means.reshape(len(means), -1)
    return out


def word_blocks(names: Collection[str]) -> list[str]:
    """The blocks of word codes among blocks of these names: of tokens that a network reads as sub-words, those that
    stand beside them."""
    return [n for n in names if n.startswith("tokens:") and f"{n}{AS_WORDS}" not in names]


def word_counts(tokens: Array, most: int = WORDS) -> Array:
    """How often each of the `most` lowest word codes occurs: (N, L, F) integers -> (N, most) uint8, at most 255."""
    words = tokens[:, :, 0]
    rows, places = np.nonzero((words > 0) & (words < most))
    out = np.zeros((len(words), most), np.uint8)
    np.add.at(out, (rows, words[rows, places]), 1)
    return out
