"""The weights of a linear predictor on raw input blocks, and how its codes index them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.batch import Inputs
from sharewise.models.single import Array


@dataclass(frozen=True)
class Weights:
    """A fitted linear predictor on the raw blocks, for S answers; blocks that do not exist have no rows.

    `intercept` (S,), `numeric` (F, S), `embedding` (D, S); `categorical` (sum of `sizes`, S) stacks a table
    of `sizes[c]` codes for every categorical column c (a code beyond its table counts as 0, "unseen"). With
    bins, `edges` (F, B) splits numeric column f into B + 1 intervals and `bins` (F * (B + 1), S) holds what
    each adds.
    """

    intercept: Array
    numeric: Array
    categorical: Array
    sizes: Array
    embedding: Array
    edges: Array
    bins: Array

    def linear(self, inputs: Inputs[Array]) -> Array:
        """Linear predictor (N, S) float64: the sum over blocks."""
        n = len(next(iter(inputs.blocks.values())))
        total: Array = np.tile(self.intercept, (n, 1))
        if "numeric" in inputs:
            total += inputs["numeric"] @ self.numeric
            if self.edges.shape[1]:
                total += self.bins[interval_codes(inputs["numeric"], self.edges)].sum(axis=1)
        if "categorical" in inputs:
            total += self.categorical[stacked_codes(inputs["categorical"], self.sizes)].sum(axis=1)
        if "embedding" in inputs:
            total += inputs["embedding"].astype(np.float32) @ self.embedding.astype(np.float32)
        return np.asarray(total)


def stacked_codes(codes: Array, sizes: Array) -> Array:
    """Rows (N, C) of the stacked tables; a code that training never had becomes its column's 0."""
    known = np.where((codes >= 0) & (codes < sizes), codes, 0)
    return np.asarray(known + (np.cumsum(sizes) - sizes))


def interval_codes(numeric: Array, edges: Array) -> Array:
    """Rows (N, F) of the stacked intervals: column f's interval plus f * (B + 1)."""
    width = edges.shape[1] + 1
    codes = [np.searchsorted(edges[f], numeric[:, f], side="right") + f * width for f in range(len(edges))]
    return np.stack(codes, axis=1) if codes else np.zeros((len(numeric), 0), np.int64)
