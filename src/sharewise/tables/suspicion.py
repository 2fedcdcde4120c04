"""Columns that should not be inputs: row numbers and other ids, constants, copies of a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.errors import DataError
from sharewise.tables import columns as col
from sharewise.tables.read import Table
from sharewise.tables.schema import UNREADABLE, InputKind

Ranks = npt.NDArray[np.float64]

MIN_ROWS = 10
"""Rows on which both columns must have a value before equality says anything."""

SCREEN = 2_000
"""Labelled rows on which every input is compared with every target; only likely copies are looked at closer."""

CLOSER = 50_000
NEAR = 0.999
"""Rank correlation, or share of agreeing rows, from which a column is called a near-copy of a target."""

LIKELY = 0.98
FEW = 100
PROBE = 1_000


@dataclass(frozen=True)
class Copy:
    """An input that tells a target: `likeness` 1 for equal values or a one-to-one relabelling, below 1 for a near-copy."""

    column: str
    target: str
    likeness: float

    def __str__(self) -> str:
        return f"it is {'a copy' if self.likeness == 1.0 else 'nearly a copy'} of the target '{self.target}'"


def reasons(table: Table, kinds: Mapping[str, InputKind | None], targets: Sequence[str]) -> dict[str, str]:
    """Column to the reason, as a phrase, why it should not be an input; columns that nothing speaks against are absent."""
    found = {name: why for name, kind in kinds.items() if (why := _unfit(table.column(name), kind)) is not None}
    readable = [name for name in kinds if name not in found]
    for copy in copies(table, readable, targets):
        found.setdefault(copy.column, str(copy))
    return found


def _unfit(column: pa.ChunkedArray, kind: InputKind | None) -> str | None:
    if kind is None:
        return f"its type {column.type} has no encoder"
    if kind in UNREADABLE:
        return f"{kind.value} inputs have no encoder yet"
    if column.null_count == len(column):
        return "it has no value at all"
    if kind is InputKind.EMBEDDING:
        return None
    if is_constant(column):
        return "it is constant"
    if is_identifier(column, kind):
        return "it looks like an id (every row has its own value)"
    return None


def is_constant(column: pa.ChunkedArray) -> bool:
    """True where every row has the same value."""
    if column.null_count:
        return False
    ends = pc.min_max(column)
    return bool(ends["min"] == ends["max"])


def is_identifier(column: pa.ChunkedArray, kind: InputKind) -> bool:
    """True for text with another value in every row, and for whole numbers that rise by one step from row to row."""
    if column.null_count or len(column) < MIN_ROWS:
        return False
    head = column.slice(0, PROBE)
    if kind is InputKind.CATEGORICAL:
        return len(pc.unique(head)) == len(head) and len(pc.unique(column)) == len(column)
    if kind is InputKind.NUMERIC and pa.types.is_integer(column.type):
        return _steady(head) and _steady(column)
    return False


def _steady(column: pa.ChunkedArray) -> bool:
    steps = np.diff(column.to_numpy())
    return bool(len(steps) and steps[0] != 0 and (steps == steps[0]).all())


# --- copies of a target -------------------------------------------------------------------------------------


def copies(table: Table, inputs: Sequence[str], targets: Sequence[str]) -> list[Copy]:
    """Inputs that tell a target, exactly or nearly, on the rows where both have a value.

    Every pair is screened on at most 2,000 labelled rows by the correlation of ranks (one matrix product a target;
    text of few values by the best relabelling); what passes is compared on up to 50,000 rows.
    """
    columns = [name for name in inputs if not col.is_list(table.column(name).type)]
    found: list[Copy] = []
    for target in targets:
        if col.is_list(table.column(target).type) or not columns:
            continue
        labelled = np.flatnonzero(table.column(target).is_valid().combine_chunks().to_numpy(zero_copy_only=False))
        if len(labelled) < MIN_ROWS:
            continue
        few = labelled[:: max(len(labelled) // SCREEN, 1)]
        sample = Table(table.arrow.select(list(dict.fromkeys([*columns, target]))).take(pa.array(few)), table.name)
        more = labelled[:: max(len(labelled) // CLOSER, 1)]
        for name in _likely(sample, columns, target):
            close = similarity(table.column(name).take(pa.array(more)), table.column(target).take(pa.array(more)))
            if close is not None and close >= NEAR:
                found.append(Copy(name, target, close))
    return found


def _likely(sample: Table, columns: list[str], target: str) -> list[str]:
    """Columns of a sample that may be copies of its target."""
    y = _ranked(sample.column(target))
    y_centred = y - y.mean()
    spread = float(np.sqrt((y_centred**2).sum()))
    if spread == 0.0:
        return []
    y_is_text = col.is_text(sample.column(target).type)
    likely = []
    for name in columns:
        column = sample.column(name)
        if column.null_count or col.is_text(column.type) or y_is_text:
            close = similarity(column, sample.column(target))
        else:
            x = _ranked(column)
            x -= x.mean()
            norm = float(np.sqrt((x**2).sum()))
            close = abs(float(x @ y_centred)) / (norm * spread) if norm else None
        if close is not None and close >= LIKELY:
            likely.append(name)
    return likely


def similarity(a: pa.ChunkedArray, b: pa.ChunkedArray) -> float | None:
    """How nearly `a` tells `b`, on the rows where both have a value: 1 for equal values or a one-to-one relabelling,
    else |rank correlation| for numbers, the share of rows that the best relabelling explains for text of few values;
    None where too few rows, or constants, say nothing.
    """
    both = pc.and_(a.is_valid(), b.is_valid())
    if pc.sum(both).as_py() != len(a):
        a, b = a.filter(both), b.filter(both)
    if len(a) < MIN_ROWS:
        return None
    x, y = _ranked(a), _ranked(b)
    n_x, n_y = int(x.max()) + 1, int(y.max()) + 1
    if min(n_x, n_y) < 2:
        return None
    if n_x == n_y and len(np.unique(x * n_y + y)) == n_x and (n_x <= min(FEW, len(x) // 2) or _monotone(x, y)):
        return 1.0
    if col.is_text(a.type) or col.is_text(b.type):
        return _purity(x, y) if n_x == n_y <= FEW else None
    return float(min(abs(np.corrcoef(x, y)[0, 1]), np.nextafter(1.0, 0.0)))


def _ranked(column: pa.ChunkedArray) -> Ranks:
    """Dense ranks from 0: equal values share one, in ascending order."""
    if col.is_text(column.type):
        try:
            values: npt.NDArray[np.generic] = col.floats(column, "")
        except DataError:
            codes = column.combine_chunks().dictionary_encode()
            words = np.asarray(codes.dictionary.to_pylist(), dtype=object)
            order = np.argsort(words)
            place = np.empty(len(words))
            place[order] = np.arange(len(words))
            return place[codes.indices.to_numpy(zero_copy_only=False)]
    else:
        values = col.floats(column, "")
    return np.unique(values, return_inverse=True)[1].astype(np.float64)


def _monotone(x: Ranks, y: Ranks) -> bool:
    """True where the ranks are equal or reversed: columns of all-distinct values pair off one to one whatever they hold."""
    return bool((x == y).all() or (x == y.max() - y).all())


def _purity(x: Ranks, y: Ranks) -> float:
    """Share of rows that the best relabelling of x as y explains, below 1."""
    pairs, counts = np.unique(np.stack([x, y], axis=1), axis=0, return_counts=True)
    best: dict[float, int] = {}
    for (key, _), n in zip(pairs, counts, strict=True):
        best[float(key)] = max(best.get(float(key), 0), int(n))
    return float(min(sum(best.values()) / len(x), np.nextafter(1.0, 0.0)))
