"""Whether a column's type lets its cells be read as one kind of input at all, told before any cell is looked at."""

from __future__ import annotations

import pyarrow as pa

from sharewise.errors import DataError, Problem
from sharewise.tables import columns as col
from sharewise.tables.schema import InputKind

WORDS = (InputKind.CATEGORICAL, InputKind.TEXT, InputKind.ID)


def check(column: pa.ChunkedArray, name: str, kind: InputKind, remedy: str) -> None:
    """Raises DataError where every cell would be refused: lists, mappings or bytes for one value, one value for a
    vector."""
    if kind in WORDS and (pa.types.is_nested(column.type) or _is_bytes(column)):
        what = "lists" if col.is_list(column.type) else "records" if pa.types.is_nested(column.type) else "bytes"
        rule = f"An input of kind {kind.value} holds one value a row"
        raise DataError(Problem(rule, f"the column holds {what} ({column.type})", remedy, column=name))
    if kind is InputKind.EMBEDDING and not col.is_list(column.type):
        rule = "An embedding is a list of numbers, of one length in every row"
        raise DataError(Problem(rule, f"the column is of type {column.type}", remedy, column=name))


def check_target(column: pa.ChunkedArray, name: str) -> None:
    """Raises DataError for a target whose cells are neither a value nor a list of values."""
    inside = column.type.value_type if col.is_list(column.type) else column.type
    if pa.types.is_nested(inside) or _is_bytes(column):
        rule = "A target holds one value a row, or a list of labels or of tags"
        raise DataError(Problem(rule, f"the column is of type {column.type}", "Write it so", column=name))


def _is_bytes(column: pa.ChunkedArray) -> bool:
    """True for bytes that are no text; some writers of Parquet call text bytes."""
    if not col.is_bytes(column.type):
        return False
    try:
        column.cast(pa.large_binary()).cast(pa.large_string())
    except pa.ArrowInvalid:
        return True
    return False
