"""Lists in columns of text, which is how a CSV holds tokens, tags, labels and vectors."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sharewise.errors import DataError, Problem
from sharewise.tables import columns as col
from sharewise.tables import infer
from sharewise.tables.read import Table
from sharewise.tables.schema import Declaration, InputKind
from sharewise.tasks import TaskKind

RULE = 'A cell of a column of lists is a JSON list of words or of numbers, such as ["the", "cat"]'
REMEDY = "Correct the cell, or leave it empty"

LOOKS_LIKE = 0.8
"""Share of the cells from which a column of which nothing is said looks like lists, and a note names what is none."""

PROBE = 1000
"""Rows that are looked at before all are taken apart."""

MOST_NAMED = 20
SHOWN = 40

_ESCAPE = r"\\(?:[\\'\"abfnrtv]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})"
_ITEM = rf"""(?:'(?:[^'\\]|{_ESCAPE})*'|"(?:[^"\\]|{_ESCAPE})*"|None|[-+.0-9e]+)"""
_PYTHON = re.compile(rf"\[\s*(?:{_ITEM}\s*(?:,\s*{_ITEM}\s*)*)?\]")
"""A list as Python prints it, and so as pandas writes it to a CSV. NumPy's form has no commas and is none."""


class Wish(Enum):
    """What is known of a column: it holds words (lists, or text that white space separates), lists, or nothing."""

    WORDS = auto()
    LISTS = auto()
    UNSAID = auto()


@dataclass(frozen=True)
class Listed:
    """A table whose lists are lists, the declaration that says which inputs white space separates, and notes."""

    table: Table
    declaration: Declaration
    notes: tuple[str, ...]


@dataclass
class _Parsed:
    """A column of text taken apart: its lists, null where a cell is missing or none, and why cells are none."""

    lists: pa.ChunkedArray
    faults: dict[int, str] = field(default_factory=dict)


def listed(table: Table, declaration: Declaration) -> Listed:
    """Take apart the text columns that are declared as tokens, tags, labels or vectors, or of which nothing is said and
    every cell is a list; cost: one pass over them.

    Tokens and tags that are declared so and are no lists are separated by white space. Raises DataError with the row of
    every cell that should be a list and is none.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    separated: list[str] = []
    for name, wish in _wishes(table, declaration).items():
        column = table.column(name)
        bracketed = _bracketed(column)
        if wish is Wish.WORDS and 2 * bracketed < len(column) - column.null_count:
            table = table.with_column(name, _split(column))
            separated.append(name)
            continue
        if not bracketed or (wish is Wish.UNSAID and bracketed < LOOKS_LIKE * (len(column) - column.null_count)):
            continue
        made = _parsed(column)
        if not made.faults:
            table = table.with_column(name, made.lists)
        elif wish is not Wish.UNSAID:
            problems += _problems(made.faults, name, table.name)
        elif len(made.faults) <= (1 - LOOKS_LIKE) * (len(column) - column.null_count):
            row, why = next(iter(made.faults.items()))
            notes.append(f"Column '{name}' looks like lists but is read as text: row {row + 1:,} is none ({why}).")
    if problems:
        raise DataError(problems)
    if separated:
        named = ", ".join(f"'{name}'" for name in separated)
        notes.append(f"White space separates the words and tags of {named}, whose cells are no lists.")
    inputs = declaration.inputs
    if inputs is not None and separated:
        inputs = tuple(replace(said, separated=said.name in separated) for said in inputs)
    return Listed(table, replace(declaration, inputs=inputs), tuple(notes))


def spaced(table: Table, tasks: Sequence[str]) -> Table:
    """The table with text taken apart where white space separates, in every row, as many tags of a task as another
    column has words: the tags, those words and all columns like them, as `init` writes them."""
    for name in tasks:
        if not col.is_text(table.column(name).type) or not _several(table.column(name)):
            continue
        given = table.column(name)
        tags = _split(given)
        for other in table.names:
            column = table.column(other)
            if other in tasks or not _as_many(given.slice(0, PROBE), column.slice(0, PROBE)):
                continue
            words = _words(column)
            if infer.beside(tags, words):
                table = table.with_column(name, tags).with_column(other, words)
    return table


def _words(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return _split(column) if col.is_text(column.type) else column


def _as_many(tags: pa.ChunkedArray, column: pa.ChunkedArray) -> bool:
    """True where two columns may have as many words in every row."""
    words = _words(column)
    return col.is_list(words.type) and infer.as_many(_split(tags), words)


def _several(column: pa.ChunkedArray) -> bool:
    """True where some cell holds several words, and none begins as a list does."""
    found = pc.any(pc.match_substring_regex(column, r"\S\s+\S")).as_py()
    return bool(found) and not _bracketed(column)


def settled(column: pa.ChunkedArray, name: str, *, words: bool, separated: bool = False) -> pa.ChunkedArray:
    """The column of a table to answer as lists, where it is text: of `words`, also where all of these are numbers, or
    of numbers. `separated` says that the study's tokens were separated by white space, which a column that holds
    nothing but lists is not.

    Raises DataError with the row of every cell that is no list.
    """
    if not col.is_text(column.type):
        return column
    bracketed, n_cells = _bracketed(column), len(column) - column.null_count
    if separated and bracketed < n_cells:
        return _split(column)
    if n_cells and not bracketed:
        fact, remedy = "the column holds text, and the study's table held lists", "Write every cell as a list"
        raise DataError(Problem(RULE, fact, remedy, column=name))
    made = _parsed(column)
    if made.faults and separated:
        return _split(column)
    if made.faults:
        raise DataError(_problems(made.faults, name, None))
    return made.lists.cast(pa.list_(pa.string())) if words else made.lists


def _wishes(table: Table, said: Declaration) -> dict[str, Wish]:
    """Text columns that may hold lists, by what is declared of them."""
    roles = set(said.roles.values())
    tasks: dict[str, Wish | None] = {}
    for task in said.tasks:
        columns = task.columns or (task.name,)
        of_kind = {TaskKind.TOKEN_TAGGING: Wish.WORDS, TaskKind.MULTILABEL: Wish.LISTS, None: Wish.UNSAID}
        tasks |= dict.fromkeys(columns, of_kind.get(task.kind) if len(columns) == 1 else None)
    if said.inputs is None:
        inputs: dict[str, Wish | None] = {n: Wish.UNSAID for n in table.names if n not in roles}
    else:
        kinds = {InputKind.TOKENS: Wish.WORDS, InputKind.EMBEDDING: Wish.LISTS, None: Wish.UNSAID}
        inputs = {i.name: kinds.get(i.kind) for i in said.inputs}
    wishes = {**inputs, **tasks}
    return {
        name: wish
        for name, wish in wishes.items()
        if wish is not None and name in table.names and col.is_text(table.column(name).type)
    }


def _bracketed(column: pa.ChunkedArray) -> int:
    """How many cells begin and end as a list does."""
    inside = pc.utf8_trim_whitespace(column)
    return int(pc.sum(pc.and_(pc.starts_with(inside, "["), pc.ends_with(inside, "]"))).as_py() or 0)


def _split(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Words that white space separates."""
    kind = pa.list_(pa.string())
    chunks = [pa.array([None if v is None else v.split() for v in c.to_pylist()], kind) for c in column.chunks]
    return pa.chunked_array(chunks, kind)


