"""Arrow columns as numpy arrays: numbers, canonical text, fixed-size vectors; missing values become nan or null."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.errors import DataError, Problem
from sharewise.tasks import Label

Floats = npt.NDArray[np.float64]
EPOCH_UNIT = "us"
DATE_TYPES = (pa.timestamp(EPOCH_UNIT), pa.timestamp(EPOCH_UNIT, tz="UTC"))


def is_text(kind: pa.DataType) -> bool:
    """True for string columns of any width."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_number(kind: pa.DataType) -> bool:
    """True for integers and floats."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_date(kind: pa.DataType) -> bool:
    """True for dates and timestamps."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def is_list(kind: pa.DataType) -> bool:
    """True for lists of any kind of length."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_scalar(kind: pa.DataType) -> bool:
    """True for types with one plain value in a row: no list, no bytes, nothing nested."""
    return not (is_list(kind) or pa.types.is_nested(kind) or is_bytes(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """True for bytes of any or of one length."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def floats(column: pa.ChunkedArray, name: str) -> Floats:
    """A column of numbers, booleans, dates (seconds since 1970) or numeric text as float64, nan where missing.

    Raises DataError with the first row that holds no number.
    """
    out = np.empty(len(column), dtype=np.float64)
    at = 0
    for chunk in column.chunks:
        out[at : at + len(chunk)] = _chunk_floats(chunk, name, at)
        at += len(chunk)
    return out


def _chunk_floats(chunk: pa.Array, name: str, offset: int) -> npt.NDArray[Any]:
    kind = chunk.type
    if pa.types.is_null(kind):
        return np.full(len(chunk), np.nan)
    if is_text(kind):
        return _parse(chunk, name, offset)
    if pa.types.is_boolean(kind):
        chunk = chunk.cast(pa.int8())
    elif pa.types.is_duration(kind):
        chunk = pc.divide(chunk.cast(pa.duration(EPOCH_UNIT)).cast(pa.int64()).cast(pa.float64()), 1e6)
    elif is_date(kind):
        chunk = chunk.cast(pa.timestamp(EPOCH_UNIT)) if not pa.types.is_timestamp(kind) else chunk
        stamps = chunk.cast(pa.timestamp(EPOCH_UNIT, tz=chunk.type.tz), safe=False).cast(pa.int64())
        chunk = pc.divide(stamps.cast(pa.float64()), 1e6)
    elif not is_number(kind):
        raise DataError(
            Problem("A number was expected", f"the column holds {kind}", "Give it another kind", column=name)
        )
    if chunk.null_count:
        return pc.fill_null(chunk.cast(pa.float64(), safe=False), np.nan).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    return chunk.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _parse(chunk: pa.Array, name: str, offset: int) -> npt.NDArray[Any]:
    """Numeric text as float64; an empty cell is missing."""
    trimmed = pc.utf8_trim_whitespace(chunk)
    trimmed = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    try:
        numbers = trimmed.cast(pa.float64())
    except pa.ArrowInvalid:
        odd = first_odd(trimmed, parses_as_number)
        row, value = odd if odd is not None else (0, "")
        words = {"true": 1.0, "false": 0.0}
        lowered = pc.utf8_lower(trimmed)
        if all(v is None or v in words for v in pc.unique(lowered).to_pylist()):
            return np.array([np.nan if v is None else words[v] for v in lowered.to_pylist()])
        raise DataError(
            Problem(
                "A numeric column must hold numbers",
                f"the value is '{_short(value)}'",
                "Correct the cell, leave it empty, or declare the column categorical",
                column=name,
                row=offset + row + 1,
            )
        ) from None
    return pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _short(value: object, length: int = 40) -> str:
    text = str(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def parses_as_number(value: str) -> bool:
    """True where Arrow's number parser takes the text."""
    try:
        pa.scalar(value).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def parses_as_date(value: str) -> bool:
    """True where the text is an ISO 8601 date or date and time, with or without a time zone."""
    for kind in DATE_TYPES:
        try:
            pa.scalar(value).cast(kind)
        except pa.ArrowInvalid:
            continue
        return True
    return False


def first_odd(chunk: pa.Array | pa.ChunkedArray, parses: Any) -> tuple[int, str] | None:
    """Row (from 0) and text of the first value that `parses` refuses, or None."""
    for row, value in enumerate(chunk.to_pylist()):
        if value is not None and not parses(value):
            return row, value
    return None


def dates(column: pa.ChunkedArray, name: str) -> Floats:
    """A column of dates, or of ISO 8601 text, as seconds since 1970 (UTC), nan where missing.

    Raises DataError with the first row that holds no such date, or that differs from the first in having a time zone.
    """
    if not is_text(column.type):
        return floats(column, name)
    trimmed = pc.utf8_trim_whitespace(column)
    trimmed = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    for kind in DATE_TYPES:
        try:
            return floats(trimmed.cast(kind), name)
        except pa.ArrowInvalid:
            continue
    row, value = first_odd(trimmed, parses_as_date) or _other_zone(trimmed)
    raise DataError(
        Problem(
            "A datetime column must hold ISO 8601 dates such as 2024-05-31, all with a time zone or all without",
            f"the value is '{_short(value)}'",
            "Write every date in this one form, or declare the column categorical",
            column=name,
            row=row + 1,
        )
    )


def _other_zone(column: pa.ChunkedArray) -> tuple[int, str]:
    """The first date that has a time zone where the first of all has none, or the other way round."""
    values = [(row, v) for row, v in enumerate(column.to_pylist()) if v is not None]

    def zoned(value: str) -> bool:
        try:
            pa.scalar(value).cast(DATE_TYPES[0])
        except pa.ArrowInvalid:
            return True
        return False

    first = zoned(values[0][1])
    return next((row, v) for row, v in values if zoned(v) is not first)


def text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as canonical text, null where missing: 1 and 1.0 are both "1", true is "true"."""
    kind = column.type
    if is_text(kind):
        return column if pa.types.is_string(kind) else column.cast(pa.string())
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
    return column.cast(pa.string())


def canonical(value: Label | None) -> str:
    """One label in the text form that `text` gives its column."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(text(pa.chunked_array([pa.array([value])]))[0].as_py())
    return str(value)


def codes(column: pa.ChunkedArray, levels: list[str], *, numeric: bool) -> npt.NDArray[np.int64]:
    """Position of every value in `levels`, -1 where it is missing or not among them.

    `numeric` says that the levels came from numbers: text that is not itself a level, such as "01" or "1.0", is
    then read as the number 1.
    """
    known = pa.array(levels, type=pa.string())
    found = pc.index_in(text(column), value_set=known)
    if numeric and is_text(column.type):
        unique = pc.unique(column)
        meant = pa.array([None if v is None else _renumber(v) for v in unique.to_pylist()], type=pa.string())
        by_value = pc.index_in(meant, value_set=known)
        found = pc.coalesce(found, pc.take(by_value, pc.index_in(column, value_set=unique)))
    return pc.fill_null(found, -1).combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]


