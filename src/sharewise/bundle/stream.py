"""A table of any size through a bundle, piece by piece, into a file that appears whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa

from sharewise.batch import Inputs
from sharewise.bundle.answerer import Array
from sharewise.bundle.answers import Question
from sharewise.bundle.load import Bundle
from sharewise.errors import DataError, Problem, UserError
from sharewise.models.reading import unread, unread_said
from sharewise.tables.formats import FORMATS, file_format
from sharewise.tables.read import Table, iter_batches

PIECE = 16_384
"""Rows that are read, answered and written at a time."""

_OUTPUTS = ("csv", "parquet", "jsonl", "arrow")


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> Any:
        """Append rows."""

    def close(self) -> None:
        """Finish the file."""


def predict_file(
    bundle: Bundle,
    source: str,
    output: Path,
    tasks: Sequence[str] | None = None,
    advance: Callable[[int], None] = lambda n: None,
    tell: Callable[[str], None] = lambda text: None,
) -> int:
    """Write the answer to every task and its class probabilities for each row of `source`, after the study's id where
    the table has it; returns rows.

    Formats are known by suffix: Parquet, CSV, JSON Lines, Arrow. The next piece is read and encoded, and the last one
    written, while a piece is answered, so that memory holds a few pieces of 16,384 rows. `tell` hears of pictures that
    count as missing because they cannot be read. Raises DataError where the table lacks an input, holds what an input
    must not (with its column and row), or the output cannot be written.
    """
    asked, names, kind = _checked(bundle, source, output, tasks)
    row_id = bundle.codec.schema.row_id
    wanted = [*([row_id] if row_id in names else []), *bundle.columns(asked)]
    taken = set(names) - {row_id}
    n_rows = 0
    gone: dict[str, list[Array]] = {}
    with _whole(output) as stream, ThreadPoolExecutor(2) as pool:
        writer: _Writer | None = None
        schema: pa.Schema | None = None
        written: Future[Any] | None = None
        for piece, inputs in _ahead(pool, _encoded(bundle, asked, iter_batches(source, wanted, PIECE))):
            answer = bundle.answer_table(piece, inputs, asked, taken, proba=True)
            answer = _flat(answer) if kind == "csv" else answer
            if writer is None or schema is None:
                schema = _settled(answer.schema)
                writer = _writer(stream, kind, schema, output)
            for name, rows in unread(bundle.codec, piece, inputs).items():
                gone.setdefault(name, []).append(rows)
            if written is not None:
                written.result()
            written = pool.submit(writer.write_table, answer.cast(schema))
            n_rows += answer.num_rows
            advance(answer.num_rows)
        if written is not None:
            written.result()
        if writer is None:
            raise _no_rows(source)
        writer.close()
    for name, found in gone.items():
        tell(unread_said(name, np.concatenate(found)))
    return n_rows


def _checked(
    bundle: Bundle, source: str, output: Path, tasks: Sequence[str] | None
) -> tuple[list[Question], tuple[str, ...], str]:
    """What is asked, the table's column names, and the output's format; everything wrong is reported at once."""
    problems: list[Problem] = []
    kind = file_format(str(output))
    if kind not in _OUTPUTS:
        known = ", ".join(FORMATS)
        problems.append(Problem("An output's format is known by its suffix", f"'{output}' has none", f"Use {known}"))
    if not output.parent.is_dir():
        problems.append(Problem("The output's folder must exist", f"there is no '{output.parent}'", "Create it"))
    if output.is_dir():
        problems.append(Problem("The output is one file", f"'{output}' is a folder", "Name a file in it"))
    asked: list[Question] = []
    names: tuple[str, ...] = ()
    try:
        asked = bundle.asked(tasks)
    except UserError as error:
        problems += error.problems
    try:
        first = next(iter_batches(source, None, 1), None)
        if first is None:
            raise _no_rows(source)
        names = first.names
        bundle.check_columns(names, asked, f"'{source}'")
    except UserError as error:
        problems += error.problems
    if problems or kind is None:
        raise DataError(problems)
    return asked, names, kind


def _no_rows(source: str) -> DataError:
    return DataError(Problem("A table must have rows", f"'{source}' has none", "Check the export"))


# --- reading ----------------------------------------------------------------------------------------------


def _encoded(
    bundle: Bundle, asked: Sequence[Question], pieces: Iterator[Table]
) -> Iterator[tuple[Table, Inputs[Array]]]:
    """Pieces, and the same as the models read them."""
    return ((piece, bundle.encode(piece, asked)) for piece in pieces)


def _ahead(pool: ThreadPoolExecutor, items: Iterator[Any]) -> Iterator[Any]:
    """The same items, the next one always under way."""
    coming = pool.submit(next, items, None)
    while (item := coming.result()) is not None:
        coming = pool.submit(next, items, None)
        yield item


# --- writing ----------------------------------------------------------------------------------------------


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A stream to a file beside `path` that takes its place at the end; on any failure nothing is left."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.partial-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        # A compressed stream closes the file below it, so the file is opened again to be flushed to disk.
        with open(temporary, "rb") as done:
            os.fsync(done.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        fact = f"writing '{path}' failed ({error.strerror or error})"
        remedy = "Free some space, or name another place, and run the same command again"
        raise DataError(Problem("The output needs a disk that takes it", fact, remedy)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _settled(schema: pa.Schema) -> pa.Schema:
    """The types of the whole file: a column without a value so far is text."""
    return pa.schema([f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in schema])


def _writer(stream: BinaryIO, kind: str, schema: pa.Schema, path: Path) -> _Writer:
    sink: Any = pa.CompressedOutputStream(stream, "gzip") if path.suffix == ".gz" else stream
    match kind:
        case "parquet":
            import pyarrow.parquet as pq

            parquet: _Writer = pq.ParquetWriter(sink, schema, compression="zstd")
            return parquet
        case "arrow":
            arrow: _Writer = pa.ipc.new_file(sink, schema)
            return arrow
        case "jsonl":
            return _JsonLines(sink)
    import pyarrow.csv as pc

    delimiter = "\t" if ".tsv" in path.suffixes else ","
    return _Csv(
        pc.CSVWriter(sink, schema, write_options=pc.WriteOptions(delimiter=delimiter, quoting_style="needed")), sink
    )


class _JsonLines:
    """One object a line."""

    def __init__(self, sink: Any) -> None:
        self.sink = sink

    def write_table(self, table: pa.Table) -> None:
        """Append rows."""
        lines = [json.dumps(row, ensure_ascii=False, default=str) for row in table.to_pylist()]
        self.sink.write(("\n".join(lines) + "\n").encode())

    def close(self) -> None:
        """Finish a compressed stream; a plain one is closed by its owner."""
        if isinstance(self.sink, pa.CompressedOutputStream):
            self.sink.close()


class _Csv:
    """Arrow's writer, and the compressed stream below it."""

    def __init__(self, writer: Any, sink: Any) -> None:
        self.writer, self.sink = writer, sink

    def write_table(self, table: pa.Table) -> None:
        """Append rows."""
        self.writer.write_table(table)

    def close(self) -> None:
        """Finish the rows, then a compressed stream."""
        self.writer.close()
        if isinstance(self.sink, pa.CompressedOutputStream):
            self.sink.close()


def _flat(table: pa.Table) -> pa.Table:
    """Lists as JSON text, which a CSV can hold; probabilities in as many digits as they have."""
    for i, field in enumerate(table.schema):
        if not pa.types.is_list(field.type):
            continue
        if pa.types.is_floating(field.type.value_type):
            digits = table.column(i).cast(pa.list_(pa.string())).to_pylist()
            text = [None if v is None else f"[{', '.join(v)}]" for v in digits]
        else:
            text = [None if v is None else json.dumps(v, ensure_ascii=False) for v in table.column(i).to_pylist()]
        table = table.set_column(i, field.name, pa.array(text, pa.string()))
    return table
