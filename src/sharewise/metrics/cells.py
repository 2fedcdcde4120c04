"""What the metrics share: labelled rows, one-column views of a layout, midranks and centred jackknife values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from sharewise.metrics.base import Array

ColumnScore = Callable[[Array, Array], float | None]
ColumnRows = Callable[[Array, Array], Array | None]


class Cells(NamedTuple):
    """The labelled rows of a task: truth (n, K), which cells exist (n, K), predictions (n, W) in float64."""

    truth: Array
    present: Array
    prediction: Array

    @property
    def n(self) -> int:
        """Labelled rows."""
        return len(self.truth)

    @property
    def by_class(self) -> bool:
        """True where a row has one label and one probability per class."""
        return bool(self.truth.shape[1] == 1 and self.prediction.shape[1] > 1)


class View(NamedTuple):
    """One column on its own: 0/1 or real truth (k,), its prediction (k,), and which labelled rows (n,) it has."""

    truth: Array
    prediction: Array
    rows: Array


def labelled(truth: Array, present: Array, prediction: Array) -> Cells | None:
    """Rows with any label; None with fewer than two of them, or where a prediction on one is not finite.

    Raises ValueError where the three arrays do not describe the same rows.
    """
    if not (truth.ndim == present.ndim == prediction.ndim == 2):
        raise ValueError("Truth, present and prediction must be (rows, columns); however, one is not 2-D.")
    if truth.shape != present.shape or len(truth) != len(prediction):
        raise ValueError(
            "Truth, present and prediction must describe the same rows; however, their shapes are "
            f"{truth.shape}, {present.shape} and {prediction.shape}."
        )
    if truth.shape[1] > 1 and truth.shape[1] != prediction.shape[1]:
        raise ValueError(
            f"A task of {truth.shape[1]} columns needs as many predictions; however, {prediction.shape[1]} are given."
        )
    mask = present.astype(bool)
    rows = mask.any(axis=1)
    n = int(np.count_nonzero(rows))
    if n < 2:
        return None
    kept = prediction[rows].astype(np.float64)
    if not np.isfinite(kept).all():
        return None
    return Cells(truth[rows].astype(np.float64), mask[rows], kept)


def views(cells: Cells) -> Iterator[View]:
    """The columns of a task: one per label or rebuilt input, one per class against the rest, or the only one."""
    if cells.by_class:
        everyone = np.ones(cells.n, dtype=bool)
        for code in range(cells.prediction.shape[1]):
            yield View((cells.truth[:, 0] == code).astype(np.float64), cells.prediction[:, code], everyone)
        return
    for column in range(cells.truth.shape[1]):
        rows = cells.present[:, column]
        yield View(cells.truth[rows, column], cells.prediction[rows, column], rows)


def n_views(cells: Cells) -> int:
    """How many columns `views` yields."""
    return int(cells.prediction.shape[1] if cells.by_class else cells.truth.shape[1])


def macro_score(cells: Cells, score: ColumnScore, enough: Callable[[Array], bool]) -> float | None:
    """Mean of a column score over the columns; among several, only those with `enough` truth take part."""
    several = n_views(cells) > 1
    found = [
        value
        for view in views(cells)
        if not several or enough(view.truth)
        if (value := score(view.truth, view.prediction)) is not None
    ]
    return float(np.mean(found)) if found else None


def macro_rows(cells: Cells, rows: ColumnRows, enough: Callable[[Array], bool]) -> Array | None:
    """Per-row values (n,) of a macro mean from the per-row values of its columns.

    A column l labelled on n_l of the n rows adds its deviations times sqrt(n (n-1) / (n_l (n_l-1))), which
    keeps the variance of its own mean exactly and lets the columns covary row by row.
    """
    total = np.zeros(cells.n)
    mean = 0.0
    count = 0
    for view in views(cells):
        if not enough(view.truth):
            continue
        values = rows(view.truth, view.prediction)
        if values is None:
            return None
        if n_views(cells) == 1:
            return values
        k = len(values)
        centre = float(values.mean())
        total[view.rows] += (values - centre) * np.sqrt(cells.n * (cells.n - 1) / (k * (k - 1)))
        mean += centre
        count += 1
    if count == 0:
        return None
    return mean / count + total / count


def two_of_each(truth: Array) -> bool:
    """True with at least two positives and two negatives: the least that lets a rank score's variance be seen."""
    positives = int(np.count_nonzero(truth > 0.5))
    return positives >= 2 and len(truth) - positives >= 2


def two_rows(truth: Array) -> bool:
    """True with at least two rows."""
    return len(truth) >= 2


def finite(value: float) -> float | None:
    """The value, or None where it overflowed."""
    return float(value) if np.isfinite(value) else None


def all_finite(values: Array) -> Array | None:
    """The values, or None where one overflowed."""
    return values if bool(np.isfinite(values).all()) else None


def decided(cells: Cells) -> Array:
    """Class codes (n,) that the predictions choose: P > 1/2 for binary, else the most probable class."""
    if cells.prediction.shape[1] == 1:
        return (cells.prediction[:, 0] > 0.5).astype(np.int64)
    chosen: Array = np.argmax(cells.prediction, axis=1)
    return chosen


def codes(cells: Cells) -> Array:
    """True class codes (n,)."""
    return cells.truth[:, 0].astype(np.int64)


def right(cells: Cells) -> Array:
    """1.0 where the decision (n,) is the true class, else 0.0."""
    hit: Array = (decided(cells) == codes(cells)).astype(np.float64)
    return hit


def confusion(truth: Array, decision: Array, n_classes: int) -> Array:
    """Counts (C, C): rows are true classes, columns decided ones."""
    flat = np.bincount(truth * n_classes + decision, minlength=n_classes * n_classes)
    table: Array = flat.reshape(n_classes, n_classes).astype(np.float64)
    return table


def jackknife(score: float, without: Array) -> Array:
    """Pseudo-values (n,) from the scores without each row, centred so that their mean is `score`.

    x_i = score + (n - 1) (mean_j without_j - without_i): Tukey's pseudo-values less their bias correction, so
    that the variance of their mean is the jackknife variance (Efron and Stein 1981, eq. 1.2).
    """
    values: Array = score + (len(without) - 1) * (without.mean() - without)
    return values


def midranks(values: Array) -> Array:
    """Ranks (n,) from 1, ties sharing their mean rank; one sort."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.append(starts[1:], len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((starts + ends + 1) / 2.0, ends - starts)
    return ranks
