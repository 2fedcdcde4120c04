"""CSV and TSV, whole and in pieces; ragged rows are named with their lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from sharewise.errors import DataError, Problem
from sharewise.tables.formats import open_text, unreadable

MISSING = ["", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL"]
"""Cells of a CSV that mean "no value"."""

SHOWN_ROWS = 5
UTF8 = "A CSV must be encoded in UTF-8"


def _delimiter(path: str) -> str:
    """Tab for .tsv; otherwise whichever of comma, semicolon and tab occurs most in the header line."""
    if ".tsv" in path.lower():
        return "\t"
    try:
        with pa.input_stream(path) as stream:
            header = stream.read(1 << 16).decode("utf-8", errors="replace").partition("\n")[0]
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from None
    return max(",;\t", key=header.count)


def _csv_options(path: str) -> tuple[Any, Any]:
    import pyarrow.csv as pc

    parse = pc.ParseOptions(delimiter=_delimiter(path), newlines_in_values=True)
    convert = pc.ConvertOptions(null_values=MISSING, strings_can_be_null=True)
    return parse, convert


def read_csv(path: str) -> pa.Table:
    import pyarrow.csv as pc

    parse, convert = _csv_options(path)
    try:
        table = pc.read_csv(path, parse_options=parse, convert_options=convert)
    except (pa.ArrowException, OSError) as error:
        raise _csv_error(path, parse.delimiter, error) from None
    _refuse_bytes(path, table.schema)
    return table


def _refuse_bytes(path: str, schema: pa.Schema) -> None:
    """Arrow gives a column that is not UTF-8 the type binary."""
    odd = [f.name for f in schema if pa.types.is_binary(f.type)]
    if odd:
        raise DataError(_not_utf8(path, odd[0] if len(odd) == 1 else None))


def _not_utf8(path: str, column: str | None = None) -> list[Problem]:
    """The first lines that are not UTF-8."""
    made: list[Problem] = []
    n_lines = 0
    with pa.input_stream(path) as stream, io.BufferedReader(stream) as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                n_lines += 1
                if len(made) < SHOWN_ROWS:
                    fact = f"this line is not, from its byte {error.start + 1} on (0x{line[error.start]:02x})"
                    made.append(
                        Problem(UTF8, fact, "Save the file again as UTF-8", file=path, line=number, column=column)
                    )
    if n_lines > len(made):
        made[-1] = replace(made[-1], fact=f"{made[-1].fact} ({n_lines} such lines in all)")
    return made


def _csv_error(path: str, delimiter: str, error: BaseException) -> DataError:
    """Every ragged row (the first few of them) with its line; Arrow itself names only the first."""
    if "Empty CSV" in str(error):
        return DataError(
            Problem("A table must have a header and rows", "the file is empty", "Check the export", file=path)
        )
    if "invalid UTF8" in str(error) and (wrong := _not_utf8(path)):
        return DataError(wrong)
    found: list[Problem] = []
    n_ragged = 0
    try:
        with open_text(path) as stream:
            rows = csv.reader(stream, delimiter=delimiter)
            width = len(next(rows, []))
            end = rows.line_num
            for row in rows:
                start, end = end + 1, rows.line_num
                if row and len(row) != width:
                    n_ragged += 1
                    if len(found) < SHOWN_ROWS:
                        fact = f"the header has {width} and this row has {len(row)}"
                        found.append(
                            Problem(
                                "Every row of a CSV must have as many cells as its header",
                                fact,
                                "Quote cells that contain the delimiter, or correct the row",
                                file=path,
                                line=start,
                            )
                        )
    except (csv.Error, OSError):
        return unreadable(path, error)
    if not found:
        return unreadable(path, error)
    if n_ragged > len(found):
        last = found[-1]
        found[-1] = Problem(
            last.rule, f"{last.fact} ({n_ragged} such rows in all)", last.remedy, file=path, line=last.line
        )
    return DataError(found)


def csv_pieces(path: str) -> Iterator[pa.Table]:
    import pyarrow.csv as pc

    parse, _ = _csv_options(path)
    try:
        with open_text(path) as stream:
            names = next(csv.reader(stream, delimiter=parse.delimiter), [])
        convert = pc.ConvertOptions(
            null_values=MISSING, strings_can_be_null=True, column_types=dict.fromkeys(names, pa.string())
        )
        with pc.open_csv(path, parse_options=parse, convert_options=convert) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as error:
        raise _csv_error(path, parse.delimiter, error) from None
