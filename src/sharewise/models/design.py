"""Input blocks as the design matrix of a linear model, and its weights folded back to the raw blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sharewise.batch import Inputs
from sharewise.models.single import Array
from sharewise.models.weights import Weights, interval_codes, stacked_codes

_SPARSE_BELOW = 0.2
_SMALL_CELLS = 300_000


@dataclass(frozen=True)
class Design:
    """Input blocks as one matrix X (n, D), held as a dense and sparse blocks side by side."""

    blocks: tuple[Array | sparse.csr_matrix, ...]

    @property
    def widths(self) -> list[int]:
        """Columns of each block."""
        return [block.shape[1] for block in self.blocks]

    def at(self, rows: Array) -> Design:
        """The rows at these positions; a small matrix becomes one dense block, which costs less per pass."""
        part = Design(tuple(block[rows] for block in self.blocks))
        return Design((part.dense(),)) if len(rows) * sum(part.widths) <= _SMALL_CELLS else part

    def times(self, weights: Array) -> Array:
        """X W, (n, S)."""
        if len(self.blocks) == 1:
            return np.asarray(self.blocks[0] @ weights)
        pieces = np.split(weights, np.cumsum(self.widths)[:-1])
        return sum((np.asarray(b @ w) for b, w in zip(self.blocks, pieces, strict=True)), start=np.zeros(()))

    def transposed_times(self, residual: Array) -> Array:
        """X^T R, (D, S)."""
        return np.concatenate([np.asarray(block.T @ residual) for block in self.blocks])

    def gram(self) -> Array:
        """X^T X, (D, D)."""
        rows = [[_dense(a.T @ b) for b in self.blocks] for a in self.blocks]
        return np.block(rows)

    def dense(self) -> Array:
        """X as one dense matrix."""
        return np.hstack([_dense(block) for block in self.blocks])


def _dense(block: Array | sparse.spmatrix) -> Array:
    return np.asarray(block) if isinstance(block, np.ndarray) else np.asarray(block.toarray())


@dataclass(frozen=True)
class Scaling:
    """How raw blocks become a design, so that its weights can be folded back to the raw blocks."""

    mean: Array
    scale: Array
    sizes: Array
    edges: Array
    centre: Array
    factor: float

    @classmethod
    def of(cls, inputs: Inputs[Array], rows: Array, n_bins: int, embedding_scale: float) -> Scaling:
        """Measured on the rows that are trained on."""
        numeric = np.zeros((len(rows), 0))
        if "numeric" in inputs:
            numeric = inputs["numeric"][rows].astype(np.float64)
        scale = numeric.std(axis=0)
        # A column that barely moves against its own size is rounding noise: scaled up it would be an input.
        steady = scale <= 1e-6 * (np.abs(numeric).max(axis=0, initial=0.0) + 1e-30)
        sizes = np.zeros(0, np.int64)
        if "categorical" in inputs:
            sizes = inputs["categorical"][rows].max(axis=0).astype(np.int64) + 1
        edges = np.zeros((numeric.shape[1], 0), np.float32)
        if n_bins and numeric.shape[1]:
            edges = np.quantile(numeric, np.arange(1, n_bins) / n_bins, axis=0).T.astype(np.float32)
        centre, factor = np.zeros(0), embedding_scale
        if "embedding" in inputs:
            block = inputs["embedding"]
            centre = np.zeros(block.shape[1])
            if block.dtype != np.uint8:
                part = block[rows].astype(np.float64)
                centre = part.mean(axis=0)
                factor /= np.sqrt(part.var(axis=0).mean()) + 1e-12
            elif block.max(initial=0) > 1:
                factor /= 255.0
        return cls(numeric.mean(axis=0), np.where(steady, np.inf, scale), sizes, edges, centre, float(factor))

    def design(self, inputs: Inputs[Array], rows: Array) -> Design:
        """The design of these rows: scaled numeric, one-hot codes, one-hot intervals, embedding."""
        blocks: list[Array | sparse.csr_matrix] = []
        if "numeric" in inputs:
            blocks.append((inputs["numeric"][rows].astype(np.float64) - self.mean) / self.scale)
        if "categorical" in inputs:
            codes = stacked_codes(inputs["categorical"][rows], self.sizes)
            blocks.append(_one_hot(codes, int(self.sizes.sum())))
        if self.edges.shape[1]:
            codes = interval_codes(inputs["numeric"][rows], self.edges)
            blocks.append(_one_hot(codes, self.edges.shape[0] * (self.edges.shape[1] + 1)))
        if "embedding" in inputs:
            block = inputs["embedding"][rows]
            if block.dtype == np.uint8 and np.count_nonzero(block) < _SPARSE_BELOW * block.size:
                blocks.append(sparse.csr_matrix(block, dtype=np.float64) * self.factor)
            else:
                blocks.append((block.astype(np.float64) - self.centre) * self.factor)
        return Design(tuple(blocks))

    def fold(self, weights: Array, intercept: Array, inputs: Inputs[Array]) -> Weights:
        """Weights on the raw blocks that give the same linear predictor."""
        n_bins = self.edges.shape[0] * (self.edges.shape[1] + 1) if self.edges.shape[1] else 0
        n_embedding = len(self.centre) if "embedding" in inputs else 0
        cuts = np.cumsum([len(self.mean), int(self.sizes.sum()), n_bins])
        numeric, categorical, bins, embedding = np.split(weights, cuts)
        numeric = numeric / self.scale[:, None]
        embedding = embedding * self.factor
        shift = intercept - self.mean @ numeric - self.centre[:n_embedding] @ embedding
        return Weights(shift, numeric, categorical, self.sizes, embedding, self.edges, bins)


def _one_hot(codes: Array, width: int) -> sparse.csr_matrix:
    n, per_row = codes.shape
    pointers = np.arange(0, n * per_row + 1, per_row)
    return sparse.csr_matrix((np.ones(n * per_row), codes.ravel(), pointers), shape=(n, width))
