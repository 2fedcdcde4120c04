"""One reader a file format, whole and in pieces; every failure becomes a sentence with file, line and column."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from sharewise.errors import DataError, Problem

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
"""File format by suffix; CSV and JSON Lines may be compressed (`.csv.gz`)."""

MISSING = ["", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL"]
"""Cells of a CSV that mean "no value"."""

SHOWN_ROWS = 5
BUFFER = 1 << 20
JSON_LINES_PER_PIECE = 65_536


def file_format(path: str) -> str | None:
    """The format that a file's suffix stands for, or None."""
    suffixes = Path(path).suffixes
    if suffixes and suffixes[-1] in (".gz", ".bz2", ".zst"):
        suffixes.pop()
    return FORMATS.get(suffixes[-1].lower()) if suffixes else None


def read_file(path: str, columns: Sequence[str] | None) -> pa.Table:
    """One file as an Arrow table; `columns` are a hint that spares memory where the format allows it."""
    match file_format(path):
        case "parquet":
            with _parquet(path) as file:
                return _guard(path, lambda: _by_row_group(file, _present(file.schema_arrow.names, columns)))
        case "arrow":
            return _guard(path, lambda: _arrow_reader(path).read_all())
        case "jsonl":
            return _guard(path, lambda: _read_json(path))
        case _:
            return _read_csv(path)


def stream_file(path: str, columns: Sequence[str] | None, size: int) -> Iterator[pa.Table]:
    """One file in pieces of `size` rows."""
    match file_format(path):
        case "parquet":
            with _parquet(path) as file:
                names = _present(file.schema_arrow.names, columns)
                yield from _guarded(path, (pa.Table.from_batches([b]) for b in file.iter_batches(size, columns=names)))
        case "arrow":
            yield from _rechunk(_guarded(path, _arrow_pieces(path)), columns, size)
        case "jsonl":
            yield from _rechunk(_guarded(path, _json_pieces(path)), columns, size)
        case _:
            yield from _rechunk(_csv_pieces(path), columns, size)


def concatenate(parts: Sequence[pa.Table], paths: Sequence[str]) -> pa.Table:
    """Files of one table, one below the other; columns that a file lacks are missing there."""
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            Problem(
                "The files of one table must agree on their columns' types",
                f"{paths[0]} and the files after it do not ({_line(error)})",
                "Write them with one schema",
            )
        ) from None


def _present(names: Sequence[str], columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else [c for c in columns if c in names]


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


def _unreadable(path: str, error: BaseException) -> DataError:
    kind = {"parquet": "Parquet file", "arrow": "Arrow file", "jsonl": "JSON Lines file"}.get(
        str(file_format(path)), "CSV"
    )
    return DataError(
        Problem(
            f"A {kind} must be whole and readable",
            f"reading it failed ({_line(error)})",
            "Write or copy the file again",
            file=path,
        )
    )


def _guard(path: str, action: Any) -> pa.Table:
    try:
        return action()
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _guarded(path: str, pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
    try:
        yield from pieces
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


# --- Parquet and Arrow ------------------------------------------------------------------------------------


def _parquet(path: str) -> Any:
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=BUFFER)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _by_row_group(file: Any, names: list[str] | None) -> pa.Table:
    """One row group after the other: read at once, Arrow holds the compressed file beside the table."""
    if file.num_row_groups < 2:
        return file.read(columns=names)
    return pa.concat_tables([file.read_row_group(i, columns=names) for i in range(file.num_row_groups)])


def _arrow_reader(path: str) -> Any:
    source = pa.memory_map(path)
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)


def _arrow_pieces(path: str) -> Iterator[pa.Table]:
    reader = _arrow_reader(path)
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        for i in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(i)])
    else:
        for batch in reader:
            yield pa.Table.from_batches([batch])


# --- JSON Lines -------------------------------------------------------------------------------------------


def _read_json(path: str) -> pa.Table:
    import pyarrow.json as pj

    with pa.input_stream(path) as stream:
        size = 1 << 24
        try:
            return pj.read_json(stream, read_options=pj.ReadOptions(block_size=size))
        except pa.ArrowInvalid as error:
            raise DataError(_json_problem(path, error)) from None


