"""Labels as numbers: class codes, 0/1 per label, standardised numbers; and back to the user's labels and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.tables import columns as col
from sharewise.tables import pictures, tags
from sharewise.tables.columns import Floats
from sharewise.tables.read import Table
from sharewise.tasks import Task, TaskKind

Present = npt.NDArray[np.bool_]

N_LANDMARKS = 256
LARGEST = 1e30
"""Targets beyond this size are refused: squares of their errors leave float32."""

SMALLEST = 1e-30
"""A target that varies by less than this counts as constant."""


def raw(table: Table, task: Task) -> tuple[Floats, Present]:
    """Labels (N, K) and which of them exist: class codes, 0/1 per label, or numbers in the original unit.

    An absent label is 0. A label that is none of the task's classes counts as absent.
    """
    match task.kind:
        case TaskKind.REGRESSION:
            values = col.floats(table.column(task.columns[0]), task.columns[0])[:, None]
            present = ~np.isnan(values)
        case TaskKind.RECONSTRUCTION:
            values, present = _cells(table, task)
        case TaskKind.MULTILABEL:
            values, present = _labels(table, task)
        case TaskKind.TOKEN_TAGGING:
            values, present = tags.codes(table.column(task.columns[0]), task.classes, task.length)
        case _:
            levels = [col.canonical(c) for c in task.classes]
            found = col.codes(table.column(task.columns[0]), levels, numeric=_is_numeric(task))
            values, present = found.astype(np.float64)[:, None], (found >= 0)[:, None]
    if task.where is not None:
        present = present & where(table, task)[:, None]
    return np.where(present, values, 0.0), present


def where(table: Table, task: Task) -> Present:
    """(N,) the rows that a grouped task is about; all of them for any other task."""
    if task.where is None:
        return np.ones(table.n_rows, dtype=bool)
    column, group = task.where
    belongs: Present = col.codes(table.column(column), [group], numeric=False) == 0
    return belongs


def _is_numeric(task: Task) -> bool:
    return not all(isinstance(c, str) for c in task.classes)


def _cells(table: Table, task: Task) -> tuple[Floats, Present]:
    blocks: list[Floats] = []
    seen: list[Present] = []
    for name in task.columns:
        column = table.column(name)
        if col.is_bytes(column.type):
            values, present = pictures.thumbnails(column, name)
            blocks.append(values)
            seen.append(np.repeat(present[:, None], values.shape[1], axis=1))
        elif col.is_list(column.type):
            width = sum(1 for c in task.classes if str(c).startswith(f"{name}["))
            values, present = col.vectors(column, name, width)
            blocks.append(values.astype(np.float64))
            seen.append(np.repeat(present[:, None], width, axis=1) & np.isfinite(blocks[-1]))
        else:
            numbers = col.floats(column, name)[:, None]
            blocks.append(np.nan_to_num(numbers, posinf=0.0, neginf=0.0))
            seen.append(np.isfinite(numbers))
    return np.concatenate(blocks, axis=1), np.concatenate(seen, axis=1)


def _labels(table: Table, task: Task) -> tuple[Floats, Present]:
    if len(task.columns) > 1:
        values = np.stack([col.floats(table.column(c), c) for c in task.columns], axis=1)
        return np.nan_to_num(values), ~np.isnan(values)
    column = table.column(task.columns[0])
    valid = column.is_valid().combine_chunks().to_numpy(zero_copy_only=False)
    out = np.zeros((table.n_rows, len(task.classes)))
    whole = column.combine_chunks()
    parents = pc.list_parent_indices(whole)
    found = col.codes(
        pa.chunked_array([pc.list_flatten(whole)]), [col.canonical(c) for c in task.classes], numeric=_is_numeric(task)
    )
    rows = parents.to_numpy(zero_copy_only=False)
    out[rows[found >= 0], found[found >= 0]] = 1.0
    return out, np.repeat(valid[:, None], out.shape[1], axis=1)


@dataclass(frozen=True)
class Scale:
    """Original unit -> the unit a model is trained in, and exactly back.

    First the transform: identity, log(1 + y), or the piecewise linear map through `landmarks` (quantiles of train)
    onto `heights` (the same quantiles of a standard normal), continued with its mean slope beyond them. Then
    (y - mean) / deviation, per cell. A constant has deviation 1.
    """

    transform: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    landmarks: tuple[float, ...] = ()
    heights: tuple[float, ...] = ()

    @classmethod
    def fit(cls, transform: str, values: Floats, present: Present) -> Self:
        """Learn from values (N, K) of train rows."""
        landmarks, heights = _landmarks(values[present]) if transform == "quantile" else ((), ())
        moved = cls(transform, (0.0,) * values.shape[1], (1.0,) * values.shape[1], landmarks, heights).forward(values)
        means, deviations = [], []
        for k in range(values.shape[1]):
            seen = moved[present[:, k], k]
            means.append(float(seen.mean()) if len(seen) else 0.0)
            spread = float(seen.std()) if len(seen) else 0.0
            deviations.append(spread if spread > max(1e-12 * abs(means[-1]), SMALLEST) else 1.0)
        return cls(transform, tuple(means), tuple(deviations), landmarks, heights)

    def forward(self, values: Floats) -> Floats:
        """Original unit -> standardised, (N, K)."""
        if self.transform == "log1p":
            values = np.log1p(np.maximum(values, -1 + 1e-12))
        elif self.transform == "quantile":
            values = _piecewise(values, self.landmarks, self.heights)
        return (values - np.array(self.mean)) / np.array(self.deviation)  # type: ignore[no-any-return]

    def inverse(self, values: Floats) -> Floats:
        """Standardised -> original unit, (N, K)."""
        values = values * np.array(self.deviation) + np.array(self.mean)
        if self.transform == "log1p":
            return np.expm1(np.minimum(values, 80.0))
        if self.transform == "quantile":
            return _piecewise(values, self.heights, self.landmarks)
        return values


def _landmarks(seen: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Distinct train quantiles and the normal quantiles of the same shares, both strictly rising."""
    from scipy.special import ndtri

    spread = float(np.ptp(seen)) if len(seen) else 0.0
    if spread <= SMALLEST:
        return (), ()
    n = min(N_LANDMARKS, len(seen))
    share = (np.arange(n) + 0.5) / n
    values = np.quantile(seen, share)
    distinct, first, count = np.unique(values, return_index=True, return_counts=True)
    # Landmarks too close for float64 to tell apart over the whole range count as one.
    apart = np.concatenate([[True], np.diff(distinct) > 1e-9 * spread])
    distinct, first, count = distinct[apart], first[apart], count[apart]
    if len(distinct) < 2:
        return (), ()
    # A value that many rows share stands at the middle of its shares.
    heights = ndtri(share[first] + (count - 1) / (2 * n))
    return tuple(map(float, distinct)), tuple(map(float, heights))


def _piecewise(values: Floats, xs: tuple[float, ...], ys: tuple[float, ...]) -> Floats:
    """Straight lines through the points, their mean slope beyond both ends; the identity without points."""
    if len(xs) < 2:
        return values
    mean_slope = (ys[-1] - ys[0]) / (xs[-1] - xs[0])
    # A point far out on either side carries that slope.
    reach = xs[-1] - xs[0]
    x = np.array([xs[0] - reach, *xs, xs[-1] + reach])
    y = np.array([ys[0] - reach * mean_slope, *ys, ys[-1] + reach * mean_slope])
    segment = np.clip(np.searchsorted(x, values, side="right") - 1, 0, len(x) - 2)
    slope = (y[segment + 1] - y[segment]) / (x[segment + 1] - x[segment])
    return y[segment] + (values - x[segment]) * slope  # type: ignore[no-any-return]
