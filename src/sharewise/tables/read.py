"""Tables from files and from memory: CSV, Parquet, JSON Lines, Arrow, and pandas, polars or pyarrow tables."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.errors import DataError, Problem, nearest
from sharewise.tables import files
from sharewise.tables.formats import FORMATS, file_format

Source: TypeAlias = Any
"""A path (file, folder or glob), or a pandas, polars or pyarrow table; others are refused with a sentence."""

METADATA_KEY = b"mtl"


@dataclass(frozen=True)
class Table:
    """A table in memory and the name that messages use for it. A piece of a longer table knows how many rows of it
    come before, `first_row`, so that messages name the rows of the whole."""

    arrow: pa.Table
    name: str
    first_row: int = 0

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.arrow.num_rows)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(self.arrow.column_names)

    @cached_property
    def described(self) -> dict[str, Any]:
        """What the file says about its own inputs, tasks and roles (schema metadata `mtl`); empty without it."""
        raw = (self.arrow.schema.metadata or {}).get(METADATA_KEY)
        try:
            said = json.loads(raw) if raw is not None else {}
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}

    @cached_property
    def folder(self) -> Path:
        """Where relative paths in its cells start: its file's folder, the folder or pattern's fixed part that it was
        read from, or for a table in memory the working directory."""
        path = Path(self.name)
        while glob.has_magic(str(path)) or not path.exists():
            if path == path.parent:
                break
            path = path.parent
        return path if path.is_dir() else path.parent

    def column(self, name: str) -> pa.ChunkedArray:
        """One column; raises DataError that offers the nearest name."""
        if name not in self.names:
            raise DataError(self.no_column(name))
        return self.arrow.column(name)

    def with_column(self, name: str, column: pa.ChunkedArray) -> Table:
        """The table with another column in the place of the one of that name."""
        made = self.arrow.set_column(self.names.index(name), name, column)
        return Table(made, self.name, self.first_row)

    def no_column(self, name: str) -> Problem:
        """The problem that `name` is not a column of this table."""
        return Problem(
            "A column that is named must be in the table",
            f"{self.name} has no column '{name}'",
            nearest(name, self.names),
        )

    def take(self, indices: np.ndarray[Any, Any]) -> Table:
        """The rows at `indices`, in that order."""
        return Table(self.arrow.take(pa.array(indices)), self.name)

    def slice(self, start: int, length: int) -> Table:
        """`length` rows from `start`, without a copy."""
        return Table(self.arrow.slice(start, length), self.name, self.first_row + start)


def read(source: Source, columns: Sequence[str] | None = None) -> Table:
    """A table from a path, a glob, a folder, or a pandas, polars or pyarrow table.

    Cells that are empty, `NA`, `N/A`, `NaN`, `null` or `NULL` in a CSV are missing. Only `columns` are read where they
    are given. Raises DataError where a file does not exist, cannot be read, is ragged, or lacks a column.
    """
    if isinstance(source, str | Path):
        paths = _paths(str(source))
        parts = [_with_partition(files.read_file(path, columns), source, path) for path in paths]
        table = parts[0] if len(parts) == 1 else files.concatenate(parts, paths)
        name = str(source)
    else:
        table, name = _from_memory(source), "the table"
    if columns is not None:
        missing = [c for c in columns if c not in table.column_names]
        if missing:
            raise DataError([Table(table, name).no_column(c) for c in missing])
        table = table.select(list(columns))
    return _checked(table, name)


def iter_batches(source: Source, columns: Sequence[str] | None, size: int) -> Iterator[Table]:
    """The table in pieces of `size` rows (the last may be shorter), never more than a few pieces in memory.

    A CSV is read as text, cell by cell, because a type guessed from its first rows may not fit later ones; the codec
    turns text back into what it was fitted on. Columns that the source lacks are simply absent from the pieces.
    """
    if not isinstance(source, str | Path):
        whole = Table(_normal(_from_memory(source)), "the table")
        kept = whole.names if columns is None else [c for c in whole.names if c in columns]
        for start in range(0, whole.n_rows, size):
            yield Table(whole.arrow.select(kept).slice(start, size), whole.name, start)
        return
    for path in _paths(str(source)):
        done = 0
        for table in files.stream_file(path, columns, size):
            yield Table(_normal(_with_partition(table, source, path)), path, done)
            done += table.num_rows


def _paths(source: str) -> list[str]:
    """The files that a path, a glob or a folder stands for, sorted by name."""
    path = Path(source)
    if path.is_dir():
        found = sorted(str(p) for p in path.rglob("*") if p.is_file() and file_format(str(p)) and p.name[0] not in "._")
    elif path.exists():
        found = [source]
    elif glob.has_magic(source):
        found = sorted(p for p in glob.glob(source, recursive=True) if Path(p).is_file())
    else:
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, [n for n in beside if file_format(n)]) if beside else "Check the path."
        raise DataError(Problem("A table must exist", f"there is no file '{source}'", hint))
    if not found:
        raise DataError(
            Problem(
                "A folder or pattern must hold tables", f"'{source}' matches no file", f"Formats: {', '.join(FORMATS)}."
            )
        )
    kinds = {file_format(p) for p in found}
    if None in kinds:
        odd = next(p for p in found if file_format(p) is None)
        raise DataError(
            Problem(
                "A table's format is known by its suffix",
                f"'{odd}' has none that is known",
                f"Use {', '.join(FORMATS)}.",
            )
        )
    if len(kinds) > 1:
        raise DataError(
            Problem(
                "The files of one table must be of one format",
                f"'{source}' holds {', '.join(map(str, sorted(map(str, kinds))))}",
            )
        )
    return found


def _with_partition(table: pa.Table, source: str | Path, path: str) -> pa.Table:
    """The table with a text column for every folder called `key=value` between the source and the file."""
    if path == str(source):
        return table
    folders = Path(path).parent.parts
    for key, _, value in (folder.partition("=") for folder in folders if "=" in folder):
        if key not in table.column_names:
            table = table.append_column(key, pa.repeat(pa.scalar(value), table.num_rows))
    return table


def _from_memory(source: Any) -> pa.Table:
    if isinstance(source, Table):
        return source.arrow
    if isinstance(source, pa.Table):
        return source
    if isinstance(source, pa.RecordBatch):
        return pa.Table.from_batches([source])
    import narwhals

    try:
        frame = narwhals.from_native(source, eager_only=True)
    except TypeError:
        raise DataError(
            Problem(
                "A table is a path or a pandas, polars or pyarrow table",
                f"a {type(source).__name__} was given",
                "Convert it to one of these",
            )
        ) from None
    try:
        return frame.to_arrow()
    except UnicodeEncodeError as error:
        fact = f"one holds half of one (\\u{ord(error.object[error.start]):04x})"
        remedy = "Replace it, say with text.encode('utf-8', 'replace').decode()"
        raise DataError(Problem("Text is whole Unicode characters", fact, remedy, column=_not_text(frame))) from None
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        # The message ends "Conversion failed for column NAME with type object".
        text = " ".join(str(a) for a in error.args)
        _, _, tail = text.partition("column ")
        raise DataError(
            Problem(
                "A column must hold one type of value",
                f"its values are of mixed types ({error.args[0]})",
                "Convert the column to one type",
                column=tail.rpartition(" with type")[0] or None,
            )
        ) from None


def _not_text(frame: Any) -> str | None:
    """The first column of a frame that holds text which is no Unicode."""
    for name in frame.columns:
        try:
            frame.get_column(name).to_arrow()
        except UnicodeEncodeError:
            return str(name)
    return None


def _checked(table: pa.Table, name: str) -> Table:
    """The table with plain column types; raises DataError where it is empty or a name occurs twice."""
    problems = [
        Problem("Column names must be unique", f"'{column}' occurs {n} times in {name}", "Rename one of them")
        for column, n in _counts(table.column_names).items()
        if n > 1
    ]
    if table.num_rows == 0 or table.num_columns == 0:
        problems.append(
            Problem(
                "A table must have rows",
                f"{name} has {table.num_rows} rows and {table.num_columns} columns",
                "Check the export",
            )
        )
    if problems:
        raise DataError(problems)
    return Table(_normal(table), name)


def _counts(names: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _normal(table: pa.Table) -> pa.Table:
    """Columns in the few types that the other modules read (dictionaries decoded, decimals as double, and so on), and
    missing values in the one form they know: not-a-number and empty text become null."""
    for i, field in enumerate(table.schema):
        wanted = _plain_type(field.type)
        given = table.column(i)
        column = _one_null(given if wanted == field.type else given.cast(wanted))
        if column is not given:
            table = table.set_column(i, pa.field(field.name, wanted), column)
    return table


def _one_null(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same column where it has no not-a-number and no empty text; otherwise one with nulls for them."""
    if pa.types.is_floating(column.type):
        chunks = [_nulled(c, pc.is_nan(c)) for c in column.chunks]
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        chunks = [_nulled(c, pc.equal(pc.binary_length(c), 0)) for c in column.chunks]
    else:
        return column
    same = all(a is b for a, b in zip(chunks, column.chunks, strict=True))
    return column if same else pa.chunked_array(chunks, type=column.type)


def _nulled(chunk: pa.Array, missing: pa.Array) -> pa.Array:
    return pc.if_else(missing, None, chunk) if pc.any(missing).as_py() else chunk


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_time(kind) or kind == pa.string_view():
        return pa.string()
    return kind
