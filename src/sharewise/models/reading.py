"""A table as the models read it: the codec's blocks, and those that take a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sharewise.batch import Inputs
from sharewise.catalogue import Catalogue
from sharewise.errors import DataError, Problem
from sharewise.tables.blocks import Array
from sharewise.tables.codec import Codec
from sharewise.tables.read import Table
from sharewise.tables.schema import InputKind

Advance = Callable[[int], None]
Progress = Callable[[str, int | None], AbstractContextManager[Advance]]
Read = Callable[[Any, Sequence[pa.ChunkedArray], Path | None, Advance], Array]

NAMED = 10
"""Unreadable pictures that are named by row."""

READERS: Catalogue[Any] = Catalogue(
    "deferred reader",
    {
        "TransformerEncoder": "sharewise.models.backbones.text:read",
        "SentenceTransformerEncoder": "sharewise.models.backbones.words:read",
        "BackboneEncoder": "sharewise.models.backbones.picture:read",
    },
)
"""What writes the block of a deferred encoder, by the encoder's class: (encoder, columns, cache, advance) -> block."""


def encode(codec: Codec, table: Table, cache: Path | None = None, progress: Progress | None = None) -> Inputs[Array]:
    """All blocks of a table; features of frozen networks come from the folder `cache` where they were computed before.

    Raises DataError as `Codec.encode` does, and where a network cannot be used. Without deferred inputs this is
    `Codec.encode`, and no torch is imported.
    """
    table = codec.readable(table)
    inputs = codec.encode(table)
    deferred = [encoder for encoder in codec.own_blocks if encoder.deferred]
    if not deferred:
        return inputs
    blocks = dict(inputs.blocks)
    for encoder in deferred:
        read: Read = READERS.load(type(encoder).__name__)
        columns = encoder.located([table.column(name) for name in encoder.columns], table.folder)
        total = len(columns) * table.n_rows
        with nullcontext(_still) if progress is None else progress(f"reading {encoder.name}", total) as advance:
            try:
                block = read(encoder, columns, cache, advance)
            except DataError as error:
                raise DataError([_placed(problem, table) for problem in error.problems]) from None
        found = encoder.found(block)
        if found is not None:
            block[~found] = 0
            blocks["present"][:, codec.own_blocks.index(encoder)] &= found
        blocks[encoder.own_block] = block
    return Inputs(blocks)


def unread(codec: Codec, table: Table, inputs: Inputs[Array]) -> dict[str, Array]:
    """Input to the rows, counted from 1 in the whole table, whose picture could not be read and counts as missing."""
    made = {}
    for number, encoder in enumerate(codec.own_blocks):
        if encoder.kind is InputKind.IMAGE:
            given = table.column(encoder.name).is_valid().combine_chunks().to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(given & (inputs["present"][:, number] == 0))
            if len(rows):
                made[encoder.name] = rows + table.first_row + 1
    return made


def unread_said(name: str, rows: Array) -> str:
    """A sentence on rows whose picture counts as missing; the first of them are named."""
    shown = ", ".join(f"{row:,}" for row in rows[:NAMED])
    if len(rows) == 1:
        return f"1 picture of '{name}' cannot be read and counts as missing: row {shown}."
    more = f" and {len(rows) - NAMED:,} more" if len(rows) > NAMED else ""
    return f"{len(rows):,} pictures of '{name}' cannot be read and count as missing: rows {shown}{more}."


def _placed(problem: Problem, table: Table) -> Problem:
    """A problem of a piece, told as one of the whole table."""
    if problem.row is None:
        return problem
    return replace(problem, file=table.name, row=problem.row + table.first_row)


def _still(n: int) -> None:
    """Nobody watches."""
