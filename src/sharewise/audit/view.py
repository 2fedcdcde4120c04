"""What a check sees: the table, its meaning and its split, with the expensive things computed once for all checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sharewise.audit.columns import (
    Bins,
    Codes,
    Floats,
    Hashes,
    code_bins,
    codes,
    hashes,
    is_list,
    is_number,
    is_text,
    mix,
    numbers,
    quantile_bins,
    vectors,
)
from sharewise.audit.result import Rows
from sharewise.tables.schema import InputKind, Schema
from sharewise.tasks import Label, Task, TaskKind

V = TypeVar("V")
Level = Literal["quick", "full"]
Flags = npt.NDArray[np.bool_]

TRAIN, VALIDATION, TEST, UNUSED = 0, 1, 2, -1
PART_NAMES = ("train", "validation", "test")
SAMPLE_ROWS = 100_000
"""Rows that a statistic of the whole table is estimated from: its standard error is then below 0.002 for a share."""


@dataclass(frozen=True, eq=False)
class Labels:
    """One label column of one task: `values` (N,) float64 are class codes or numbers, `present` (N,) bool.

    A multilabel task has one for each label, all with the task's name. `classes` is empty for numbers; a label
    that is not among the task's declared classes has the code -1 and counts as present.
    """

    task: str
    column: str
    kind: TaskKind
    values: Floats
    present: Flags
    classes: tuple[Label, ...]

    @property
    def is_class(self) -> bool:
        """True where the values are class codes."""
        return bool(self.classes)

    @property
    def key(self) -> str:
        """What names it in an audit's details: the task, or the label where a task has several."""
        return self.column if self.kind is TaskKind.MULTILABEL else self.task

    @property
    def title(self) -> str:
        """The task's name, with the label's name where the task has several."""
        return f"'{self.task}'" if self.kind is not TaskKind.MULTILABEL else f"'{self.column}' of '{self.task}'"


