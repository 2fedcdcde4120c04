"""Columns that should not be inputs: row numbers and other ids, constants, copies of a target."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.tables import columns as col
from sharewise.tables.read import Table
from sharewise.tables.schema import InputKind

MIN_ROWS = 10
"""Rows on which both columns must have a value before equality says anything."""

SAMPLE = 50_000
NEAR = 0.999
"""Rank correlation, or share of agreeing rows, from which a column is called a near-copy of a target."""


def reason(table: Table, name: str, kind: InputKind | None, targets: tuple[str, ...]) -> str | None:
    """Why the column `name` should not be an input, as a phrase, or None where nothing speaks against it."""
    column = table.column(name)
    if kind is None:
        return f"its type {column.type} has no encoder"
    if kind in (InputKind.TEXT, InputKind.TOKENS, InputKind.IMAGE):
        return f"{kind.value} inputs have no encoder yet"
    if column.null_count == len(column):
        return "it has no value at all"
    if kind is InputKind.EMBEDDING:
        return None
    n_distinct = len(pc.unique(column).drop_null())
    if n_distinct == 1 and column.null_count == 0:
        return "it is constant"
    if is_identifier(column, kind, n_distinct):
        return "it looks like an id (every row has its own value)"
    for target in targets:
        likeness = similarity(column, table.column(target))
        if likeness is not None and likeness >= NEAR:
            return f"it is {'a copy' if likeness == 1.0 else 'nearly a copy'} of the target '{target}'"
    return None


def is_identifier(column: pa.ChunkedArray, kind: InputKind, n_distinct: int) -> bool:
    """True for text, or steadily rising whole numbers, with another value in every row."""
    if column.null_count or len(column) < MIN_ROWS or n_distinct < len(column):
        return False
    if kind is InputKind.CATEGORICAL:
        return True
    if kind is InputKind.NUMERIC and pa.types.is_integer(column.type):
        steps = np.diff(col.floats(column, ""))
        return bool((steps == steps[0]).all() and steps[0] != 0)
    return False


def similarity(a: pa.ChunkedArray, b: pa.ChunkedArray) -> float | None:
    """How nearly `a` tells `b`, on the rows where both have a value: 1 for equal values or a one-to-one relabelling,
    else |rank correlation| for numbers, the share of rows that the best relabelling explains for labels of few kinds;
    None where too few rows, or constants, say nothing. The first 50,000 rows are judged.
    """
    if col.is_list(a.type) or col.is_list(b.type):
        return None
    both = pc.and_(a.is_valid(), b.is_valid())
    a, b = a.slice(0, SAMPLE).filter(both.slice(0, SAMPLE)), b.slice(0, SAMPLE).filter(both.slice(0, SAMPLE))
    if len(a) < MIN_ROWS:
        return None
    x, y = _ranked(a), _ranked(b)
    n_x, n_y = len(np.unique(x)), len(np.unique(y))
    if min(n_x, n_y) < 2:
        return None
    if n_x == n_y and len(np.unique(x * (n_y + 1) + y)) == n_x and (n_x < len(x) or _monotone(x, y)):
        return 1.0
    if col.is_text(a.type) or col.is_text(b.type):
        return _purity(x, y) if n_x == n_y else None
    return min(abs(float(np.corrcoef(x, y)[0, 1])), np.nextafter(1.0, 0.0))


def _ranked(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Dense ranks: equal values share one."""
    if col.is_text(column.type):
        values = np.asarray(column.to_pylist(), dtype=object).astype(str)
    else:
        values = col.floats(column, "")
    return np.unique(values, return_inverse=True)[1].astype(np.float64)


def _monotone(x: np.ndarray[tuple[int], np.dtype[np.float64]], y: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """True where the dense ranks are equal or reversed: for columns of all-distinct values any pairing is one to one."""
    return bool((x == y).all() or (x == y.max() - y).all())


def _purity(x: np.ndarray[tuple[int], np.dtype[np.float64]], y: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    pairs, counts = np.unique(np.stack([x, y], axis=1), axis=0, return_counts=True)
    best: dict[float, int] = {}
    for (key, _), n in zip(pairs, counts, strict=True):
        best[float(key)] = max(best.get(float(key), 0), int(n))
    return min(sum(best.values()) / len(x), float(np.nextafter(1.0, 0.0)))
