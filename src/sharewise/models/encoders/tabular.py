"""Numbers, categories and wide vectors -> features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sharewise.batch import Inputs
from sharewise.models.encoders.base import Encoder
from sharewise.models.sharing.base import OFF, Dropout
from sharewise.models.stacked import ONE, Init


class Tabular(Encoder):
    """One row of a table as a vector: scaled numbers with their piecewise-linear encoding, categories, embeddings.

    Each number x becomes x times a learnt scale (the scaling layer of RealMLP) beside its piecewise-linear
    encoding over the quantile bins [a_j, b_j): e_j = clamp((x - a_j) / (b_j - a_j), 0, 1), whose first bin is
    open below and last open above (Gorishniy, Rubachev and Babenko 2022, "On Embeddings for Numerical
    Features", eq. 1; also the default of TabM, Gorishniy et al. 2025). Categories with at most `one_hot_up_to`
    codes are one-hot (code 0, missing or unseen, is the zero vector), larger ones learnt vectors, as in
    RealMLP (Holzmueller, Grinsztajn and Steinwart 2024, section 3). Embeddings pass as they are, times one number.

    Shapes: numeric (M, B, F), categorical (M, B, C), embedding (M, B, E) -> (M, B, n_out).
    """

    feature: Tensor
    low: Tensor
    inverse: Tensor
    floor: Tensor
    ceiling: Tensor
    one_hot_base: Tensor

    def __init__(
        self,
        *,
        n_numeric: int = 0,
        cardinalities: Sequence[int] = (),
        n_embedding: int = 0,
        embedding_scale: float = 1.0,
        bins: Sequence[Sequence[float]] = (),
        one_hot_up_to: int = 9,
        category_width: int = 8,
    ) -> None:
        super().__init__()
        self.n_numeric, self.n_embedding, self.embedding_scale = n_numeric, n_embedding, embedding_scale
        self.cardinalities = tuple(cardinalities)
        self._set_bins(bins)
        if n_numeric:
            self.declare("scale", (1, n_numeric), ONE)
        self.one_hot = [c for c, size in enumerate(self.cardinalities) if size <= one_hot_up_to]
        self.learnt = [c for c, size in enumerate(self.cardinalities) if size > one_hot_up_to]
        widths = [self.cardinalities[c] - 1 for c in self.one_hot]
        # Code k of a one-hot column lands in cell base + k - 1; code 0 is masked away.
        self.register_buffer(
            "one_hot_base", torch.tensor(np.cumsum([0, *widths])[:-1], dtype=torch.long), persistent=False
        )
        self.n_one_hot = sum(widths)
        self.category_width = category_width
        for c in self.learnt:
            self.declare(f"category_{c}", (self.cardinalities[c], category_width), Init("normal", 0.3))
        self.n_out = n_numeric + len(self.feature) + self.n_one_hot + category_width * len(self.learnt) + n_embedding

    def _set_bins(self, bins: Sequence[Sequence[float]]) -> None:
        feature, low, high, floor, ceiling = [], [], [], [], []
        for f, edges in enumerate(bins):
            for j in range(len(edges) - 1):
                feature.append(f)
                low.append(edges[j])
                high.append(edges[j + 1])
                floor.append(-1.0 if j == 0 else 0.0)
                ceiling.append(2.0 if j == len(edges) - 2 else 1.0)
        self.register_buffer("feature", torch.tensor(feature, dtype=torch.long), persistent=False)
        self.register_buffer("low", torch.tensor(low), persistent=False)
        width = torch.tensor(high) - torch.tensor(low)
        self.register_buffer("inverse", 1.0 / width, persistent=False)
        self.register_buffer("floor", torch.tensor(floor), persistent=False)
        self.register_buffer("ceiling", torch.tensor(ceiling), persistent=False)

    def forward(self, inputs: Inputs[Tensor], dropout: Dropout = OFF) -> Tensor:
        parts: list[Tensor] = []
        if self.n_numeric:
            x = inputs["numeric"]
            parts.append(x * self.get_parameter("scale"))
            if len(self.feature):
                e = (x[..., self.feature] - self.low) * self.inverse
                parts.append(torch.minimum(torch.maximum(e, self.floor), self.ceiling))
        if self.cardinalities:
            codes = inputs["categorical"]
            if self.one_hot:
                chosen = codes[..., self.one_hot]
                hot = torch.zeros(*codes.shape[:-1], self.n_one_hot + 1, device=codes.device)
                # Code 0 writes into a spare last cell that is cut off again.
                cell = torch.where(chosen > 0, self.one_hot_base + chosen - 1, self.n_one_hot)
                parts.append(hot.scatter_(-1, cell, 1.0)[..., :-1])
            for c in self.learnt:
                table = self.get_parameter(f"category_{c}")
                member = torch.arange(table.shape[0], device=codes.device).unsqueeze(1)
                parts.append(table[member, codes[..., c]])
        if self.n_embedding:
            parts.append(inputs["embedding"].float() * self.embedding_scale)
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def quantile_bins(numeric: np.ndarray, most: int = 512, bins: int = 8) -> list[list[float]]:
    """Bin edges of each numeric column from its training values (N, F): distinct quantiles, at most `bins` bins
    a column and about `most` in all; a column with two values or fewer has none."""
    n_features = numeric.shape[1] if numeric.ndim == 2 else 0
    count = min(bins, most // max(n_features, 1))
    if count < 2:
        return [[] for _ in range(n_features)]
    sample = numeric if len(numeric) <= 100_000 else numeric[:: len(numeric) // 100_000]
    edges = (
        np.quantile(sample, np.linspace(0, 1, count + 1), axis=0) if len(sample) else np.zeros((count + 1, n_features))
    )
    result = []
    for f in range(n_features):
        distinct = np.unique(edges[:, f].astype(np.float32))
        result.append([float(v) for v in distinct] if len(distinct) > 2 else [])
    return result
