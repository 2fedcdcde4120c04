"""Kinds of defect to plant in a table, each with the check that must find it and the strengths to try.

Used by the contract suite on a synthetic table and by `benchmarks/audit_planted.py` on real ones. A kind takes a case
(table, schema, parts), a strength and a generator, and returns the planted case, or None where the table has nothing
to plant it in. The last strength of each kind is the one at which detection is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.audit.run import view_of
from sharewise.audit.view import AuditView, Labels
from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tables.split import Split
from sharewise.tasks import Task, TaskKind, TaskSet

TRAIN, TEST = 0, 2


@dataclass(frozen=True)
class Case:
    """A table with its meaning and parts, and which tasks and columns a defect was planted in."""

    table: pa.Table
    schema: Schema
    part: np.ndarray
    touched: frozenset[str] = frozenset()

    @property
    def split(self) -> Split:
        """The parts as a split."""
        return Split(*(np.flatnonzero(self.part == p) for p in range(3)))

    def view(self, seed: int = 0, level: str = "full") -> AuditView:
        """What a check gets."""
        return view_of(self.table, self.schema, self.split, seed=seed, level="quick" if level == "quick" else "full")

    def labels(self, kinds: tuple[TaskKind, ...] = ()) -> list[Labels]:
        """Label columns that live on most rows, so that something can be planted in them."""
        return [k for k in self.view().labels if (not kinds or k.kind in kinds) and k.present.sum() >= 200]

    def with_column(self, name: str, values: pa.Array | list[object] | np.ndarray) -> Case:
        """The case with a column added or replaced."""
        column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
        if name in self.table.column_names:
            at = self.table.column_names.index(name)
            return replace(self, table=self.table.set_column(at, name, column))
        return replace(self, table=self.table.append_column(name, column))

    def with_input(self, name: str, values: pa.Array | list[object] | np.ndarray, kind: InputKind) -> Case:
        """The case with another input."""
        made = self.with_column(name, values)
        inputs = (*(i for i in self.schema.inputs if i.name != name), Input(name, kind))
        return replace(made, schema=replace(self.schema, inputs=inputs))

    def with_task(self, task: Task, values: pa.Array | list[object] | np.ndarray) -> Case:
        """The case with another task."""
        made = self.with_column(task.name, values)
        return replace(made, schema=replace(self.schema, tasks=TaskSet((*self.schema.tasks, task))))

    def with_rows(self, rows: np.ndarray, part: np.ndarray | None = None) -> Case:
        """Only (or repeatedly) these rows; ids are made unique."""
        table = self.table.take(pa.array(rows))
        made = replace(self, table=table, part=self.part[rows] if part is None else part)
        if self.schema.row_id is None or pa.types.is_temporal(table.schema.field(self.schema.row_id).type):
            return made
        seen: dict[object, int] = {}
        ids = []
        for value in table.column(self.schema.row_id).to_pylist():
            seen[value] = seen.get(value, 0) + 1
            ids.append(str(value) if seen[value] == 1 else f"{value}#{seen[value]}")
        return made.with_column(self.schema.row_id, ids)

    def relabel(self, labels: Labels, values: np.ndarray, present: np.ndarray | None = None) -> Case:
        """Other values (codes or numbers) for a label column."""
        present = labels.present if present is None else present
        kind = self.table.schema.field(labels.column).type
        if labels.is_class:
            cells = [labels.classes[int(v)] if p and v >= 0 else None for v, p in zip(values, present, strict=True)]
            if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
                return self.with_column(labels.column, pa.array([None if c is None else int(c) for c in cells]))
            return self.with_column(labels.column, pa.array([None if c is None else str(c) for c in cells]))
        return self.with_column(labels.column, pa.array(values.astype(np.float64), mask=~present))

    def touch(self, *names: str) -> Case:
        """Remember what was planted in."""
        return replace(self, touched=frozenset(names))


Plant = Callable[[Case, float, np.random.Generator], Case | None]


@dataclass(frozen=True)
class Kind:
    """A kind of defect."""

    name: str
    group: str
    check: str
    strengths: tuple[float, ...]
    unit: str
    plant: Plant


KINDS: list[Kind] = []
CLASSES = (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL, TaskKind.MULTILABEL)


def kind(group: str, check: str, strengths: tuple[float, ...], unit: str) -> Callable[[Plant], Plant]:
    """Register a kind under its function's name."""

    def note(plant: Plant) -> Plant:
        KINDS.append(Kind(plant.__name__, group, check, strengths, unit, plant))
        return plant

    return note


def pick(items: list, rng: np.random.Generator):  # type: ignore[no-untyped-def, type-arg]
    """One item, or None."""
    return items[int(rng.integers(len(items)))] if items else None


def numeric_inputs(case: Case, distinct: int = 50) -> list[str]:
    """Inputs of many numbers."""
    view = case.view()
    return [n for n in view.numeric_inputs if len(np.unique(view.numbers(n)[~np.isnan(view.numbers(n))])) >= distinct]


def fine(case: Case) -> bool:
    """Rows have inputs of their own, so that a copy differs from what chance makes."""
    if not case.schema.inputs:
        return False
    _, counts = np.unique(case.view().input_hash, return_counts=True)
    return bool(counts[counts > 1].sum() < 0.05 * len(case.part))


