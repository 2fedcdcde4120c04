"""One reader a file format, whole and in pieces; every failure becomes a sentence with file, line and column."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from sharewise.errors import DataError, Problem
from sharewise.tables.delimited import csv_pieces, read_csv
from sharewise.tables.formats import file_format, first_line, open_text, unreadable

BUFFER = 1 << 20
JSON_LINES_PER_PIECE = 65_536


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
            return read_csv(path)


def stream_file(path: str, columns: Sequence[str] | None, size: int) -> Iterator[pa.Table]:
    """One file in pieces of `size` rows."""
    match file_format(path):
        case "parquet":
            with _parquet(path) as file:
                names = _present(file.schema_arrow.names, columns)
                yield from _rechunk(_guarded(path, _parquet_pieces(file, names, size)), names, size)
        case "arrow":
            yield from _rechunk(_guarded(path, _arrow_pieces(path)), columns, size)
        case "jsonl":
            yield from _rechunk(_guarded(path, _json_pieces(path)), columns, size)
        case _:
            yield from _rechunk(csv_pieces(path), columns, size)


def concatenate(parts: Sequence[pa.Table], paths: Sequence[str]) -> pa.Table:
    """Files of one table, one below the other; columns that a file lacks are missing there."""
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            Problem(
                "The files of one table must agree on their columns' types",
                f"{paths[0]} and the files after it do not ({first_line(error)})",
                "Write them with one schema",
            )
        ) from None


def _guard(path: str, action: Any) -> pa.Table:
    try:
        return action()
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unreadable(path, error) from None


def _guarded(path: str, pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
    try:
        yield from pieces
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from None


# --- Parquet and Arrow ------------------------------------------------------------------------------------


def _parquet(path: str) -> Any:
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=BUFFER)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from None


def _by_row_group(file: Any, names: list[str] | None) -> pa.Table:
    """One row group after the other: read at once, Arrow holds the compressed file beside the table."""
    if file.num_row_groups < 2:
        return file.read(columns=names)
    return pa.concat_tables([file.read_row_group(i, columns=names) for i in range(file.num_row_groups)])


def _parquet_pieces(file: Any, names: list[str] | None, size: int) -> Iterator[pa.Table]:
    """Row group by row group: asked for all of them, Arrow reads far ahead and holds most of the file."""
    for i in range(file.num_row_groups):
        for batch in file.iter_batches(size, row_groups=[i], columns=names):
            yield pa.Table.from_batches([batch])


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

    with open_text(path) as stream:
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
            if "\\ud" in line.lower() and (half := _half(row)):
                rule, remedy = "Text is whole Unicode characters", "Write the line again as UTF-8"
                return Problem(rule, f"this line holds half of one ({half})", remedy, file=path, line=number)
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
        f"reading it failed ({first_line(error)})",
        "Write it again",
        file=path,
    )


def _half(value: object) -> str | None:
    """The first surrogate without its other half in a JSON value, as an escape."""
    import json

    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        return f"\\u{ord(error.object[error.start]):04x}"
    return None


def _json_kind(value: object) -> str | None:
    if value is None:
        return None
    for kind, name in ((bool, "boolean"), ((int, float), "number"), (str, "text"), (list, "list")):
        if isinstance(value, kind):
            return name
    return "object"


def _json_pieces(path: str) -> Iterator[pa.Table]:
    import pyarrow.json as pj

    with open_text(path) as stream:
        while lines := list(itertools.islice(stream, JSON_LINES_PER_PIECE)):
            data = "".join(lines).encode()
            if data.strip():
                try:
                    yield pj.read_json(io.BytesIO(data), read_options=pj.ReadOptions(block_size=len(data) + 1))
                except pa.ArrowInvalid as error:
                    raise DataError(_json_problem(path, error)) from None


# --- pieces ---------------------------------------------------------------------------------------------


def _present(names: Sequence[str], columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else [c for c in columns if c in names]


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