def _parsed(column: pa.ChunkedArray) -> _Parsed:
    """Every cell as a list; text wherever one cell of the column holds text, else numbers."""
    faults: dict[int, str] = {}
    chunks: list[pa.Array] = []
    first = 0
    for chunk in column.chunks:
        rows: list[list[Any] | None] = []
        for row, cell in enumerate(chunk.to_pylist(), first):
            try:
                rows.append(None if cell is None else _items(cell))
            except ValueError as error:
                rows.append(None)
                faults[row] = str(error)
        first += len(chunk)
        chunks.append(_array(rows))
    kinds = {c.type.value_type for c in chunks}
    order = (pa.string(), pa.float64(), pa.int64())
    kind = pa.list_(next((k for k in order if k in kinds), pa.string()))
    return _Parsed(pa.chunked_array([c.cast(kind) for c in chunks], kind), faults)


def _array(rows: list[list[Any] | None]) -> pa.Array:
    """Lists of one type: text where any item is text."""
    if any(isinstance(item, str) for item in _each(rows)):
        rows = [None if r is None else [None if i is None else col.canonical(i) for i in r] for r in rows]
        return pa.array(rows, pa.list_(pa.string()))
    has_fraction = any(isinstance(item, float) for item in _each(rows))
    has_number = has_fraction or any(isinstance(item, int) for item in _each(rows))
    if not has_number:
        return pa.array(rows, pa.list_(pa.null()))
    return pa.array(rows, pa.list_(pa.float64() if has_fraction else pa.int64()))


def _each(rows: list[list[Any] | None]) -> Iterator[Any]:
    return (item for row in rows if row is not None for item in row)


def _items(cell: str) -> list[Any]:
    """Items of a list in JSON or as Python prints it; raises ValueError with the reason, as a clause."""
    cell = cell.strip()
    shown = f"`{cell if len(cell) <= SHOWN else cell[: SHOWN - 1] + '…'}`"
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError) as error:
        if not _PYTHON.fullmatch(cell):
            where = f": {error.msg}, character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
            raise ValueError(f"{shown} is no JSON list{where}") from None
        try:
            found = ast.literal_eval(cell)
        except (ValueError, SyntaxError):
            raise ValueError(f"{shown} is no list") from None
    if not isinstance(found, list):
        raise ValueError(f"{shown} is no list")
    for item in found:
        if isinstance(item, bool) or not isinstance(item, str | int | float | None):
            raise ValueError(f"{shown} holds something else than words and numbers")
        if isinstance(item, int) and abs(item) >= 2**63:
            raise ValueError(f"{shown} holds a number that is too large")
        if isinstance(item, str) and not _whole(item):
            raise ValueError(f"{shown} holds half a Unicode character")
    return found


def _whole(item: str) -> bool:
    try:
        item.encode()
    except UnicodeEncodeError:
        return False
    return True


def _problems(faults: dict[int, str], name: str, file: str | None) -> list[Problem]:
    """A problem for each of the first rows that hold no list, and one for the rest."""
    made = [
        Problem(RULE, why, REMEDY, file, column=name, row=row + 1) for row, why in list(faults.items())[:MOST_NAMED]
    ]
    if len(faults) > MOST_NAMED:
        made.append(Problem(RULE, f"{len(faults) - MOST_NAMED:,} more cells are none", file=file, column=name))
    return made