def balanced(case: Case) -> list[Labels]:
    """Class labels with two classes of over 50 rows in train."""
    out = []
    for k in case.labels(CLASSES):
        values = k.values[k.present & (case.part == TRAIN)]
        counts = np.bincount(values[values >= 0].astype(int), minlength=2)
        if np.sort(counts)[-2] >= 50:
            out.append(k)
    return out


# --- leakage ----------------------------------------------------------------------------------------------


@kind("leakage", "input_leaks", (0.9, 0.99), "share of rows on which a category equals the label")
def label_as_category(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(balanced(case), rng)
    if labels is None:
        return None
    n = len(labels.classes)
    codes = np.where(rng.random(len(labels.values)) < strength, labels.values, rng.integers(0, n, len(labels.values)))
    codes = np.where(labels.present, codes, rng.integers(0, n, len(codes))).astype(int)
    words = rng.permutation([f"w{i}" for i in range(n)])
    return case.with_input("extra", pa.array(words[codes].tolist()), InputKind.CATEGORICAL).touch("extra")


@kind("leakage", "input_leaks", (0.1, 0.02), "noise beside a number's copy, in its standard deviations")
def label_as_number(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(case.labels((TaskKind.REGRESSION,)), rng)
    if labels is None:
        return None
    known = labels.values[labels.present]
    values = np.where(labels.present, labels.values, rng.permutation(np.resize(known, len(labels.values))))
    values = -3 * (values + strength * known.std() * rng.normal(size=len(values))) + 7
    return case.with_input("extra", values, InputKind.NUMERIC).touch("extra")


@kind("leakage", "input_leaks", (0.05, 0.01), "share of rows on which missingness does not follow the label")
def missing_by_label(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick([k for k in balanced(case) if len(k.classes) == 2], rng)
    name = pick([n for n in numeric_inputs(case) if case.view().missing(n).mean() < 0.01], rng)
    if labels is None or name is None:
        return None
    gone = (labels.values == 1) & labels.present
    gone ^= rng.random(len(gone)) < strength * 0.25
    return case.with_column(
        name, pa.array(case.view().numbers(name), mask=gone | np.isnan(case.view().numbers(name)))
    ).touch(name)


@kind("leakage", "input_leaks", (0.05, 0.01), "share of rows whose time does not follow the label")
def time_by_label(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(balanced(case), rng)
    if labels is None:
        return None
    class_ = np.where(
        rng.random(len(labels.values)) < strength,
        rng.integers(0, len(labels.classes), len(labels.values)),
        labels.values,
    )
    seconds = (1.7e9 + class_ * 86400 * 30 + rng.integers(0, 86400 * 25, len(class_))).astype("int64")
    return case.with_input("stamp", pa.array(seconds).cast(pa.timestamp("s")), InputKind.DATETIME).touch("stamp")


@kind("leakage", "leaky_names", (1,), "columns")
def leaky_name(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    task = pick(
        [t.name for t in case.schema.tasks if len([c for c in t.name if c.isalnum()]) >= 4 and t.where is None], rng
    )
    if task is None:
        return None
    name = f"prev_{task}_mean"
    return case.with_input(name, rng.normal(size=case.table.num_rows), InputKind.NUMERIC).touch(name)


@kind("leakage", "id_columns", (1,), "columns")
def id_as_input(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    ids = 100_000 + rng.permutation(case.table.num_rows)
    return case.with_input("customer", ids, InputKind.NUMERIC).touch("customer")


@kind("leakage", "id_columns", (0.8, 1.0), "share of rows that are sorted by the label")
def sorted_by_label(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick([k for k in balanced(case) if k.present.mean() > 0.9], rng)
    if labels is None or case.schema.time is not None:
        return None
    key = np.where(
        rng.random(len(labels.values)) < strength,
        labels.values,
        rng.uniform(0, len(labels.classes), len(labels.values)),
    )
    return case.with_rows(np.argsort(key, kind="stable")).touch(labels.column)


@kind("leakage", "split_duplicates", (0.01, 0.02), "share of test rows copied into train")
def copies_across(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    test = np.flatnonzero(case.part == TEST)
    if not fine(case) or len(test) < 50:
        return None
    chosen = rng.choice(test, max(3, int(strength * len(test))), replace=False)
    rows = np.concatenate([np.arange(len(case.part)), chosen])
    return case.with_rows(rows, np.concatenate([case.part, np.full(len(chosen), TRAIN, np.int8)])).touch()


@kind("leakage", "split_duplicates", (0.02, 0.05), "share of test rows with a twin in train labelled for another task")
def twin_of_other_task(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    test = np.flatnonzero(case.part == TEST)
    tasks = [
        t for t in case.schema.tasks if t.where is None and len(t.columns) == 1 and t.kind is not TaskKind.TOKEN_TAGGING
    ]
    if not fine(case) or len(test) < 50 or len(tasks) < 2:
        return None
    a, b = (tasks[i] for i in rng.choice(len(tasks), 2, replace=False))
    view = case.view()
    usable = test[view.task_present(a)[test] & view.task_present(b)[test]]
    if len(usable) < 20:
        return None
    chosen = rng.choice(usable, min(len(usable), max(3, int(strength * len(test)))), replace=False)
    n = len(case.part)
    made = case.with_rows(
        np.concatenate([np.arange(n), chosen]), np.concatenate([case.part, np.full(len(chosen), TRAIN, np.int8)])
    )
    copies = np.arange(len(made.part)) >= n
    for task in case.schema.tasks:
        if task.name != b.name and len(task.columns) == 1:
            made = _blank(made, task.columns[0], copies)
    return made.touch(a.name)


def _blank(case: Case, name: str, rows: np.ndarray) -> Case:
    column = case.table.column(name)
    if pa.types.is_list(column.type):
        values = column.to_pylist()
        return case.with_column(
            name, pa.array([None if r else v for v, r in zip(values, rows, strict=True)], column.type)
        )
    return case.with_column(name, pc.if_else(pa.array(rows), pa.scalar(None, column.type), column))


@kind("leakage", "near_duplicates", (0.05, 0.05), "share of test rows copied into train with 0.1 % noise on numbers")
def near_copies_of_numbers(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    names = numeric_inputs(case)
    test = np.flatnonzero(case.part == TEST)
    if len(names) < 3 or len(test) < 100 or not fine(case):
        return None
    chosen = rng.choice(test, max(5, int(strength * len(test))), replace=False)
    n = len(case.part)
    made = case.with_rows(
        np.concatenate([np.arange(n), chosen]), np.concatenate([case.part, np.full(len(chosen), TRAIN, np.int8)])
    )
    for name in names:
        values = made.view().numbers(name).copy()
        values[n:] += 0.001 * np.nanstd(values) * rng.normal(size=len(chosen))
        made = made.with_column(name, values)
    return made.touch()


@kind("leakage", "near_duplicates", (0.05, 0.05), "share of test texts copied into train with one word changed")
def near_copies_of_texts(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    texts = [i.name for i in case.schema.inputs if i.kind is InputKind.TEXT]
    if not texts or len(texts) != len(case.schema.inputs):
        return None
    joined = [
        " ".join(str(v) for v in row) for row in zip(*(case.table.column(t).to_pylist() for t in texts), strict=True)
    ]
    long = np.array([len(v) >= 60 for v in joined])
    test = np.flatnonzero((case.part == TEST) & long)
    if len(test) < 50:
        return None
    chosen = rng.choice(
        test,
        max(5, int(strength * (case.part == TEST).sum())),
        replace=len(test) < strength * (case.part == TEST).sum(),
    )
    n = len(case.part)
    made = case.with_rows(
        np.concatenate([np.arange(n), chosen]), np.concatenate([case.part, np.full(len(chosen), TRAIN, np.int8)])
    )
    values = made.table.column(texts[0]).to_pylist()
    for i in range(n, len(values)):
        words = values[i].split(" ")
        words[int(rng.integers(len(words)))] = "thing"
        values[i] = " ".join(words)
    return made.with_column(texts[0], pa.array(values)).touch()


@kind(
    "leakage", "near_duplicates", (0.05, 0.05), "share of test pictures copied into train with grey noise of 2 of 255"
)
def near_copies_of_pictures(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    pictures = [i.name for i in case.schema.inputs if i.kind is InputKind.IMAGE]
    test = np.flatnonzero(case.part == TEST)
    if not pictures:
        return None
    chosen = rng.choice(test, int(strength * len(test)), replace=False)
    n = len(case.part)
    made = case.with_rows(
        np.concatenate([np.arange(n), chosen]), np.concatenate([case.part, np.full(len(chosen), TRAIN, np.int8)])
    )
    column = made.table.column(pictures[0])
    values = column.to_pylist()
    for i in range(n, len(values)):
        pixels = np.frombuffer(values[i], np.uint8).astype(int) + rng.integers(-2, 3, len(values[i]))
        values[i] = np.clip(pixels, 0, 255).astype(np.uint8).tobytes()
    return made.with_column(pictures[0], pa.array(values, column.type)).touch()


@kind("leakage", "split_entities", (0.02, 0.1), "share of test rows whose entity is in train")
def entity_across(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    n = len(case.part)
    entity = np.array([f"e{case.part[i]}_{v}" for i, v in enumerate(rng.integers(0, max(n // 4, 1), n))], dtype=object)
    test = np.flatnonzero(case.part == TEST)
    if len(test) < 20:
        return None
    chosen = rng.choice(test, max(2, int(strength * len(test))), replace=False)
    entity[chosen] = rng.choice(entity[case.part == TRAIN], len(chosen))
    made = case.with_column("who", pa.array(entity.tolist()))
    return replace(made, schema=replace(case.schema, entity="who")).touch("who")


@kind("leakage", "split_time", (0.005, 0.02), "share of test rows moved into train")
def future_in_train(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    test = np.flatnonzero(case.part == TEST)
    if case.schema.time is None or len(test) < 100:
        return None
    part = case.part.copy()
    part[rng.choice(test, int(strength * len(test)) + 1, replace=False)] = TRAIN
    return replace(case, part=part).touch()


@kind("leakage", "target_copies", (0.99, 1.0), "share of rows on which a new task repeats another under new names")
def same_task_twice(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick([k for k in balanced(case) if len(k.classes) <= 10], rng)
    if labels is None:
        return None
    codes = np.where(
        rng.random(len(labels.values)) < strength,
        labels.values,
        rng.integers(0, len(labels.classes), len(labels.values)),
    )
    names = tuple(f"k{i}" for i in rng.permutation(len(labels.classes)))
    values = pa.array([names[int(c)] if p and c >= 0 else None for c, p in zip(codes, labels.present, strict=True)])
    kind_ = TaskKind.BINARY if len(names) == 2 else TaskKind.MULTICLASS
    return case.with_task(Task("again", kind_, ("again",), "auto", classes=names), values).touch("again")


@kind("leakage", "target_copies", (0.05, 0.01), "noise beside a monotone copy, in its standard deviations")
def same_number_twice(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(case.labels((TaskKind.REGRESSION,)), rng)
    if labels is None:
        return None
    spread = labels.values[labels.present].std()
    values = np.cbrt(labels.values - np.median(labels.values) + strength * spread * rng.normal(size=len(labels.values)))
    return case.with_task(
        Task("again", TaskKind.REGRESSION, ("again",), "auto"), pa.array(values, mask=~labels.present)
    ).touch("again")


@kind("leakage", "target_copies", (0.99, 1.0), "share of rows on which a coarse task follows from a fine one")
def coarse_of_fine(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick([k for k in balanced(case) if len(k.classes) >= 3], rng)
    if labels is None:
        return None
    top = np.bincount(
        labels.values[labels.present & (labels.values >= 0)].astype(int), minlength=len(labels.classes)
    ).argmax()
    coarse = np.where(
        rng.random(len(labels.values)) < strength, labels.values == top, rng.random(len(labels.values)) < 0.5
    )
    task = Task("coarse", TaskKind.BINARY, ("coarse",), "auto", classes=(0, 1))
    return case.with_task(task, pa.array(coarse.astype(int), mask=~labels.present)).touch("coarse")


@kind("leakage", "shifted_targets", (0.97, 1.0), "share of rows on which a new task is another one row before")
def shifted_copy(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    usable = [
        k
        for k in case.labels((TaskKind.REGRESSION,))
        if len(np.unique(k.values[k.present])) > max(50, 0.05 * k.present.sum())
    ]
    labels = pick([k for k in usable if k.present.mean() > 0.7], rng)
    if labels is None:
        return None
    view = case.view()
    order = np.arange(len(labels.values)) if view.time is None else np.argsort(view.time, kind="stable")
    lag = int(rng.integers(1, 4))
    values, present = np.zeros(len(order)), np.zeros(len(order), dtype=bool)
    values[order[lag:]], present[order[lag:]] = labels.values[order[:-lag]], labels.present[order[:-lag]]
    values = np.where(rng.random(len(values)) < strength, values, values + labels.values.std())
    return case.with_task(
        Task("later", TaskKind.REGRESSION, ("later",), "auto"), pa.array(values, mask=~present)
    ).touch("later")


@kind("annotation", "shifted_targets", (0.01, 0.02), "share of rows on which a total is not the sum of its parts")
def broken_total(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    usable = [
        k
        for k in case.labels((TaskKind.REGRESSION,))
        if len(np.unique(k.values[k.present])) > max(50, 0.02 * k.present.sum())
    ]
    if len(usable) < 2:
        return None
    a, b = (usable[i] for i in rng.choice(len(usable), 2, replace=False))
    both = a.present & b.present
    if both.sum() < 200:
        return None
    total = a.values + b.values + np.where(rng.random(len(both)) < strength, total_error(a, rng), 0)
    return case.with_task(Task("total", TaskKind.REGRESSION, ("total",), "auto"), pa.array(total, mask=~both)).touch(
        "total"
    )


def total_error(labels: Labels, rng: np.random.Generator) -> np.ndarray:
    """Errors of the size of the label's spread."""
    return labels.values[labels.present].std() * rng.normal(size=len(labels.values))


# --- annotation -------------------------------------------------------------------------------------------


def _copied_with(case: Case, labels: Labels, rows: np.ndarray, rng: np.random.Generator) -> Case:
    """Copies of train rows with another label."""
    n = len(case.part)
    made = case.with_rows(
        np.concatenate([np.arange(n), rows]), np.concatenate([case.part, np.full(len(rows), TRAIN, np.int8)])
    )
    again = next(k for k in made.view().labels if k.column == labels.column)
    values = again.values.copy()
    if labels.is_class:
        values[n:] = (values[n:] + rng.integers(1, len(labels.classes), len(rows))) % len(labels.classes)
    else:
        values[n:] = rng.permutation(values[n:]) + labels.values[labels.present].std()
    return made.relabel(again, values, again.present)


@kind("annotation", "label_conflicts", (0.005, 0.02), "share of train rows copied with another label")
def contradicting_copies(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(case.labels((TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL, TaskKind.REGRESSION)), rng)
    if labels is None or not fine(case):
        return None
    train = np.flatnonzero(
        (case.part == TRAIN) & labels.present & (labels.values >= (0 if labels.is_class else -np.inf))
    )
    rows = rng.choice(train, max(10, int(strength * len(train))), replace=False)
    return _copied_with(case, labels, rows, rng).touch(labels.column)


@kind("annotation", "near_duplicates", (0.02, 0.05), "share of train rows nearly copied with another label")
def contradicting_near_copies(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    names = numeric_inputs(case)
    labels = pick([k for k in balanced(case) if k.kind is not TaskKind.MULTILABEL], rng)
    if labels is None or len(names) < 3 or not fine(case):
        return None
    train = np.flatnonzero((case.part == TRAIN) & labels.present & (labels.values >= 0))
    rows = rng.choice(train, max(40, int(strength * len(train))), replace=False)
    n = len(case.part)
    made = _copied_with(case, labels, rows, rng)
    for name in names:
        values = made.view().numbers(name).copy()
        values[n:] += 0.001 * np.nanstd(values) * rng.normal(size=len(rows))
        made = made.with_column(name, values)
    return made.touch(labels.column)


@kind("annotation", "label_rules", (0.001, 0.005), "share of the rows of a class that have its opposite too")
def broken_exclusion(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(
        [
            k
            for k in balanced(case)
            if len(k.classes) == 2 and 0.1 < k.values[k.present].mean() < 0.9 and k.present.sum() > 1500
        ],
        rng,
    )
    if labels is None:
        return None
    free = labels.values == 0
    opposite = (free & (rng.random(len(free)) < 0.5)) | (~free & (rng.random(len(free)) < strength))
    first = np.flatnonzero(~free & labels.present)[:1]
    opposite[first] = True
    task = Task("opposite", TaskKind.BINARY, ("opposite",), "auto", classes=(0, 1))
    return case.with_task(task, pa.array(opposite.astype(int), mask=~labels.present)).touch("opposite")


@kind("annotation", "label_rules", (0.002, 0.01), "share of a child's labels where its parent says there is none")
def orphan_children(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(
        [
            k
            for k in balanced(case)
            if len(k.classes) == 2 and 0.2 < k.values[k.present].mean() < 0.8 and k.present.sum() > 500
        ],
        rng,
    )
    if labels is None:
        return None
    asked = (labels.values == 1) & labels.present
    orphans = rng.choice(np.flatnonzero(~asked & labels.present), max(1, int(strength * asked.sum())), replace=False)
    asked[orphans] = True
    task = Task("child", TaskKind.BINARY, ("child",), "auto", classes=(0, 1))
    return case.with_task(task, pa.array(rng.integers(0, 2, len(asked)), mask=~asked)).touch("child")


@kind(
    "annotation", "annotators", (0.1, 0.25), "share of the labels given by an annotator who reads the classes reversed"
)
def reversed_annotator(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick([k for k in _learnable(case) if len(k.classes) == 2], rng)
    if labels is None:
        return None
    who = np.where(rng.random(len(labels.values)) < strength, 4, rng.integers(0, 4, len(labels.values)))
    made = case.with_column("annotator", pa.array([f"a{w}" for w in who]))
    values = np.where(who == 4, 1 - labels.values, labels.values)
    return made.relabel(labels, values).touch(labels.column)


@kind(
    "annotation", "annotators", (0.5, 1.0), "shift of one site's numbers, in residual standard deviations of the labels"
)
def shifted_site(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(case.labels((TaskKind.REGRESSION,)), rng)
    if labels is None or not case.schema.inputs:
        return None
    site = rng.integers(0, 3, len(labels.values))
    made = case.with_column("site", pa.array([f"s{w}" for w in site]))
    values = labels.values + np.where(site == 2, strength * labels.values[labels.present].std(), 0)
    return made.relabel(labels, values).touch(labels.column)


# --- noise ------------------------------------------------------------------------------------------------


_LEARNABLE: dict[int, tuple[Case, list[Labels]]] = {}


def _learnable(case: Case) -> list[Labels]:
    """Class labels that a model learns well (ROC-AUC of 0.85 or more), of which noise can be told at all."""
    if id(case) not in _LEARNABLE:  # the case is kept beside, so that its id stays its own
        _LEARNABLE[id(case)] = case, _fit_learnable(case)
    return _LEARNABLE[id(case)][1]


def _fit_learnable(case: Case) -> list[Labels]:
    from sharewise.audit.forecasts import forecast
    from sharewise.audit.noise import auc

    view = case.view()
    out = []
    for labels in [k for k in balanced(case) if k.present.sum() >= 400][:4]:
        said = forecast(view, labels)
        if said is None:
            continue
        given = labels.values[said.rows].astype(int)
        areas = [
            auc(said.values[:, c].astype(float), given == c)
            for c in range(len(labels.classes))
            if (given == c).sum() > 20
        ]
        share = np.bincount(given).max() / len(given)
        right = (said.values.argmax(1) == given).mean()
        if np.mean([a or 0.5 for a in areas]) >= 0.85 and share <= 0.85 and (len(labels.classes) == 2 or right > 0.75):
            out.append(labels)
    return out


@kind("noise", "label_noise", (0.05, 0.1, 0.15), "share of a binary task's labels flipped")
def flipped_binary(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick([k for k in _learnable(case) if len(k.classes) == 2], rng)
    return None if labels is None else _flip(case, labels, strength, rng)


@kind("noise", "label_noise", (0.05, 0.1, 0.15), "share of a task's labels moved to another of three or more classes")
def flipped_classes(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick([k for k in _learnable(case) if len(k.classes) > 2], rng)
    return None if labels is None else _flip(case, labels, strength, rng)


def _flip(case: Case, labels: Labels, strength: float, rng: np.random.Generator) -> Case:
    known = np.flatnonzero(labels.present & (labels.values >= 0))
    chosen = rng.choice(known, int(strength * len(known)), replace=False)
    values = labels.values.copy()
    values[chosen] = (values[chosen] + rng.integers(1, len(labels.classes), len(chosen))) % len(labels.classes)
    return case.relabel(labels, values).touch(labels.column)


@kind("noise", "label_noise", (0.05, 0.1, 0.15), "share of a task's numbers exchanged between rows")
def exchanged_numbers(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    from sharewise.audit.forecasts import forecast

    view = case.view()
    usable = []
    for labels in case.labels((TaskKind.REGRESSION,)):
        said = forecast(view, labels)
        if said is not None:
            y = labels.values[said.rows]
            if 1 - ((y - said.values[:, 0]) ** 2).mean() / y.var() >= 0.85:
                usable.append(labels)
    labels = pick(usable, rng)
    if labels is None:
        return None
    known = np.flatnonzero(labels.present)
    chosen = rng.choice(known, int(strength * len(known)), replace=False)
    values = labels.values.copy()
    values[chosen] = rng.permutation(values[chosen])
    return case.relabel(labels, values).touch(labels.column)


@kind("noise", "tag_noise", (0.05, 0.1), "share of the tags of a tagging task replaced")
def noisy_tags(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    task = pick([t for t in case.schema.tasks if t.kind is TaskKind.TOKEN_TAGGING], rng)
    if task is None:
        return None
    column = case.table.column(task.columns[0]).to_pylist()
    tags = sorted({v for cell in column if cell for v in cell})
    values = [
        None if c is None else [tags[int(rng.integers(len(tags)))] if rng.random() < strength else v for v in c]
        for c in column
    ]
    return case.with_column(task.columns[0], pa.array(values)).touch(task.name)


@kind("noise", "tag_noise", (0.001, 0.005), "share of rows whose tags slipped by one")
def slipped_tags(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    task = pick([t for t in case.schema.tasks if t.kind is TaskKind.TOKEN_TAGGING], rng)
    if task is None:
        return None
    column = case.table.column(task.columns[0]).to_pylist()
    chosen = set(
        rng.choice([i for i, c in enumerate(column) if c], max(1, int(strength * len(column))), replace=False).tolist()
    )
    values = [c[:-1] if i in chosen else c for i, c in enumerate(column)]
    return case.with_column(task.columns[0], pa.array(values)).touch(task.name)


# --- time -------------------------------------------------------------------------------------------------


@kind("time", "task_periods", (0.2, 0.4), "share of the time in which one task is not labelled, at its start")
def late_start(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    tasks = [t for t in case.schema.tasks if t.where is None and len(t.columns) == 1]
    if case.schema.time is None or len(tasks) < 2:
        return None
    task = pick(tasks, rng)
    rank = np.argsort(np.argsort(case.view().time, kind="stable")) / len(case.part)
    return _blank(case, task.columns[0], rank < strength).touch(task.name)


@kind("time", "task_periods", (0.7, 0.9), "share of the labels of the last twelfth of the time that are not there yet")
def delayed_labels(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    task = pick([t for t in case.schema.tasks if t.where is None and len(t.columns) == 1], rng)
    if case.schema.time is None or task is None:
        return None
    rank = np.argsort(np.argsort(case.view().time, kind="stable")) / len(case.part)
    return _blank(case, task.columns[0], (rank > 11 / 12) & (rng.random(len(rank)) < strength)).touch(task.name)


@kind(
    "time", "label_drift", (0.3, 0.6), "shift of a task's later labels in train, in standard deviations or as a share"
)
def drifting_labels(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(case.labels((TaskKind.BINARY, TaskKind.REGRESSION)), rng)
    if case.schema.time is None or labels is None:
        return None
    time = case.view().time
    late = (time > np.median(time[case.part == TRAIN])) & (case.part == TRAIN)
    if labels.is_class:
        values = np.where(late & (rng.random(len(late)) < strength), 1.0, labels.values)
    else:
        values = labels.values + np.where(late, 2 * strength * labels.values[labels.present].std(), 0)
    return case.relabel(labels, values).touch(labels.column)


@kind("time", "test_period", (2, 3), "calendar months of the test period that are taken out of train")
def unseen_season(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    if case.schema.time is None:
        return None
    months = pc.month(case.table.column(case.schema.time).cast(pa.timestamp("us"))).to_numpy()
    tested, counts = np.unique(months[case.part == TEST], return_counts=True)
    shared = [
        m
        for m, n in zip(tested, counts, strict=True)
        if n > 0.1 * counts.sum() and (months[case.part == TRAIN] == m).any()
    ]
    if len(shared) < strength:
        return None
    gone = rng.choice(shared, int(strength), replace=False)
    part = np.where((case.part == TRAIN) & np.isin(months, gone), -1, case.part).astype(np.int8)
    return replace(case, part=part).touch()


@kind("time", "frozen_inputs", (0.1, 0.2), "share of the time in which a sensor stands still")
def stuck_sensor(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    if case.schema.time is None:
        return None
    view = case.view()
    order = np.argsort(view.time, kind="stable")
    moving = [n for n in numeric_inputs(case) if (np.diff(view.numbers(n)[order]) != 0).mean() > 0.6]
    name = pick(moving, rng)
    if name is None or case.schema.group is not None:
        return None
    start = int(rng.integers(0, int(len(order) * (1 - strength))))
    values = view.numbers(name).copy()
    inside = order[start : start + int(strength * len(order))]
    values[inside] = np.nanmedian(values)
    return case.with_column(name, values).touch(name)


# --- coverage ---------------------------------------------------------------------------------------------


def _ordinary(case: Case) -> list[Task]:
    return [t for t in case.schema.tasks if t.where is None and len(t.columns) == 1]


@kind("coverage", "task_volumes", (0.07, 0.03), "share of one task's labels that stay")
def tiny_task(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    tasks = _ordinary(case)
    if len(tasks) < 2:
        return None
    view = case.view()
    sizes = [int((view.task_present(t) & (case.part == TRAIN)).sum()) for t in tasks]
    usable = [t for t, n in zip(tasks, sizes, strict=True) if n > max(sizes) / 2 and n * strength >= 5]
    task = pick(usable, rng)
    if task is None or (len(usable) == 1 and len(tasks) > 1):
        return None
    return _blank(case, task.columns[0], rng.random(len(case.part)) > strength).touch(task.name)


@kind("coverage", "class_balance", (15, 30), "times more rows in one class than in the other")
def rare_class(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    usable = [k for k in balanced(case) if len(k.classes) == 2 and k.kind is not TaskKind.MULTILABEL]
    labels = pick(usable, rng)
    if labels is None:
        return None
    ones = np.flatnonzero((labels.values == 1) & labels.present)
    zeros = int(((labels.values == 0) & labels.present).sum())
    keep = max(2, int(zeros / strength))
    if keep >= len(ones):
        return None
    gone = np.zeros(len(case.part), dtype=bool)
    gone[rng.permutation(ones)[keep:]] = True
    return _blank(case, labels.column, gone).touch(labels.column)


@kind("coverage", "task_overlap", (1,), "pairs of tasks without a common row")
def disjoint_tasks(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    tasks = _ordinary(case)
    if len(tasks) < 2:
        return None
    a, b = (tasks[i] for i in rng.choice(len(tasks), 2, replace=False))
    half = rng.random(len(case.part)) < 0.5
    return _blank(_blank(case, a.columns[0], half), b.columns[0], ~half).touch(a.name, b.name)


@kind("coverage", "missing_labels", (0.7, 0.9), "share of labels missing above the median of an input (none below)")
def missing_by_input(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    name = pick(numeric_inputs(case, 20), rng)
    labels = pick([k for k in case.labels() if k.kind is not TaskKind.MULTILABEL and k.present.mean() > 0.9], rng)
    if name is None or labels is None:
        return None
    values = case.view().numbers(name)
    gone = (values > np.nanmedian(values)) & (rng.random(len(values)) < strength)
    return None if gone.mean() < 0.2 else _blank(case, labels.column, gone).touch(labels.task)


@kind("coverage", "missing_labels", (0.9, 0.98), "how surely another task's label decides whether a task is labelled")
def missing_by_label_of_other(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    parents = [
        k
        for k in balanced(case)
        if len(k.classes) == 2 and 0.2 < k.values[k.present].mean() < 0.8 and k.present.mean() > 0.9
    ]
    parent = pick(parents, rng)
    labels = pick(
        [k for k in case.labels() if k.present.mean() > 0.9 and (parent is None or k.column != parent.column)], rng
    )
    if parent is None or labels is None:
        return None
    gone = (parent.values == 0) == (rng.random(len(case.part)) < strength)
    return _blank(case, labels.column, gone).touch(labels.task)


@kind("coverage", "test_power", (100, 40), "test rows that stay")
def small_test(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    test = np.flatnonzero(case.part == TEST)
    if len(test) < 200:
        return None
    part = case.part.copy()
    part[rng.permutation(test)[int(strength) :]] = -1
    return replace(case, part=part).touch()


@kind("coverage", "degenerate_tasks", (1,), "tasks with one class, or one number, in test")
def one_class_in_test(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick([k for k in case.labels() if len(np.unique(k.values[k.present & (case.part == TEST)])) > 1], rng)
    if labels is None:
        return None
    values = labels.values.copy()
    tested = (case.part == TEST) & labels.present
    values[tested] = values[tested][0]
    return case.relabel(labels, values).touch(labels.task)


# --- form -------------------------------------------------------------------------------------------------


@kind("form", "constant_columns", (1,), "columns")
def constant_input(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    return case.with_input("fixed", np.full(case.table.num_rows, 3.5), InputKind.NUMERIC).touch("fixed")


@kind("form", "duplicate_columns", (1,), "columns")
def copied_column(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    name = pick([i.name for i in case.schema.inputs if i.kind in (InputKind.NUMERIC, InputKind.CATEGORICAL)], rng)
    if name is None:
        return None
    given = next(i.kind for i in case.schema.inputs if i.name == name)
    return case.with_input("copied", case.table.column(name).combine_chunks(), given).touch("copied")


@kind("form", "duplicate_columns", (1,), "columns")
def column_in_other_unit(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    name = pick(numeric_inputs(case), rng)
    if name is None:
        return None
    return case.with_input("fahrenheit", 1.8 * case.view().numbers(name) + 32, InputKind.NUMERIC).touch("fahrenheit")


@kind("form", "missing_codes", (0.005, 0.02), "share of a column's cells set to a code such as -999 or 9999")
def missing_as_code(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    view = case.view()
    name = pick(numeric_inputs(case), rng)
    if name is None:
        return None
    values = view.numbers(name).copy()
    size = np.nanmax(np.abs(values))
    code = next((c for c in (-99, -999, -9999, -99999, -999999) if abs(c) > 3 * size), None)
    if code is None:
        return None
    chosen = rng.choice(len(values), max(6, int(strength * len(values))), replace=False)
    values[chosen] = code
    return case.with_column(name, values).touch(name)


@kind("form", "missing_codes", (0.005, 0.02), "share of a positive column's cells set to 0")
def missing_as_zero(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    view = case.view()
    usable = []
    for name in numeric_inputs(case):
        known = view.numbers(name)[~np.isnan(view.numbers(name))]
        low, high = np.quantile(known, [0.25, 0.75])
        if known.min() > 0 and known.min() > 0.6 * (high - low) > 0:
            usable.append(name)
    name = pick(usable, rng)
    if name is None:
        return None
    values = view.numbers(name).copy()
    values[rng.choice(len(values), max(6, int(strength * len(values))), replace=False)] = 0
    return case.with_column(name, values).touch(name)


@kind("form", "empty_rows", (0.005, 0.01), "share of rows that lost all their inputs")
def emptied_rows(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    if len(case.schema.inputs) < 4:
        return None
    gone = np.zeros(len(case.part), dtype=bool)
    gone[rng.choice(len(gone), max(2, int(strength * len(gone))), replace=False)] = True
    made = case
    for item in case.schema.inputs:
        if not pa.types.is_list(case.table.schema.field(item.name).type):
            column = made.table.column(item.name)
            if pa.types.is_fixed_size_list(column.type):
                column = column.cast(pa.list_(column.type.value_type))
                values = column.to_pylist()
                made = made.with_column(
                    item.name, pa.array([None if g else v for v, g in zip(values, gone, strict=True)], column.type)
                )
            else:
                made = _blank(made, item.name, gone)
    return made.touch()


@kind("form", "category_variants", (0.02, 0.05), "share of a category's rows spelled in capitals")
def odd_spelling(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    usable = []
    for item in case.schema.inputs:
        if item.kind is not InputKind.CATEGORICAL or not pa.types.is_string(case.table.schema.field(item.name).type):
            continue
        words = [str(v) for v in case.view().codes(item.name)[1]]
        if any(v != v.upper() and not any(c.isdigit() for c in v) for v in words):
            usable.append(item.name)
    name = pick(usable, rng)
    if name is None:
        return None
    values = case.table.column(name).to_pylist()
    values = [v.upper() if v is not None and v.upper() != v and rng.random() < strength else v for v in values]
    return case.with_column(name, pa.array(values)).touch(name)


@kind("form", "category_variants", (1,), "numeric columns read as text because of a word among the numbers")
def numbers_as_words(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    name = pick(numeric_inputs(case), rng)
    if name is None:
        return None
    values = [None if np.isnan(v) else f"{v:.6g}" for v in case.view().numbers(name)]
    values[int(rng.integers(len(values)))] = "unknown"
    return case.with_input(name, pa.array(values), InputKind.CATEGORICAL).touch(name)


@kind("form", "mixed_units", (0.03, 0.1), "share of a column's rows in a unit 1000 times smaller")
def two_units(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    view = case.view()
    usable = []
    for name in numeric_inputs(case, 100):
        known = view.numbers(name)[~np.isnan(view.numbers(name))]
        if known.min() > 0 and known.max() / known.min() < 300:
            usable.append(name)
    name = pick(usable, rng)
    if name is None:
        return None
    values = view.numbers(name)
    return case.with_column(name, np.where(rng.random(len(values)) < strength, values * 1000, values)).touch(name)


@kind("form", "heavy_tails", (1.5, 2.0), "sigma of the log-normal that replaces a target's marginal distribution")
def heavy_target(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(
        [k for k in case.labels((TaskKind.REGRESSION,)) if (k.present & (case.part == TRAIN)).sum() >= 300], rng
    )
    if labels is None or case.schema.tasks[labels.task].transform != "none":
        return None
    z = (labels.values - labels.values[labels.present].mean()) / labels.values[labels.present].std()
    return case.relabel(labels, np.exp(strength * z) if abs(z).max() < 50 else labels.values).touch(labels.task)


@kind("form", "unseen_classes", (0.02, 0.05), "share of the labelled test rows whose class no train row has")
def class_only_in_test(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(
        [k for k in balanced(case) if k.kind in (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL)], rng
    )
    if labels is None:
        return None
    test = np.flatnonzero((case.part == TEST) & labels.present)
    column = case.table.column(labels.column)
    if not pa.types.is_string(column.type) or len(test) < 40:
        return None
    values = column.to_pylist()
    for i in rng.choice(test, max(1, int(strength * len(test))), replace=False).tolist():
        values[i] = "surprise"
    tasks = tuple(
        replace(t, classes=(*t.classes, "surprise"), kind=TaskKind.MULTICLASS) if t.name == labels.task else t
        for t in case.schema.tasks
    )
    made = case.with_column(labels.column, pa.array(values))
    return replace(made, schema=replace(case.schema, tasks=TaskSet(tasks))).touch(labels.task)


@kind("form", "unseen_classes", (0.001, 0.005), "share of labels that are not among the declared classes")
def undeclared_class(case: Case, strength: float, rng: np.random.Generator) -> Case | None:
    labels = pick(
        [k for k in balanced(case) if k.kind in (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL)], rng
    )
    if labels is None or not case.schema.tasks[labels.task].classes:
        return None
    column = case.table.column(labels.column)
    values = column.to_pylist()
    known = np.flatnonzero(labels.present)
    for i in rng.choice(known, max(1, int(strength * len(known))), replace=False).tolist():
        values[i] = 77 if isinstance(values[i], int) else "typo"
    return case.with_column(labels.column, pa.array(values)).touch(labels.task)
