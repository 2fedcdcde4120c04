"""What kind of value a column holds, judged from its type and values."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa
import pyarrow.compute as pc

from sharewise.tables import columns as col
from sharewise.tables import pictures
from sharewise.tables.schema import InputKind
from sharewise.tasks import TaskKind

LOOKS_LIKE = 0.8
"""Share of a text column's distinct values that must parse as numbers (or dates) for it to be meant as such."""

TEXT_WORDS = 4.0
"""Mean number of words in a value from which a text column of many distinct values is prose."""

MAX_CLASSES = 100
FEW_CODES = 20
PROBE = 2000
"""Distinct values looked at; enough to tell a type, and cheap on any table."""


def input_kind(column: pa.ChunkedArray) -> InputKind | None:
    """Kind of an input column, or None where no kind fits (structs, maps, binaries)."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return InputKind.BOOLEAN
    if col.is_number(kind) or pa.types.is_null(kind) or pa.types.is_duration(kind):
        return InputKind.NUMERIC
    if col.is_date(kind):
        return InputKind.DATETIME
    if col.is_list(kind):
        if col.is_text(kind.value_type):
            return InputKind.TOKENS
        return InputKind.EMBEDDING if col.list_width(column) else None
    if pa.types.is_fixed_size_binary(kind):
        return InputKind.IMAGE if pictures.Shape.of_length(kind.byte_width) is not None else None
    if col.is_bytes(kind):
        return InputKind.IMAGE if pictures.looks_like(column) else None
    if col.is_text(kind):
        return _text_kind(column)
    return None


def _text_kind(column: pa.ChunkedArray) -> InputKind:
    unique = pc.unique(column).drop_null()
    if len(unique) == 0:
        return InputKind.CATEGORICAL
    if pictures.looks_like(column):
        return InputKind.IMAGE
    probe = unique.slice(0, PROBE)
    if share(probe, col.parses_as_date) >= LOOKS_LIKE:
        return InputKind.DATETIME
    if share(probe, col.parses_as_number) >= LOOKS_LIKE:
        return InputKind.NUMERIC
    words = pc.mean(pc.add(pc.count_substring(probe, " "), 1)).as_py()
    many = len(unique) > 0.2 * len(column) and len(unique) > MAX_CLASSES
    return InputKind.TEXT if many and words >= TEXT_WORDS else InputKind.CATEGORICAL


def as_many(column: pa.ChunkedArray, words: pa.ChunkedArray) -> bool:
    """True where two columns of lists have as many items in every row that has both."""
    return bool(pc.all(pc.equal(pc.list_value_length(column), pc.list_value_length(words))).as_py())


def beside(column: pa.ChunkedArray, words: pa.ChunkedArray) -> bool:
    """True where every row of lists has one value for each of its words, and rows differ in how many."""
    if not col.is_list(words.type) or not col.is_text(words.type.value_type):
        return False
    return as_many(column, words) and len(pc.unique(pc.list_value_length(column)).drop_null()) > 1


def share(values: pa.Array, parses: Callable[[str], bool]) -> float:
    """Share of text values that `parses` takes."""
    trimmed = pc.utf8_trim_whitespace(values).to_pylist()
    return sum(parses(v) for v in trimmed) / max(len(trimmed), 1)


def task_kind(column: pa.ChunkedArray, others: Iterable[pa.ChunkedArray] = ()) -> TaskKind:
    """Kind of a task, from its target column: two values binary, text or few whole numbers from 0 or 1 classes,
    other numbers regression, a list of labels multilabel, or tags where it has one for each token of a column
    of `others`."""
    if col.is_list(column.type):
        tagging = any(beside(column, words) for words in others)
        return TaskKind.TOKEN_TAGGING if tagging else TaskKind.MULTILABEL
    if pa.types.is_floating(column.type) and len(pc.unique(column.slice(0, PROBE))) > FEW_CODES + 1:
        return TaskKind.REGRESSION
    values = pc.unique(column).drop_null()
    if len(values) <= FEW_CODES and len(col.distinct(column)) == 2:
        return TaskKind.BINARY
    if col.is_text(column.type):
        numeric = share(values.slice(0, PROBE), col.parses_as_number) >= LOOKS_LIKE
        return TaskKind.REGRESSION if numeric and len(values) > FEW_CODES else TaskKind.MULTICLASS
    if pa.types.is_boolean(column.type):
        return TaskKind.BINARY
    if pa.types.is_integer(column.type) and 0 < len(values) <= 10:
        whole = sorted(values.to_pylist())
        if whole[0] in (0, 1) and whole[-1] - whole[0] == len(whole) - 1:
            return TaskKind.MULTICLASS
    return TaskKind.REGRESSION
