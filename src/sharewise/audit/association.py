"""How strongly two columns of codes, or two samples of numbers, differ."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sharewise.audit.columns import Floats
from sharewise.audit.view import Labels

Counts = npt.NDArray[np.float64]


def table(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> Counts:
    """Counts of every pair of codes, (x levels, y levels)."""
    n, m = int(x.max(initial=0)) + 1, int(y.max(initial=0)) + 1
    return np.bincount(x * m + y, minlength=n * m).reshape(n, m).astype(np.float64)


def cramers_v(counts: Counts) -> float:
    """Bias-corrected Cramer's V of a table of counts, 0 to 1 (Bergsma 2013); 0 where a side has one level."""
    counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    n = counts.sum()
    rows, columns = counts.shape
    if min(rows, columns) < 2 or n < 2:
        return 0.0
    expected = np.outer(counts.sum(1), counts.sum(0)) / n
    phi = float(((counts - expected) ** 2 / expected).sum() / n)
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    r = rows - (rows - 1) ** 2 / (n - 1)
    c = columns - (columns - 1) ** 2 / (n - 1)
    return float(np.sqrt(phi / max(min(r, c) - 1, 1e-12)))


def ks_distance(x: Floats, y: Floats) -> float:
    """Largest distance between the two empirical distribution functions."""
    both = np.concatenate([x, y])
    at_x = np.searchsorted(np.sort(x), both, side="right") / len(x)
    at_y = np.searchsorted(np.sort(y), both, side="right") / len(y)
    return float(np.abs(at_x - at_y).max())


def label_levels(labels: Labels, rows: npt.NDArray[np.int64], n_levels: int = 4) -> npt.NDArray[np.int64]:
    """Labels of some rows as few codes: classes as they are, numbers by quantile."""
    values = labels.values[rows]
    if labels.is_class:
        return np.maximum(values, 0).astype(np.int64)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, n_levels + 1)[1:-1]))
    return np.searchsorted(edges, values, side="left").astype(np.int64)
