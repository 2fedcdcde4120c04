"""A declaration and a table -> Schema: kinds inferred, classes listed, grouped tasks expanded, every problem named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from sharewise import metrics
from sharewise.errors import DataError, Problem, nearest
from sharewise.tables import columns as col
from sharewise.tables import infer, suspicion
from sharewise.tables.read import Table
from sharewise.tables.schema import (
    UNREADABLE,
    Declaration,
    Input,
    InputDeclaration,
    InputKind,
    Schema,
    TaskDeclaration,
)
from sharewise.tasks import Label, Task, TaskKind, TaskSet

NEGATIVE = frozenset({"0", "false", "no", "n", "f", "neg", "negative", "benign", "absent", "off", "-1", "none"})
"""Words for the negative class of a binary task, in lower case."""

MAX_GROUPS = 2000


@dataclass(frozen=True)
class Resolution:
    """A schema, and in sentences what was inferred or left out on the way."""

    schema: Schema
    notes: tuple[str, ...]


def resolve(table: Table, declaration: Declaration) -> Resolution:
    """Settle what the table's columns are; raises DataError with every problem found."""
    return _Resolver(table, declaration).run()


class _Resolver:
    """Collects problems and notes while it walks the declaration."""

    def __init__(self, table: Table, declaration: Declaration) -> None:
        self.table = table
        self.said = declaration
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def run(self) -> Resolution:
        for role, column in self.said.roles.items():
            self.has(column, self.said.lines.get(role))
        tasks: list[Task] = []
        for said in self.said.tasks:
            tasks += self.tasks(said)
        self.unique(tasks)
        inputs = self.inferred_inputs() if self.said.inputs is None else self.given_inputs(self.said.inputs)
        self.rebuildable(tasks, inputs)
        if not inputs and not self.problems:
            self.problems.append(
                Problem("A study needs an input", f"no column of {self.table.name} can be one", "Name columns under inputs", file=self.said.file)
            )
        if self.problems:
            raise DataError(self.problems)
        said = self.said
        schema = Schema(tuple(inputs), TaskSet(tuple(tasks)), said.row_id, said.split, said.time, said.group, said.entity)
        return Resolution(schema, tuple(self.notes))

    def add(self, rule: str, fact: str, remedy: str = "", line: int | None = None, column: str | None = None) -> None:
        self.problems.append(Problem(rule, fact, remedy, file=self.said.file, line=line, column=column))

    def has(self, column: str, line: int | None) -> bool:
        if column in self.table.names:
            return True
        self.add("A column that is named must be in the table", f"{self.table.name} has no column '{column}'", nearest(column, self.table.names), line)
        return False

    # --- inputs ---------------------------------------------------------------------------------------------

    def given_inputs(self, declared: tuple[InputDeclaration, ...]) -> list[Input]:
        """Declared inputs, their kinds inferred where they are not given."""
        rebuilt = {c for t in self.said.tasks if t.kind is TaskKind.RECONSTRUCTION for c in t.columns}
        targets = {c: t.name for t in self.said.tasks for c in (t.columns or (t.name,)) if c not in rebuilt}
        made: list[Input] = []
        seen: set[str] = set()
        for said in declared:
            if not self.has(said.name, said.line):
                continue
            if said.name in seen:
                self.add("An input is named once", f"'{said.name}' is named twice", "Remove one", said.line)
                continue
            seen.add(said.name)
            if said.name in targets:
                fact = f"'{said.name}' is an input and the target of task '{targets[said.name]}'"
                self.add("A target may not be an input", fact, "Remove it from inputs", said.line, said.name)
                continue
            kind = said.kind or infer.input_kind(self.table.column(said.name))
            if kind is None:
                self.add("An input must be of a kind that an encoder reads", f"it is of type {self.table.column(said.name).type}",
                         "Remove it from inputs", said.line, said.name)
            elif kind in UNREADABLE:
                self.add("An input must be of a kind that an encoder reads", f"{kind.value} inputs have no encoder yet",
                         "Remove it from inputs, or turn it into an embedding column", said.line, said.name)
            elif self.fits(said, kind):
                made.append(Input(said.name, kind))
        return made

    def fits(self, said: InputDeclaration, kind: InputKind) -> bool:
        """True where every value of the column can be read as `kind`."""
        column = self.table.column(said.name)
        try:
            if kind is InputKind.DATETIME:
                if not col.is_date(column.type):
                    col.dates(column, said.name)
            elif kind is InputKind.EMBEDDING:
                width = col.list_width(column) if col.is_list(column.type) else None
                if width is None:
                    self.add("An embedding is a list of one length in every row", f"the column is of type {column.type}",
                             "Give it another kind", said.line, said.name)
                    return False
                col.vectors(column, said.name, width)
            elif kind is not InputKind.CATEGORICAL:
                # Only text can hold what no number is; numbers and dates need no look.
                if not (col.is_number(column.type) or col.is_date(column.type) or pa.types.is_boolean(column.type)):
                    col.floats(column, said.name)
            elif col.is_list(column.type):
                self.add("A categorical input holds one value a row", f"the column holds lists ({column.type})",
                         "Declare it an embedding", said.line, said.name)
                return False
        except DataError as error:
            self.problems += [
                Problem(p.rule, p.fact, p.remedy, self.said.file or self.table.name, said.line, p.column, p.row) for p in error.problems
            ]
            return False
        return True

    def inferred_inputs(self) -> list[Input]:
        """Every column that is nothing else and that nothing speaks against; what is left out is noted."""
        used = set(self.said.roles.values()) - {self.said.group, self.said.entity}
        targets: dict[str, None] = {}
        rebuilt: set[str] = set()
        for task in self.said.tasks:
            named = task.columns or (task.name,)
            if task.kind is TaskKind.RECONSTRUCTION:
                rebuilt.update(named)
            else:
                targets.update(dict.fromkeys(named))
        known = tuple(c for c in targets if c in self.table.names)
        kinds = {name: infer.input_kind(self.table.column(name)) for name in self.table.names if name not in used and name not in targets}
        left_out = suspicion.reasons(self.table, kinds, known)
        self.notes += [f"Column '{name}' is left out of the inputs: {why}." for name, why in left_out.items()]
        return [
            Input(name, kind)
            for name, kind in kinds.items()
            if name not in left_out and kind is not None and self.fits(InputDeclaration(name), kind)
        ]

    def rebuildable(self, tasks: list[Task], inputs: list[Input]) -> None:
        """Reconstruction asks for inputs of numeric, boolean or embedding kind only."""
        kinds = {i.name: i.kind for i in inputs}
        lines = {t.name: t.line for t in self.said.tasks}
        for task in tasks:
            if task.kind is not TaskKind.RECONSTRUCTION:
                continue
            for column in task.columns:
                if kinds.get(column) not in (InputKind.NUMERIC, InputKind.BOOLEAN, InputKind.EMBEDDING):
                    self.add("A reconstruction task rebuilds numeric, boolean or embedding inputs",
                             f"'{column}' of task '{task.name}' is {kinds[column].value if column in kinds else 'no input'}",
                             "Remove it from the task's columns, or name it under inputs", lines.get(task.name))

    # --- tasks ----------------------------------------------------------------------------------------------

    def unique(self, tasks: list[Task]) -> None:
        seen: set[str] = set()
        for task in tasks:
            if task.name in seen:
                self.add("Task names must be unique", f"'{task.name}' occurs twice", "Rename one of them")
            seen.add(task.name)

    def tasks(self, said: TaskDeclaration) -> list[Task]:
        """The tasks that one declaration stands for: one, or one for each value of its group column."""
        names = said.columns or (said.name,)
        found = [self.has(column, said.line) for column in names]
        if said.by is not None:
            found.append(self.has(said.by, said.line))
        if not all(found):
            return []
        single = names[0] if len(names) == 1 else None
        several = TaskKind.MULTILABEL if single is None else None
        kind = said.kind or several or infer.task_kind(self.table.column(names[0]))
        if said.kind is None:
            self.notes.append(f"Task '{said.name}' is taken to be {kind.value}.")
        try:
            classes = self.classes(said, kind, names)
            weights = self.class_weights(said, kind, names, classes)
        except DataError as error:
            self.problems += [
                Problem(p.rule, p.fact, p.remedy, self.said.file or self.table.name, said.line, p.column, p.row) for p in error.problems
            ]
            return []
        metric = said.metric or metrics.default_metric(kind)
        task = Task(said.name, kind, names, metric, said.margin, classes, said.transform, weights, said.weight, said.primary)
        return [task] if said.by is None else self.expanded(task, said)

    def expanded(self, task: Task, said: TaskDeclaration) -> list[Task]:
        """One task for each value of the group column."""
        assert said.by is not None
        column = self.table.column(said.by)
        if column.null_count:
            row = column.is_valid().index(False).as_py() + 1
            self.add("The column that a grouped task is split by must have a value in every row",
                     f"{column.null_count} rows have none (the first is row {row})", "Fill or remove these rows", said.line, said.by)
            return []
        groups = [col.canonical(v) for v in col.distinct(column)]
        if len(groups) > MAX_GROUPS:
            self.add(f"A grouped task may have at most {MAX_GROUPS} groups", f"column '{said.by}' has {len(groups)} values",
                     "Name a coarser column", said.line, said.by)
            return []
        return [
            Task(f"{task.name}@{group}", task.kind, task.columns, task.metric, task.margin, task.classes, task.transform,
                 task.class_weights, task.weight, task.primary, family=task.name, where=(said.by, group))
            for group in groups
        ]

    def classes(self, said: TaskDeclaration, kind: TaskKind, names: tuple[str, ...]) -> tuple[Label, ...]:
        """Labels in output order; raises DataError where the labels contradict the kind."""
        column = self.table.column(names[0])
        match kind:
            case TaskKind.TOKEN_TAGGING:
                raise DataError(Problem("A task must be of a kind that has a head", "token tagging has none yet", f"Remove task '{said.name}'"))
            case TaskKind.RECONSTRUCTION:
                return _cells(self.table, names)
            case TaskKind.MULTILABEL:
                return self.labels(said, names)
            case TaskKind.REGRESSION:
                self.numeric(said, column)
                return ()
        if len(names) > 1:
            raise DataError(Problem(f"A {kind.value} task has one target column", f"task '{said.name}' names {len(names)}",
                                    "Make each a task of its own, or declare the kind multilabel"))
        if col.is_list(column.type):
            raise DataError(Problem(f"A {kind.value} task holds one label a row", f"column '{names[0]}' holds lists ({column.type})",
                                    "Declare the kind multilabel", column=names[0]))
        found = col.distinct(column)
        if said.classes:
            unknown = sorted({col.canonical(v) for v in found} - {col.canonical(v) for v in said.classes})
            if unknown:
                raise DataError(Problem(f"Every label of task '{said.name}' must be among its classes",
                                        f"{_quoted(unknown)} {'is' if len(unknown) == 1 else 'are'} not", "Add to classes", column=names[0]))
        if kind is TaskKind.BINARY:
            return self.binary(said, found, names[0])
        if said.classes:
            return said.classes
        return self.many(said, kind, found, column)

    def binary(self, said: TaskDeclaration, found: list[Label], column: str) -> tuple[Label, ...]:
        """(negative, positive)."""
        if len(found) > 2:
            raise DataError(Problem("A binary task has two classes", f"task '{said.name}' has {len(found)}: {_quoted(found)}",
                                    "Declare the kind multiclass, ordinal or regression", column=column))
        if said.classes:
            return said.classes
        if said.positive is not None:
            wanted = col.canonical(said.positive)
            other = [v for v in found if col.canonical(v) != wanted]
            if len(other) == len(found) and len(found) == 2:
                raise DataError(Problem(f"The positive class of task '{said.name}' must be one of its labels",
                                        f"'{said.positive}' is not", nearest(wanted, [col.canonical(v) for v in found]), column=column))
            return (*other, said.positive)
        if len(found) == 2:
            known = [str(v).lower() in NEGATIVE for v in found]
            ordered = tuple(reversed(found)) if known == [False, True] else tuple(found)
            if known.count(True) != 1:
                self.notes.append(f"Task '{said.name}' predicts the probability of '{ordered[1]}' (set positive to change it).")
            return ordered
        return tuple(found)

    def many(self, said: TaskDeclaration, kind: TaskKind, found: list[Label], column: pa.ChunkedArray) -> tuple[Label, ...]:
        """Classes of a multiclass or ordinal task."""
        n = len(column) - column.null_count
        fractional = any(isinstance(v, float) for v in found)
        if fractional or (len(found) > infer.MAX_CLASSES and len(found) > n / 10):
            raise DataError(Problem(f"A {kind.value} task has a few classes, each with many rows",
                                    f"task '{said.name}' has {len(found)} different labels in {n} rows ({_quoted(found[:3])}, ...)",
                                    "Declare the kind regression" if col.is_number(column.type) else "Merge rare classes",
                                    column=said.columns[0] if said.columns else said.name))
        if kind is TaskKind.ORDINAL and found and all(isinstance(v, str) for v in found) and not all(col.parses_as_number(str(v)) for v in found):
            raise DataError(Problem("The classes of an ordinal task need an order", f"the labels of task '{said.name}' are words",
                                    f"Write classes: [{', '.join(map(str, found[:8]))}{', ...' if len(found) > 8 else ''}] in ascending order"))
        if kind is TaskKind.ORDINAL:
            return tuple(sorted(found, key=lambda v: float(v)))
        return tuple(found)

    def labels(self, said: TaskDeclaration, names: tuple[str, ...]) -> tuple[Label, ...]:
        """Labels of a multilabel task: its 0/1 columns, or the values of its list column."""
        if len(names) > 1:
            odd = {c: [v for v in col.distinct(self.table.column(c)) if col.canonical(v) not in ("0", "1", "true", "false")] for c in names}
            problems = [
                Problem("The columns of a multilabel task hold 0 and 1", f"'{c}' also holds {_quoted(values[:3])}", "Correct it", column=c)
                for c, values in odd.items()
                if values
            ]
            if problems:
                raise DataError(problems)
            return tuple(names)
        column = self.table.column(names[0])
        if not col.is_list(column.type):
            raise DataError(Problem("A multilabel task has several 0/1 columns or one column of lists",
                                    f"column '{names[0]}' holds {column.type}", "Declare the kind binary, or name all its columns", column=names[0]))
        if said.classes:
            return said.classes
        return tuple(col.distinct(pc.list_flatten(column)))

    def numeric(self, said: TaskDeclaration, column: pa.ChunkedArray) -> None:
        """Raises DataError where a regression target is no number, or its transform cannot take it."""
        values = col.floats(column, said.columns[0] if said.columns else said.name)
        if said.transform == "log1p" and values.size and (values <= -1).any():
            row = int((values <= -1).argmax())
            raise DataError(Problem("A target under log1p must be above -1", f"the value is {values[row]:g}",
                                    "Use transform: quantile or none", column=said.name, row=row + 1))

    def class_weights(self, said: TaskDeclaration, kind: TaskKind, names: tuple[str, ...], classes: tuple[Label, ...]) -> tuple[float, ...]:
        """One weight a class, in output order; "balanced" is n / (C n_c) over the rows outside the declared test part."""
        given = said.class_weights
        if given is None:
            return ()
        if kind not in (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL):
            raise DataError(Problem("Class weights are for binary, multiclass and ordinal tasks", f"task '{said.name}' is {kind.value}", "Remove them"))
        if isinstance(given, Mapping):
            known = {col.canonical(c) for c in classes}
            odd = [k for k in given if col.canonical(k) not in known]
            if odd:
                raise DataError(Problem(f"Class weights of task '{said.name}' must name its classes", f"'{odd[0]}' is none",
                                        nearest(col.canonical(odd[0]), known)))
            by_name = {col.canonical(k): v for k, v in given.items()}
            return tuple(float(by_name.get(col.canonical(c), 1.0)) for c in classes)
        column = self.table.column(names[0])
        if self.said.split in self.table.names:
            held_out = pc.fill_null(pc.equal(col.text(self.table.column(str(self.said.split))), "test"), False)
            column = column.filter(pc.invert(held_out))
        codes = col.codes(column, [col.canonical(c) for c in classes], numeric=not all(isinstance(c, str) for c in classes))
        counts = [max(int((codes == i).sum()), 1) for i in range(len(classes))]
        return tuple(sum(counts) / (len(counts) * n) for n in counts)


def _cells(table: Table, names: tuple[str, ...]) -> tuple[Label, ...]:
    """Names of the cells that a reconstruction task rebuilds; empty where each column is one cell."""
    widths = {c: (col.list_width(table.column(c)) or 0) if col.is_list(table.column(c).type) else None for c in names}
    if all(w is None for w in widths.values()):
        return ()
    return tuple(cell for c, w in widths.items() for cell in ([c] if w is None else [f"{c}[{i}]" for i in range(w)]))


def _quoted(values: object) -> str:
    listed = [f"'{v}'" for v in values]  # type: ignore[attr-defined]
    return ", ".join(listed[:6]) + (f" and {len(listed) - 6} more" if len(listed) > 6 else "")