def _renumber(value: str) -> str:
    stripped = value.strip()
    if stripped.lower() in ("true", "false"):
        return stripped.lower()
    return canonical(float(stripped)) if parses_as_number(stripped) else value


def vectors(column: pa.ChunkedArray, name: str, width: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """A list column of constant length as (N, width) in its own number type, zeros where missing, and who is present.

    Raises DataError with the first row of another length.
    """
    present = column.is_valid().combine_chunks().to_numpy(zero_copy_only=False)
    value_type = column.type.value_type
    out = np.zeros((len(column), width), dtype=np.uint8 if value_type == pa.uint8() else np.float64)
    at = 0
    for chunk in column.chunks:
        rows = np.flatnonzero(present[at : at + len(chunk)])
        if len(rows) == 0:
            at += len(chunk)
            continue
        lengths = pc.list_value_length(chunk)
        odd = np.flatnonzero(pc.fill_null(pc.not_equal(lengths, width), False).to_numpy(zero_copy_only=False))
        if len(odd):
            raise DataError(
                Problem(
                    "The vectors of an embedding column must have one length",
                    f"this one has {lengths[odd[0]].as_py()} values and not {width}",
                    "Correct the row",
                    column=name,
                    row=at + int(odd[0]) + 1,
                )
            )
        flat = pc.list_flatten(chunk)
        if is_text(flat.type) or not (is_number(flat.type) or pa.types.is_boolean(flat.type)):
            raise DataError(Problem("An embedding must hold numbers", f"the lists hold {flat.type}", column=name))
        values = (
            _chunk_floats(flat, name, at)
            if out.dtype == np.float64
            else pc.fill_null(flat, 0).to_numpy(zero_copy_only=False)
        )
        out[at + rows] = values.reshape(len(rows), width)
        at += len(chunk)
    return out, present


def as_stored(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """The column as of type `kind` where it holds no value at all, or bytes of just the length that `kind` has;
    else as it is."""
    if column.type == kind:
        return column
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), kind)])
    loose = pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)
    if loose and pa.types.is_fixed_size_binary(kind):
        odd = pc.any(pc.not_equal(pc.binary_length(column), kind.byte_width)).as_py()
        return column if odd else column.cast(kind)
    return column


def list_width(column: pa.ChunkedArray) -> int | None:
    """The one length that all lists of a column have, or None where they differ or hold nothing."""
    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    lengths = pc.unique(pc.list_value_length(column).drop_null()).to_pylist()
    return int(lengths[0]) if len(lengths) == 1 and lengths[0] else None


def distinct(column: pa.ChunkedArray) -> list[Label]:
    """The distinct values of a column in ascending order, missing ones left out; whole floats become integers."""
    values = pc.unique(column).to_pylist()
    found = {_whole(v) for v in values if v is not None and v == v}
    return sorted(found, key=lambda v: (isinstance(v, str), v))


def _whole(value: Any) -> Label:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str | int | float):
        return value
    return str(value)