@dataclass(frozen=True)
class AuditView:
    """A table with its schema and split, read-only, and a memory for what several checks need.

    `part` (N,) int8 holds 0 for train, 1 for validation, 2 for test, -1 for rows of no part. `level` "quick"
    leaves out what needs fitted models. Everything is derived from `seed`, the table and the schema.
    """

    arrow: pa.Table
    schema: Schema
    part: npt.NDArray[np.int8]
    seed: int = 0
    level: Level = "full"
    _memory: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, *key: str, make: Callable[[], V]) -> V:
        """The value of `make()`, computed at the first call with this key and remembered."""
        if key not in self._memory:
            self._memory[key] = make()
        return cast(V, self._memory[key])

    def forget(self, *key: str) -> None:
        """Drop a remembered value, where it is large and done with."""
        self._memory.pop(key, None)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.arrow.num_rows)

    def rng(self, *names: str) -> np.random.Generator:
        """A generator whose luck depends on the seed and the names only."""
        from sharewise.seeds import derive

        return np.random.default_rng(derive(self.seed, "audit", *names))

    # --- columns ------------------------------------------------------------------------------------------

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """Input columns that the table has."""
        have = set(self.arrow.column_names)
        return tuple(i.name for i in self.schema.inputs if i.name in have)

    @cached_property
    def label_columns(self) -> tuple[str, ...]:
        """Columns that hold labels, each once."""
        names: dict[str, None] = {}
        for task in self.schema.tasks:
            if task.kind is not TaskKind.RECONSTRUCTION:
                names.update(dict.fromkeys(c for c in task.columns if c in self.arrow.column_names))
        return tuple(names)

    @cached_property
    def other_names(self) -> tuple[str, ...]:
        """Columns that are neither inputs nor labels nor the declared row id and split."""
        used = {*self.input_names, *self.label_columns, self.schema.row_id, self.schema.split}
        return tuple(n for n in self.arrow.column_names if n not in used)

    def kind(self, name: str) -> InputKind:
        """Kind of a column: the declared one of an input, else what its type says."""
        for item in self.schema.inputs:
            if item.name == name:
                return item.kind
        kind = self.arrow.schema.field(name).type
        if pa.types.is_temporal(kind):
            return InputKind.DATETIME
        if pa.types.is_boolean(kind):
            return InputKind.BOOLEAN
        if is_number(kind):
            return InputKind.NUMERIC
        if is_list(kind):
            return InputKind.EMBEDDING if is_number(kind.value_type) else InputKind.TOKENS
        return InputKind.CATEGORICAL if is_text(kind) else InputKind.IMAGE

    def is_wide(self, name: str) -> bool:
        """True for texts, tokens, pictures and embeddings: cells that no single bin describes."""
        return self.kind(name) in (InputKind.TEXT, InputKind.TOKENS, InputKind.IMAGE, InputKind.EMBEDDING)

    @cached_property
    def narrow_inputs(self) -> tuple[str, ...]:
        """Inputs whose cells are one number or one category."""
        return tuple(n for n in self.input_names if not self.is_wide(n))

    @cached_property
    def numeric_inputs(self) -> tuple[str, ...]:
        """Inputs whose cells are numbers."""
        return tuple(n for n in self.narrow_inputs if self.kind(n) is InputKind.NUMERIC and self.is_numeric(n))

    def is_numeric(self, name: str) -> bool:
        """True where the column's type holds numbers."""
        return is_number(self.arrow.schema.field(name).type)

    def numbers(self, name: str) -> Floats:
        """(N,) float64 of a column, nan for missing; see `columns.numbers`."""
        return self.once("numbers", name, make=lambda: numbers(self.arrow.column(name)))

    def codes(self, name: str) -> tuple[Codes, tuple[Label, ...]]:
        """Category codes of a column and the categories; see `columns.codes`."""
        return self.once("codes", name, make=lambda: codes(self.arrow.column(name)))

    def vectors(self, name: str) -> npt.NDArray[np.float32]:
        """(N, D) float32 of an embedding column."""
        return self.once("vectors", name, make=lambda: vectors(self.arrow.column(name)))

    def missing(self, name: str) -> Flags:
        """(N,) bool, True where the cell is null or nan."""
        if self.is_numeric(name):
            return np.isnan(self.numbers(name))
        null: Flags = self.arrow.column(name).is_null().to_numpy()
        return null

    def hashes(self, name: str) -> Hashes:
        """(N,) uint64 of a column's cells, different for the same cell in different columns."""

        def make() -> Hashes:
            salt = mix(np.array([self.arrow.column_names.index(name)], dtype=np.uint64))
            return mix(hashes(self.arrow.column(name)) ^ salt)

        return self.once("hashes", name, make=make)

    def joint_hash(self, names: tuple[str, ...]) -> Hashes:
        """(N,) uint64 of several cells of a row; a sum, so that a column is taken out by subtraction."""
        out = np.zeros(self.n_rows, dtype=np.uint64)
        for name in names:
            out += self.hashes(name)
        return out

    @cached_property
    def input_hash(self) -> Hashes:
        """(N,) uint64, equal where all inputs are equal (to float32 precision)."""
        return self.joint_hash(self.input_names)

    @cached_property
    def row_hash(self) -> Hashes:
        """(N,) uint64, equal where inputs, labels and all other columns but ids and splits are equal."""
        plain = tuple(n for n in self.other_names if not self.is_split_like(n))
        return self.joint_hash((*self.input_names, *self.label_columns, *plain))

    def is_split_like(self, name: str) -> bool:
        """True for a text column whose values are the names of parts."""
        if not is_text(self.arrow.schema.field(name).type):
            return False
        words = {str(v).lower() for v in self.codes(name)[1]}
        return bool(words) and words <= {"train", "training", "validation", "valid", "val", "dev", "test", "unused"}

    # --- rows ---------------------------------------------------------------------------------------------

    def rows_of(self, part: int) -> Rows:
        """Positions of one part's rows."""
        return np.flatnonzero(self.part == part)

    @cached_property
    def sample(self) -> Rows:
        """At most `SAMPLE_ROWS` row positions, ascending, for statistics of the whole table."""
        if self.n_rows <= SAMPLE_ROWS:
            return np.arange(self.n_rows, dtype=np.int64)
        chosen = self.rng("sample").choice(self.n_rows, SAMPLE_ROWS, replace=False)
        return np.sort(chosen).astype(np.int64)

    @cached_property
    def folds(self) -> npt.NDArray[np.int8]:
        """(N,) fold 0-3 of each row: rows of one entity, and rows with equal inputs, share a fold."""
        key = self.input_hash if self.input_names else np.arange(self.n_rows, dtype=np.uint64)
        if self.schema.entity is not None and self.schema.entity in self.arrow.column_names:
            key = self.hashes(self.schema.entity)
        shuffled = mix(key ^ np.uint64(self.rng("folds").integers(1 << 62)))
        return (shuffled % np.uint64(4)).astype(np.int8)

    def row_ids(self, rows: Rows) -> list[str]:
        """Ids of rows as the user knows them: the declared id column, else the position from 0."""
        name = self.schema.row_id
        if name is None or name not in self.arrow.column_names:
            return [str(r) for r in rows.tolist()]
        return [str(v) for v in self.arrow.column(name).take(pa.array(rows)).to_pylist()]

    # --- labels -------------------------------------------------------------------------------------------

    @cached_property
    def labels(self) -> tuple[Labels, ...]:
        """Every label column of every task but the token-tagging and reconstruction ones."""
        found: list[Labels] = []
        for task in self.schema.tasks:
            if task.kind not in (TaskKind.TOKEN_TAGGING, TaskKind.RECONSTRUCTION):
                found += self._labels_of(task)
        return tuple(found)

    def task_present(self, task: Task) -> Flags:
        """(N,) bool: the row has at least one label of the task."""

        def make() -> Flags:
            out = np.zeros(self.n_rows, dtype=bool)
            for name in task.columns:
                if name in self.arrow.column_names:
                    out |= ~self.missing(name)
            return out & self._where(task)

        return self.once("present", task.name, make=make)

    def _where(self, task: Task) -> Flags:
        if task.where is None:
            return np.ones(self.n_rows, dtype=bool)
        values, levels = self.codes(task.where[0])
        match = [i for i, level in enumerate(levels) if str(level) == task.where[1]]
        return np.isin(values, match)

    def _labels_of(self, task: Task) -> list[Labels]:
        where = self._where(task)
        out = []
        for name in task.columns:
            if name not in self.arrow.column_names:
                continue
            if task.kind is TaskKind.MULTILABEL and is_list(self.arrow.schema.field(name).type):
                out += self._list_labels(task, name, where)
            elif task.kind is TaskKind.REGRESSION:
                values = self.numbers(name)
                present = where & ~np.isnan(values)
                out.append(Labels(task.name, name, task.kind, np.where(present, values, 0.0), present, ()))
            else:
                out.append(self._class_labels(task, name, where))
        return out

    def _class_labels(self, task: Task, name: str, where: Flags) -> Labels:
        values, levels = self.codes(name)
        classes: tuple[Label, ...] = levels
        if task.kind is TaskKind.MULTILABEL:
            classes = (0, 1)
        elif task.classes:
            classes = task.classes
        position = {_text(c): i for i, c in enumerate(classes)}
        lookup = np.array([position.get(_text(level), -1) for level in levels] + [0], dtype=np.float64)
        present = where & (values >= 0)
        return Labels(task.name, name, task.kind, np.where(present, lookup[values], 0.0), present, classes)

    def _list_labels(self, task: Task, name: str, where: Flags) -> list[Labels]:
        column = self.arrow.column(name).to_pylist()
        present = where & np.array([cell is not None for cell in column], dtype=bool)
        classes = task.classes or tuple(sorted({v for cell in column if cell for v in cell}, key=_text))
        out = []
        for label in classes:
            values = np.array([cell is not None and label in cell for cell in column], dtype=np.float64)
            out.append(Labels(task.name, _text(label), task.kind, values, present, (0, 1)))
        return out

    # --- bins ---------------------------------------------------------------------------------------------

    def bins(self, name: str, n_bins: int = 32) -> Bins:
        """A narrow column cut into at most `n_bins` bins, one for the rest of its categories, one for missing."""

        def make() -> Bins:
            numeric = self.is_numeric(name) and self.kind(name) is not InputKind.CATEGORICAL
            if numeric:
                return quantile_bins(self.numbers(name), n_bins)
            return code_bins(self.codes(name)[0], n_bins)

        return self.once("bins", name, str(n_bins), make=make)

    # --- time ---------------------------------------------------------------------------------------------

    @cached_property
    def time(self) -> Floats | None:
        """(N,) seconds (or the number itself) of the declared time column; None without one."""
        name = self.schema.time
        if name is None or name not in self.arrow.column_names:
            return None
        if self.is_numeric(name):
            return self.numbers(name)
        try:
            return numbers(self.arrow.column(name).cast(pa.timestamp("us")))
        except pa.ArrowInvalid:
            return None


def _text(label: Label) -> str:
    """One spelling for a class whether it came as 1, 1.0, True or '1'."""
    if isinstance(label, bool):
        return str(int(label))
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)