def _json_problem(path: str, error: BaseException) -> Problem:
    """Arrow counts JSON rows from 0 within a block, so the file is walked again to name the line."""
    import json

    with _text(path) as stream:
        types: dict[str, tuple[str, int]] = {}
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as fault:
                return Problem(
                    "A line must be one JSON object", f"it is not ({fault})", "Correct the line", file=path, line=number
                )
            if not isinstance(row, dict):
                return Problem(
                    "A line must be one JSON object",
                    f"it is a {type(row).__name__}",
                    "Correct the line",
                    file=path,
                    line=number,
                )
            for key, value in row.items():
                kind = _json_kind(value)
                if kind is None:
                    continue
                first, where = types.setdefault(key, (kind, number))
                if first != kind:
                    return Problem(
                        "A column must hold one type of value",
                        f"'{value}' is a {kind}, while line {where} holds a {first}",
                        "Write the column with one type",
                        file=path,
                        line=number,
                        column=key,
                    )
    return Problem(
        "A JSON Lines file must be whole and readable",
        f"reading it failed ({_line(error)})",
        "Write it again",
        file=path,
    )


def _json_kind(value: object) -> str | None:
    if value is None:
        return None
    for kind, name in ((bool, "boolean"), ((int, float), "number"), (str, "text"), (list, "list")):
        if isinstance(value, kind):
            return name
    return "object"


def _json_pieces(path: str) -> Iterator[pa.Table]:
    import pyarrow.json as pj

    with _text(path) as stream:
        while lines := list(itertools.islice(stream, JSON_LINES_PER_PIECE)):
            data = "".join(lines).encode()
            if data.strip():
                yield pj.read_json(io.BytesIO(data), read_options=pj.ReadOptions(block_size=len(data) + 1))


# --- CSV --------------------------------------------------------------------------------------------------


def _text(path: str) -> io.TextIOWrapper:
    if path.endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8-sig", errors="replace", newline="")
    return open(path, encoding="utf-8-sig", errors="replace", newline="")


def _delimiter(path: str) -> str:
    """Tab for .tsv; otherwise whichever of comma, semicolon and tab occurs most in the header line."""
    if ".tsv" in path.lower():
        return "\t"
    try:
        with pa.input_stream(path) as stream:
            header = stream.read(1 << 16).decode("utf-8", errors="replace").partition("\n")[0]
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None
    return max(",;\t", key=header.count)


def _csv_options(path: str) -> tuple[Any, Any]:
    import pyarrow.csv as pc

    parse = pc.ParseOptions(delimiter=_delimiter(path), newlines_in_values=True)
    convert = pc.ConvertOptions(null_values=MISSING, strings_can_be_null=True)
    return parse, convert


def _read_csv(path: str) -> pa.Table:
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
        raise DataError(
            [
                Problem(
                    "A CSV must be encoded in UTF-8",
                    "this column is not",
                    "Save the file again as UTF-8",
                    file=path,
                    column=name,
                )
                for name in odd
            ]
        )


def _csv_error(path: str, delimiter: str, error: BaseException) -> DataError:
    """Every ragged row (the first few of them) with its line; Arrow itself names only the first."""
    if "Empty CSV" in str(error):
        return DataError(
            Problem("A table must have a header and rows", "the file is empty", "Check the export", file=path)
        )
    found: list[Problem] = []
    n_ragged = 0
    try:
        with _text(path) as stream:
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
        return _unreadable(path, error)
    if not found:
        return _unreadable(path, error)
    if n_ragged > len(found):
        last = found[-1]
        found[-1] = Problem(
            last.rule, f"{last.fact} ({n_ragged} such rows in all)", last.remedy, file=path, line=last.line
        )
    return DataError(found)


def _csv_pieces(path: str) -> Iterator[pa.Table]:
    import pyarrow.csv as pc

    parse, _ = _csv_options(path)
    try:
        with _text(path) as stream:
            names = next(csv.reader(stream, delimiter=parse.delimiter), [])
        convert = pc.ConvertOptions(
            null_values=MISSING, strings_can_be_null=True, column_types=dict.fromkeys(names, pa.string())
        )
        with pc.open_csv(path, parse_options=parse, convert_options=convert) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as error:
        raise _csv_error(path, parse.delimiter, error) from None


def _rechunk(pieces: Iterator[pa.Table], columns: Sequence[str] | None, size: int) -> Iterator[pa.Table]:
    """Pieces of any length as pieces of `size` rows."""
    held: list[pa.Table] = []
    n_held = 0
    for piece in pieces:
        names = _present(piece.column_names, columns)
        held.append(piece if names is None else piece.select(names))
        n_held += piece.num_rows
        if n_held < size:
            continue
        joined = pa.concat_tables(held, promote_options="permissive")
        full = n_held - n_held % size
        for start in range(0, full, size):
            yield joined.slice(start, size)
        held, n_held = ([joined.slice(full)], n_held - full) if full < n_held else ([], 0)
    if n_held:
        yield pa.concat_tables(held, promote_options="permissive")
