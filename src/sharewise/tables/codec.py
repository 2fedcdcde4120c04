"""Table -> encoded inputs and targets, fitted on train rows only; predictions -> the user's labels and units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sharewise.batch import Inputs, Targets
from sharewise.errors import DataError, Problem
from sharewise.plan import Choice
from sharewise.tables import columns as col
from sharewise.tables import lists, own, shapes
from sharewise.tables import targets as labels
from sharewise.tables.blocks import BlockEncoder
from sharewise.tables.columns import Floats
from sharewise.tables.encoders import (
    CategoricalEncoder,
    EmbeddingEncoder,
    Encoder,
    Rows,
)
from sharewise.tables.read import Table
from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tables.targets import Present, Scale
from sharewise.tasks import Task, TaskKind, TaskSet

Block = npt.NDArray[Any]

PIECE = 8_192
"""Rows that are encoded at a time."""


@dataclass(frozen=True)
class Codec:
    """Fitted encoders in the order of the schema's inputs, and a scale for every task that predicts numbers."""

    schema: Schema
    encoders: tuple[Encoder, ...]
    scales: dict[str, Scale]

    @classmethod
    def fit(cls, table: Table, schema: Schema, rows: Rows) -> Self:
        """Learn scales, categories and imputations from the rows `rows` (train); cost: one pass over each column."""
        try:
            encoders = own.fit(table, schema.inputs, rows)
        except DataError as error:
            raise DataError(_placed(error, table)) from None
        scales = {}
        fitted: dict[tuple[object, ...], tuple[Floats, Present]] = {}
        for task in schema.tasks:
            if task.kind not in (TaskKind.REGRESSION, TaskKind.RECONSTRUCTION):
                continue
            # Tasks of one grouped declaration read the same column: it is parsed once.
            key = (task.kind, task.columns, task.where)
            if key not in fitted:
                fitted[key] = labels.raw(table, task)
            values, present = fitted[key]
            scales[task.name] = Scale.fit(task.transform, values[rows], present[rows])
        return cls(schema, encoders, scales)

    # --- shapes ---------------------------------------------------------------------------------------------

    def _of_block(self, block: str) -> list[Encoder]:
        return [e for e in self.encoders if e.block == block]

    @property
    def n_numeric(self) -> int:
        """Columns of the numeric block, indicators included."""
        flags = sum(1 for e in self.encoders if isinstance(e, EmbeddingEncoder) and e.indicator)
        return sum(e.width for e in self._of_block("numeric")) + flags

    @property
    def own_blocks(self) -> tuple[BlockEncoder, ...]:
        """Inputs that have a block of their own, in the order of the columns of `present`."""
        return tuple(e for e in self.encoders if isinstance(e, BlockEncoder))

    @property
    def n_embedding(self) -> int:
        """Columns of the embedding block."""
        return sum(e.width for e in self._of_block("embedding"))

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of codes of every categorical column, code 0 (missing or unseen) included."""
        return tuple(e.cardinality for e in self.encoders if isinstance(e, CategoricalEncoder))

    @property
    def feature_names(self) -> dict[str, tuple[str, ...]]:
        """Names of the columns of every block."""
        blocks = {
            b: tuple(n for e in self._of_block(b) for n in e.feature_names)
            for b in ("numeric", "categorical", "embedding")
        }
        flags = tuple(f"{e.name} is missing" for e in self.encoders if isinstance(e, EmbeddingEncoder) and e.indicator)
        blocks["numeric"] += flags
        return {b: names for b, names in blocks.items() if names}

    def less(self, tasks: Iterable[str]) -> Codec:
        """The same codec without some tasks."""
        schema = self.schema.without(tasks)
        scales = {name: scale for name, scale in self.scales.items() if name in schema.tasks}
        return replace(self, schema=schema, scales=scales)

    # --- encoding -------------------------------------------------------------------------------------------

    def encode(self, table: Table) -> Inputs[Block]:
        """Blocks `numeric` (N, F) float32, `categorical` (N, C) int32, `embedding` (N, D) float32 or uint8, blocks of
        single inputs and `present`; only those that exist, and none that takes a network. Works column by column, some
        thousand rows at a time, into arrays made once, so that memory is the result's and temporaries stay in the
        processor's cache.

        Raises DataError with every input column that the table lacks or that cannot be read.
        """
        table = self.readable(table)
        n = table.n_rows
        blocks: dict[str, Block] = {}
        if self.n_numeric:
            blocks["numeric"] = np.empty((n, self.n_numeric), dtype=np.float32)
        if self.cardinalities:
            blocks["categorical"] = np.empty((n, len(self.cardinalities)), dtype=np.int32)
        vectors = [e for e in self.encoders if isinstance(e, EmbeddingEncoder)]
        if vectors:
            kind = np.uint8 if all(e.is_bytes for e in vectors) else np.float32
            blocks["embedding"] = np.empty((n, self.n_embedding), dtype=kind)
        blocks |= {e.own_block: e.room([table.column(c) for c in e.columns]) for e in self.own_blocks if not e.deferred}
        if self.own_blocks:
            blocks["present"] = np.zeros((n, len(self.own_blocks)), dtype=np.uint8)
        problems: dict[str, list[Problem]] = {}
        for start in range(0, n, PIECE):
            piece = table.slice(start, PIECE)
            rows = {name: block[start : start + PIECE] for name, block in blocks.items()}
            for name, found in self._write(piece, rows).items():
                problems.setdefault(name, found)
        if problems:
            raise DataError([p for found in problems.values() for p in found])
        return Inputs(blocks)

    def readable(self, table: Table) -> Table:
        """The table with its columns in the types that were fitted, where memory or a file has lost them: a column
        without a single value has no type of its own, a frame holds pixels as bytes of any length, and a CSV holds
        lists as text.

        Raises DataError with every input column that the table lacks, and with cells that should be lists.
        """
        read = dict.fromkeys(c for e in self.encoders for c in own.columns_of(e))
        missing = [table.no_column(c) for c in read if c not in table.names]
        if missing:
            raise DataError(missing)
        for said in self.schema.inputs:
            if said.kind in (InputKind.TOKENS, InputKind.EMBEDDING):
                table = _listed(table, said)
        for encoder in self.encoders:
            kind = encoder.stored
            for name in own.columns_of(encoder) if kind is not None else ():
                column = table.column(name)
                settled = col.as_stored(column, kind)
                table = table if settled is column else table.with_column(name, settled)
        problems: list[Problem] = []
        for said in self.schema.inputs:
            column = table.column(said.name)
            if column.null_count == len(column):
                continue
            try:
                shapes.check(column, said.name, said.kind, "Write the column as the study's table had it")
            except DataError as error:
                problems += _placed(error, table)
        if problems:
            raise DataError(problems)
        return table

    def _write(self, piece: Table, rows: dict[str, Block]) -> dict[str, list[Problem]]:
        """Encode a piece into its rows of the blocks; column to what is wrong with it."""
        problems: dict[str, list[Problem]] = {}
        at = dict.fromkeys(rows, 0)
        for i, single in enumerate(self.own_blocks):
            try:
                own.write(single, piece, rows, i)
            except DataError as error:
                problems[single.name] = _placed(error, piece)
        for encoder in (e for e in self.encoders if e.block in rows):
            end = at[encoder.block] + encoder.width
            try:
                encoder.write(piece.column(encoder.name), rows[encoder.block][:, at[encoder.block] : end])
            except DataError as error:
                problems[encoder.name] = _placed(error, piece)
            at[encoder.block] = end
        for encoder in self.encoders:
            if isinstance(encoder, EmbeddingEncoder) and encoder.indicator:
                encoder.write_indicator(piece.column(encoder.name), rows["numeric"][:, at["numeric"]])
                at["numeric"] += 1
        return problems

    def targets(self, table: Table) -> Targets[Block]:
        """Labels of all tasks side by side as models are trained on them, and `present`."""
        width = sum(task.n_targets for task in self.schema.tasks)
        values = np.zeros((table.n_rows, width), dtype=np.float32)
        present = np.zeros((table.n_rows, width), dtype=bool)
        slices = []
        at = 0
        for task in self.schema.tasks:
            part = slice(at, at + task.n_targets)
            found, exists = labels.raw(table, task)
            if task.name in self.scales:
                found = np.where(exists, self.scales[task.name].forward(found), 0.0)
            values[:, part], present[:, part] = found, exists
            slices.append(part)
            at = part.stop
        return Targets(values, present, tuple(slices))

    def truth(self, table: Table, task_name: str) -> tuple[Floats, Present]:
        """Labels (N, K) of one task as a metric reads them: class codes, 0/1 per label, the original unit."""
        return labels.raw(table, self.schema.tasks[task_name])

    # --- answers --------------------------------------------------------------------------------------------

    def inverse(self, task_name: str, prediction: Block) -> Block:
        """Standardised prediction (N, W) -> original unit; class probabilities as they are."""
        scale = self.scales.get(task_name)
        if scale is None:
            return prediction
        limit = float(np.finfo(np.float32).max)
        return np.clip(scale.inverse(prediction.astype(np.float64)), -limit, limit).astype(np.float32)

    # --- JSON -----------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` turns into an equal codec."""
        return {
            "schema": schema_to_json(self.schema),
            "encoders": [e.to_json() for e in self.encoders],
            "scales": {name: asdict(scale) for name, scale in self.scales.items()},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The codec that `to_json` wrote."""
        scales = {
            name: Scale(s["transform"], *(tuple(s[k]) for k in ("mean", "deviation", "landmarks", "heights")))
            for name, s in data["scales"].items()
        }
        return cls(schema_from_json(data["schema"]), tuple(own.from_json(e) for e in data["encoders"]), scales)

    def arrays(self) -> dict[str, Block]:
        """Fitted arrays that are too large for JSON, as NUMBER.NAME; mostly none."""
        return {f"{i}.{name}": a for i, e in enumerate(self.own_blocks) for name, a in e.arrays.items()}

    def with_arrays(self, arrays: Mapping[str, Block]) -> Codec:
        """The same codec with what `arrays` said."""
        numbers = {id(e): i for i, e in enumerate(self.own_blocks)}

        def whole(e: Encoder) -> Encoder:
            if not isinstance(e, BlockEncoder):
                return e
            start = f"{numbers[id(e)]}."
            return e.with_arrays({k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)})

        return replace(self, encoders=tuple(whole(e) for e in self.encoders))


def _placed(error: DataError, piece: Table) -> list[Problem]:
    """Problems of a piece, with the row of the whole table."""
    return [replace(p, file=piece.name, row=None if p.row is None else p.row + piece.first_row) for p in error.problems]


def _listed(table: Table, said: Input) -> Table:
    """The table with the lists of an input taken out of text; raises DataError with the rows that hold none."""
    column = table.column(said.name)
    try:
        made = lists.settled(column, said.name, words=said.kind is InputKind.TOKENS, separated=said.separated)
    except DataError as error:
        raise DataError(_placed(error, table)) from None
    return table if made is column else table.with_column(said.name, made)


def schema_to_json(schema: Schema) -> dict[str, Any]:
    """A schema as plain data."""
    return {
        "inputs": [_input_to_json(i) for i in schema.inputs],
        "tasks": [{**asdict(t), "kind": t.kind.value} for t in schema.tasks],
        **{role: getattr(schema, role) for role in ("row_id", "split", "time", "group", "entity")},
    }


def schema_from_json(data: dict[str, Any]) -> Schema:
    """The schema that `schema_to_json` wrote."""
    tasks = []
    make: Callable[..., Task] = Task
    for said in data["tasks"]:
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items()}
        tasks.append(make(**{**fields, "kind": TaskKind(said["kind"])}))
    inputs = tuple(_input_from_json(i) for i in data["inputs"])
    roles = {role: data[role] for role in ("row_id", "split", "time", "group", "entity")}
    return Schema(inputs, TaskSet(tuple(tasks)), **roles)


def _input_to_json(said: Input) -> dict[str, Any]:
    made: dict[str, Any] = {"name": said.name, "kind": said.kind.value}
    if said.encoder is not None:
        made["encoder"] = {"name": said.encoder.name, "params": dict(said.encoder.params)}
    if said.separated:
        made["separated"] = True
    if said.also:
        made["also"] = [{"name": choice.name, "params": dict(choice.params)} for choice in said.also]
    return made if said.pair is None else {**made, "pair": said.pair}


def _input_from_json(data: Mapping[str, Any]) -> Input:
    encoder = data.get("encoder")
    choice = None if encoder is None else Choice(encoder["name"], dict(encoder["params"]))
    also = tuple(Choice(c["name"], dict(c["params"])) for c in data.get("also", ()))
    return Input(data["name"], InputKind(data["kind"]), choice, data.get("pair"), data.get("separated", False), also)
