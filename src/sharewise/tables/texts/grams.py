"""Hashed word and character n-grams of many texts: a few passes over an array of code points, no Python per n-gram.

With code points c_j and an odd B, P_i = sum_{j<i} c_j B^j (mod 2^64) gives every substring a hash,
(P_b - P_a) B^-a, because an odd B has an inverse mod 2^64 (Karp and Rabin 1987, "Efficient randomized
pattern-matching algorithms", in its prefix form).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Array = npt.NDArray[Any]

BITS = 20
"""Buckets of the hash, as a power of two, for words and for characters each."""

LONGEST = 20_000
"""Characters of a text that are read."""

_BASE = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
_MIX = np.uint64(0xD6E8FEB86659FD93)


def counts(texts: Sequence[str], *, words: int, shortest: int, longest: int) -> tuple[sparse.csr_matrix, ...]:
    """How often each hashed n-gram occurs: one matrix (N, 2^20) for words, one for characters.

    Words are runs of letters and digits, every other sign is a word of its own; n-grams of 1 to `words` words.
    Characters: n-grams of `shortest` to `longest` characters inside a word with the blanks around it.
    """
    # A blank before and after each text keeps n-grams inside it.
    joined = " ".join(["", *(" ".join(t.lower().split()) for t in texts), ""])
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.array([len(" ".join(t.lower().split())) + 1 for t in texts], np.int64)
    row = np.repeat(np.arange(len(texts)), lengths)
    # Position 0 is the blank before the first text; every text owns the blank after it.
    row = np.concatenate([np.zeros(1, np.int64), row])[: len(points)]
    substring = _Substrings(points)
    n = len(texts)
    return (
        _matrix(*_words(points, row, substring, words), n),
        _matrix(*_characters(points, row, substring, shortest, longest), n),
    )


class _Substrings:
    """Hash of every substring from prefix sums."""

    def __init__(self, points: Array) -> None:
        with np.errstate(over="ignore"):
            steps = np.ones(len(points) + 1, np.uint64)
            back = np.ones(len(points) + 1, np.uint64)
            steps[1:], back[1:] = _BASE, _INVERSE
            powers, self._back = np.cumprod(steps, dtype=np.uint64), np.cumprod(back, dtype=np.uint64)
            cells = _mixed(points.astype(np.uint64) + np.uint64(1))
            self._prefix = np.concatenate([np.zeros(1, np.uint64), np.cumsum(cells * powers[:-1], dtype=np.uint64)])

    def between(self, start: Array, stop: Array) -> Array:
        """Hashes of points[start:stop]."""
        with np.errstate(over="ignore"):
            made: Array = (self._prefix[stop] - self._prefix[start]) * self._back[start]
        return made


def _mixed(values: Array) -> Array:
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(32))) * _MIX
        values = (values ^ (values >> np.uint64(32))) * _MIX
        return np.asarray(values ^ (values >> np.uint64(32)))


def _words(points: Array, row: Array, substring: _Substrings, most: int) -> tuple[Array, Array]:
    known, code = np.unique(points, return_inverse=True)
    letter = np.array([chr(int(p)).isalnum() or chr(int(p)) == "_" for p in known], bool)[code]
    blank = points == 32
    before = np.concatenate([[False], letter[:-1]])
    start = np.flatnonzero((letter & ~before) | (~letter & ~blank))
    after = np.concatenate([letter[1:], [False]])
    stop = np.flatnonzero((letter & ~after) | (~letter & ~blank)) + 1
    single = _mixed(substring.between(start, stop))
    hashes, rows = [single], [row[start]]
    running = single
    for n in range(2, most + 1):
        same = row[start[: len(start) - n + 1]] == row[start[n - 1 :]]
        with np.errstate(over="ignore"):
            running = _mixed(running[: len(start) - n + 1] * _BASE + single[n - 1 :])
        hashes.append(running[same])
        rows.append(row[start[: len(start) - n + 1]][same])
    return np.concatenate(hashes), np.concatenate(rows)


def _characters(points: Array, row: Array, substring: _Substrings, shortest: int, longest: int) -> tuple[Array, Array]:
    blanks = np.concatenate([[0], np.cumsum(points == 32)])
    hashes, rows = [], []
    for n in range(shortest, longest + 1):
        at = np.arange(max(len(points) - n + 1, 0))
        # A blank may stand at either end of an n-gram, never inside it.
        inside = blanks[at + n - 1] - blanks[np.minimum(at + 1, at + n - 1)]
        whole = (inside == 0) & (blanks[at + n] - blanks[at] < n)
        at = at[whole]
        hashes.append(_mixed(substring.between(at, at + n)))
        # A leading blank belongs to the text before.
        rows.append(row[np.minimum(at + 1, at + n - 1)])
    return np.concatenate(hashes), np.concatenate(rows)


def _matrix(hashes: Array, rows: Array, n: int) -> sparse.csr_matrix:
    columns = (hashes >> np.uint64(64 - BITS)).astype(np.int32)
    made = sparse.csr_matrix((np.ones(len(columns), np.float32), (rows, columns)), shape=(n, 1 << BITS))
    made.sum_duplicates()
    return made
