"""The best sequence of tags by each token's scores and what follows what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Codes = NDArray[np.int64]

SMOOTHING = 0.5


@dataclass(frozen=True)
class Chain:
    """Scores of the first tag, `start` (C,), and of a tag after another, `step` (C, C); -inf for what cannot be."""

    start: Array
    step: Array

    @classmethod
    def of(cls, values: NDArray[np.floating[Any]], present: NDArray[np.bool_], n_tags: int, *, spans: bool) -> Chain:
        """From tagged sentences (N, L): log P(y_t | y_{t-1}) - log P(y_t), smoothed by half a count each; with `spans`
        tags are coded O, B-X, I-X, ..., and I-X follows B-X or I-X alone."""
        codes = values.astype(np.int64)
        alone = np.bincount(codes[present], minlength=n_tags) + SMOOTHING
        first = np.bincount(codes[:, 0][present[:, 0]], minlength=n_tags) + SMOOTHING
        both = present[:, 1:] & present[:, :-1]
        pairs = np.full((n_tags, n_tags), SMOOTHING)
        np.add.at(pairs, (codes[:, :-1][both], codes[:, 1:][both]), 1)
        shares = np.log(alone / alone.sum())
        start = np.log(first / first.sum()) - shares
        step = np.log(pairs / pairs.sum(axis=1, keepdims=True)) - shares
        if spans:
            inside = np.arange(2, n_tags, 2)
            start[inside] = -np.inf
            open_ = np.zeros((n_tags, n_tags), dtype=bool)
            open_[:, 0] = open_[:, 1::2] = True
            open_[inside, inside] = open_[inside - 1, inside] = True
            step = np.where(open_, step, -np.inf)
        return cls(start.astype(np.float32), step.astype(np.float32))

    def at(self, strength: float) -> Chain:
        """The chain with its finite scores times `strength`; what cannot be stays so."""
        scaled = (np.where(np.isfinite(s), s, 0.0) * strength + np.where(np.isfinite(s), 0.0, s) for s in self._both)
        return Chain(*(s.astype(np.float32) for s in scaled))

    @property
    def _both(self) -> tuple[Array, Array]:
        return self.start, self.step


def best_paths(scores: Array, lengths: Codes, chain: Chain) -> Codes:
    """Codes (n, L) that maximise the sum of scores (n, L, C) and the chain's over each row's first `lengths` tokens
    (Viterbi 1967); anything beyond. Cost: n L C^2."""
    n, longest, n_tags = scores.shape
    best = scores[:, 0] + chain.start
    back = np.zeros((longest, n, n_tags), np.int64)
    here = np.arange(n_tags)
    for t in range(1, longest):
        total = best[:, :, None] + chain.step
        source = total.argmax(axis=1)
        on = t < lengths
        # A sentence that has ended keeps its best tag as it was.
        back[t] = np.where(on[:, None], source, here)
        moved = np.take_along_axis(total, source[:, None], axis=1)[:, 0] + scores[:, t]
        best = np.where(on[:, None], moved, best)
    path = np.empty((n, longest), np.int64)
    path[:, -1] = best.argmax(axis=1)
    for t in range(longest - 1, 0, -1):
        path[:, t - 1] = np.take_along_axis(back[t], path[:, t : t + 1], axis=1)[:, 0]
    return path
