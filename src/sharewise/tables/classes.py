"""The labels of a declared task, in output order, or why they contradict its kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from sharewise.errors import DataError, Problem, nearest
from sharewise.tables import columns as col
from sharewise.tables import infer, pictures, tags
from sharewise.tables.read import Table
from sharewise.tables.schema import TaskDeclaration
from sharewise.tasks import Label, TaskKind

NEGATIVE = frozenset({"0", "false", "no", "n", "f", "neg", "negative", "benign", "absent", "off", "not", "-1", "none"})
"""Words for the negative class of a binary task, in lower case."""

YES_NO = frozenset({"0", "1", "true", "false"})


def classes(table: Table, said: TaskDeclaration, kind: TaskKind) -> tuple[Label, ...]:
    """Labels in output order (empty for a regression); raises DataError where the labels contradict the kind."""
    names = said.columns or (said.name,)
    column = table.column(names[0])
    match kind:
        case TaskKind.TOKEN_TAGGING:
            return tags.classes(column, names[0], said.classes)
        case TaskKind.RECONSTRUCTION:
            return _cells(table, names)
        case TaskKind.MULTILABEL:
            return _multilabel(table, said, names)
    if len(names) > 1:
        fact = f"task '{said.name}' names {len(names)}"
        remedy = "Make each a task of its own, or declare the kind multilabel"
        raise DataError(Problem(f"A {kind.value} task has one target column", fact, remedy))
    if kind is TaskKind.REGRESSION:
        _numeric(said, column, names[0])
        return ()
    if col.is_list(column.type):
        fact = f"column '{names[0]}' holds lists ({column.type})"
        rule = f"A {kind.value} task holds one label a row"
        raise DataError(Problem(rule, fact, "Declare the kind multilabel", column=names[0]))
    found = col.distinct(column)
    if said.classes:
        _all_known(said, found, names[0])
    if kind is TaskKind.BINARY:
        return _binary(said, found, names[0])
    return said.classes or _many(said, kind, found, column, names[0])


def positive_note(said: TaskDeclaration, kind: TaskKind, made: tuple[Label, ...]) -> str | None:
    """A sentence that says which class was taken for the positive one, where the labels do not tell."""
    if kind is not TaskKind.BINARY or len(made) != 2 or said.positive is not None or said.classes:
        return None
    if sum(str(v).lower() in NEGATIVE for v in made) == 1:
        return None
    return f"Task '{said.name}' predicts the probability of '{made[1]}' (set positive to change it)."


def weights(
    said: TaskDeclaration, kind: TaskKind, made: tuple[Label, ...], column: pa.ChunkedArray
) -> tuple[float, ...]:
    """One weight a class, in output order; "balanced" is n / (C n_c) over the labels of `column`."""
    given = said.class_weights
    if given is None:
        return ()
    if kind not in (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL):
        rule = "Class weights are for binary, multiclass and ordinal tasks"
        raise DataError(Problem(rule, f"task '{said.name}' is {kind.value}", "Remove them"))
    names = [col.canonical(c) for c in made]
    if isinstance(given, Mapping):
        by_name = {col.canonical(k): v for k, v in given.items()}
        odd = [k for k in by_name if k not in names]
        if odd:
            rule = f"Class weights of task '{said.name}' must name its classes"
            raise DataError(Problem(rule, f"'{odd[0]}' is none", nearest(odd[0], names)))
        return tuple(float(by_name.get(name, 1.0)) for name in names)
    codes = col.codes(column, names, numeric=is_numeric(made))
    counts = [max(int((codes == i).sum()), 1) for i in range(len(made))]
    return tuple(sum(counts) / (len(counts) * n) for n in counts)


def is_numeric(made: Iterable[Label]) -> bool:
    """True where some label is a number: text in the column is then read as numbers too."""
    return not all(isinstance(c, str) for c in made)


def quoted(values: Iterable[object]) -> str:
    """'a', 'b' and so on, at most six of them."""
    listed = [f"'{v}'" for v in values]
    return ", ".join(listed[:6]) + (f" and {len(listed) - 6} more" if len(listed) > 6 else "")


def _all_known(said: TaskDeclaration, found: list[Label], column: str) -> None:
    known = {col.canonical(c) for c in said.classes}
    unknown = [v for v in found if col.canonical(v) not in known]
    if unknown:
        rule = f"Every label of task '{said.name}' must be among its classes"
        fact = f"{quoted(unknown)} {'is' if len(unknown) == 1 else 'are'} not"
        raise DataError(Problem(rule, fact, "Add to classes", column=column))


def _binary(said: TaskDeclaration, found: list[Label], column: str) -> tuple[Label, ...]:
    """(negative, positive)."""
    if len(found) > 2:
        fact = f"task '{said.name}' has {len(found)}: {quoted(found)}"
        remedy = "Declare the kind multiclass, ordinal or regression"
        raise DataError(Problem("A binary task has two classes", fact, remedy, column=column))
    if said.classes:
        return said.classes
    if said.positive is not None:
        names = [col.canonical(v) for v in found]
        wanted = col.canonical(said.positive)
        if wanted not in names and len(found) == 2:
            rule = f"The positive class of task '{said.name}' must be one of its labels"
            raise DataError(Problem(rule, f"'{said.positive}' is not", nearest(wanted, names), column=column))
        return (*(v for v in found if col.canonical(v) != wanted), said.positive)
    if [str(v).lower() in NEGATIVE for v in found] == [False, True]:
        return tuple(reversed(found))
    return tuple(found)


def _many(
    said: TaskDeclaration, kind: TaskKind, found: list[Label], column: pa.ChunkedArray, name: str
) -> tuple[Label, ...]:
    """Classes of a multiclass or ordinal task."""
    n = len(column) - column.null_count
    fractional = any(isinstance(v, float) for v in found)
    if (fractional and len(found) > infer.FEW_CODES) or (len(found) > infer.MAX_CLASSES and len(found) > n / 10):
        rule = f"A {kind.value} task has a few classes, each with many rows"
        fact = f"task '{said.name}' has {len(found)} different labels in {n} rows ({quoted(found[:3])}, ...)"
        remedy = "Declare the kind regression" if col.is_number(column.type) else "Merge rare classes"
        raise DataError(Problem(rule, fact, remedy, column=name))
    if kind is TaskKind.MULTICLASS:
        return tuple(found)
    words = [v for v in found if isinstance(v, str) and not col.parses_as_number(v)]
    if words:
        listed = ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")
        fact = f"the labels of task '{said.name}' are words"
        remedy = f"Write classes: [{listed}] in ascending order"
        raise DataError(Problem("The classes of an ordinal task need an order", fact, remedy, column=name))
    return tuple(sorted(found, key=float))


def _multilabel(table: Table, said: TaskDeclaration, names: tuple[str, ...]) -> tuple[Label, ...]:
    """Labels of a multilabel task: its 0/1 columns, or the values of its list column."""
    if len(names) > 1:
        odd = {c: [v for v in col.distinct(table.column(c)) if col.canonical(v) not in YES_NO] for c in names}
        problems = [
            Problem(
                "The columns of a multilabel task hold 0 and 1",
                f"'{c}' also holds {quoted(values[:3])}",
                "Correct it, or predict it as a task of its own",
                column=c,
            )
            for c, values in odd.items()
            if values
        ]
        if problems:
            raise DataError(problems)
        return tuple(names)
    column = table.column(names[0])
    if not col.is_list(column.type):
        rule = "A multilabel task has several 0/1 columns or one column of lists"
        remedy = "Declare the kind binary, or name all its columns"
        raise DataError(Problem(rule, f"column '{names[0]}' holds {column.type}", remedy, column=names[0]))
    return said.classes or tuple(col.distinct(pc.list_flatten(column)))


def _numeric(said: TaskDeclaration, column: pa.ChunkedArray, name: str) -> None:
    """Raises DataError where a regression target is no number, or its transform cannot take it."""
    if col.is_list(column.type):
        rule = "A regression target is one number a row"
        raise DataError(Problem(rule, f"the column holds lists ({column.type})", "Name another column", column=name))
    values = col.floats(column, name)
    if said.transform == "log1p" and (values <= -1).any():
        row = int((values <= -1).argmax())
        fact = f"the value is {values[row]:g}"
        rule = "A target under log1p must be above -1"
        raise DataError(Problem(rule, fact, "Use transform: quantile or none", column=name, row=row + 1))


def _cells(table: Table, names: tuple[str, ...]) -> tuple[Label, ...]:
    """Names of the cells that a reconstruction task rebuilds; empty where each column is one cell."""
    if not any(col.is_list(table.column(c).type) or col.is_bytes(table.column(c).type) for c in names):
        return ()
    cells: list[Label] = []
    for name in names:
        column = table.column(name)
        if col.is_bytes(column.type):
            cells += pictures.thumbnail_cells(column, name)
            continue
        width = col.list_width(column) if col.is_list(column.type) else None
        cells += [name] if width is None else [f"{name}[{i}]" for i in range(width)]
    return tuple(cells)
