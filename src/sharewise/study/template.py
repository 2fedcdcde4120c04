"""The commented study.yaml that `init` writes for a table."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from sharewise.errors import ConfigError, counted
from sharewise.study import hints
from sharewise.tables import columns as col
from sharewise.tables import described, infer, lists, suspicion, texts
from sharewise.tables.read import Table
from sharewise.tables.resolve import settle
from sharewise.tables.schema import Declaration, InputKind, TaskDeclaration
from sharewise.tasks import Task, TaskKind

PLAIN = re.compile(r"(\.{0,2}/|[A-Za-z_])[A-Za-z0-9_. ()/@-]*(?<! )")
WORDS_OF_YAML = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"}
ID_NAMES = re.compile(r"^$|^(row_?)?(id|index|number|nr|no|key|uuid)$|^unnamed", re.IGNORECASE)
MARGIN_OF_COMMENT = 34


@dataclass(frozen=True)
class Template:
    """Text of a study.yaml, and one line that says what is in it."""

    text: str
    summary: str


@dataclass(frozen=True)
class _Column:
    """An input column as it will stand in the file; `why` is the reason that it is commented out."""

    name: str
    kind: InputKind | None
    why: str | None


def template(table: Table, tasks: Sequence[str], folder: Path) -> Template:
    """A commented study file for `table`, to be written into `folder`.

    Tasks are the columns named by `tasks`, else what the table's own metadata describes, else none (their place is
    marked). Raises ConfigError for a task that is no column.
    """
    unknown = [t for t in tasks if t not in table.names]
    if unknown:
        raise ConfigError([table.no_column(t) for t in unknown])
    own = described.declaration(table.described, table.names)
    said = _roles(table, own, tasks)
    if tasks:
        known = {t.name: t for t in own.tasks}
        said = replace(said, tasks=tuple(known.get(t, TaskDeclaration(t)) for t in dict.fromkeys(tasks)))
    found = lists.listed(lists.spaced(table, [t.name for t in said.tasks if t.kind is None]), said)
    table = found.table
    columns = _columns(table, said, own)
    kept = [c for c in columns if c.why is None]
    lines = [
        "# A study: which of these tasks should share a model?",
        "# Carry it out with: sharewise run study.yaml. Every key is described by: sharewise schema",
        "",
        *_data(table, said, folder),
        "",
        *_split(table, said),
        "",
        *_inputs(table, columns),
        "",
        *_tasks(table, said, [c.name for c in kept if c.kind is InputKind.TOKENS]),
        "",
        *_rest(said),
    ]
    left_out = (
        f", {counted(len(columns) - len(kept), 'column')} commented out with the reason"
        if len(columns) > len(kept)
        else ""
    )
    summary = f"{counted(len(kept), 'input')}{left_out}, {counted(len(said.tasks), 'task')}"
    if not said.tasks:
        summary += "; name what to predict under tasks (or use --task NAME)"
    return Template("\n".join(lines) + "\n", " ".join([summary + ".", *found.notes]))


# --- what stands in the file --------------------------------------------------------------------------------


def _roles(table: Table, own: Declaration, tasks: Sequence[str]) -> Declaration:
    """Roles from the table's metadata; without metadata an id and a split column that look like it."""
    if table.described:
        return own
    row_id = next((n for n in table.names if n not in tasks and ID_NAMES.match(n) and _is_id(table, n)), None)
    split = next((n for n in table.names if n not in tasks and suspicion.is_split(table.column(n))), None)
    return Declaration((), row_id=row_id, split=split)


def _is_id(table: Table, name: str) -> bool:
    column = table.column(name)
    if pa.types.is_integer(column.type):
        return not column.null_count and pc.count_distinct(column).as_py() == table.n_rows
    kind = infer.input_kind(column)
    return kind in (InputKind.NUMERIC, InputKind.CATEGORICAL) and suspicion.is_identifier(column, kind)


def _columns(table: Table, said: Declaration, own: Declaration) -> list[_Column]:
    """Every column that is no role and no target, with its kind and why it should not be an input."""
    targets = [
        c
        for t in said.tasks
        if t.kind is not TaskKind.RECONSTRUCTION
        for c in (t.columns or (t.name,))
        if c in table.names
    ]
    roles = {said.row_id, said.split}
    rest = [n for n in table.names if n not in roles and n not in targets]
    if own.inputs is None:
        kinds = {n: infer.input_kind(table.column(n)) for n in rest}
        why = suspicion.reasons(table, kinds, targets)
        return [_Column(n, kinds[n], why.get(n)) for n in rest]
    given = {i.name: i.kind for i in own.inputs}
    copies = {c.column: str(c) for c in suspicion.copies(table, [n for n in rest if n in given], targets)}
    made = []
    for name in rest:
        kind = given.get(name) or infer.input_kind(table.column(name))
        reason = copies.get(name)
        if name in {t.name for t in own.tasks}:
            reason = "it is a target of the table's other tasks"
        elif name not in given:
            reason = "the table's own description does not name it as an input"
        made.append(_Column(name, kind, reason))
    return made


def _data(table: Table, said: Declaration, folder: Path) -> list[str]:
    path = Path(table.name)
    beside = path.resolve().is_relative_to(folder.resolve())
    shown = table.name if path.is_absolute() and not beside else os.path.relpath(path, folder)
    lines = ["data:", _noted(f"  path: {scalar(shown)}", f"{table.n_rows:,} rows, {len(table.names)} columns")]
    lines += [
        f"  {key}: {scalar(column)}"
        for key, column in (("id", said.row_id), ("time", said.time), ("group", said.group))
        if column
    ]
    if not said.time:
        lines.append("  # time: COLUMN                  # orders the rows in time; the split is then by time")
    lines.append(
        "  # entity: COLUMN                # rows about one thing (a patient, a station) stay on one side of the split"
    )
    return lines


def _split(table: Table, said: Declaration) -> list[str]:
    if said.split is None:
        by = "time" if said.time else "random"
        note = "the latest rows are the test" if said.time else "labels of every task balanced; or: group, time"
        return ["split:", _noted(f"  by: {by}", note), "  validation: 0.15", "  test: 0.2"]
    counts = pc.value_counts(table.column(said.split)).to_pylist()
    shown = ", ".join(f"{c['values']} {c['counts']:,}" for c in counts[:4])
    return ["split:", _noted(f"  column: {scalar(said.split)}", shown)]


def _inputs(table: Table, columns: list[_Column]) -> list[str]:
    kept = sum(1 for c in columns if c.why is None)
    if not kept:
        lines = [_noted("inputs: {}", "no column can be read yet; see the reasons below")]
    else:
        lines = [_noted("inputs:", counted(kept, "column"))]
    for c in columns:
        kind = c.kind.value if c.kind is not None else "unknown"
        if c.why is None:
            lines.append(_noted(f"  {scalar(c.name)}: {kind}", _about(table, c)))
        else:
            lines.append(_noted(f"  # {scalar(c.name)}: {kind}", f"left out: {c.why}"))
    texts_ = [scalar(c.name) for c in columns if c.why is None and c.kind is InputKind.TEXT]
    if len(texts_) > 1:
        pair = f"  # pair: {{kind: text, columns: [{texts_[0]}, {texts_[1]}]}}"
        lines.append(_noted(pair, "instead of the two, where they are compared"))
    return lines


def _about(table: Table, column: _Column) -> str:
    data = table.column(column.name)
    parts = []
    if column.kind is InputKind.CATEGORICAL:
        parts.append(f"{len(pc.unique(data).drop_null()):,} values")
    if column.kind is InputKind.TEXT:
        words = pc.mean(pc.add(pc.count_substring(data.drop_null(), " "), 1)).as_py() or 0
        parts.append(f"about {words:.0f} words, read by '{texts.default().name}'")
    if column.kind is InputKind.TOKENS:
        parts.append(f"about {pc.mean(pc.list_value_length(data)).as_py() or 0:.0f} words in a row")
    if column.kind is InputKind.EMBEDDING:
        parts.append(f"{col.list_width(data)} numbers")
    if data.null_count:
        parts.append(f"{_percent(data.null_count, len(data))} missing")
    return ", ".join(parts)


def _percent(n: int, of: int) -> str:
    return f"{100 * n / of:.1f} %" if n * 1000 >= of else "under 0.1 %"


def _tasks(table: Table, said: Declaration, words: Sequence[str]) -> list[str]:
    """The tasks; `words` are the inputs of kind tokens."""
    if not said.tasks:
        return [
            _noted("tasks:", "what to predict, an entry each; the kind is inferred where it is left out"),
            "  # - name: COLUMN",
            "  #   kind: binary                # multiclass, ordinal, multilabel, regression, reconstruction",
        ]
    lines = ["tasks:"]
    for task in said.tasks:
        lines += _task(table, said, task, words)
    return lines


def _task(table: Table, said: Declaration, task: TaskDeclaration, words: Sequence[str]) -> list[str]:
    column = table.column(task.name)
    kind = task.kind or infer.task_kind(column, [table.column(name) for name in words])
    if kind is TaskKind.TOKEN_TAGGING and not words:
        return [_noted(f"  # - name: {scalar(task.name)}", "left out: its tags need an input of kind tokens")]
    note = (
        ""
        if not column.null_count
        else f"{_percent(len(column) - column.null_count, len(column))} of the rows are labelled"
    )
    # A kind that the labels contradict is found here already.
    made = settle(table, replace(said, tasks=(replace(task, kind=kind),)))[0]
    lines = [
        _noted(f"  - name: {scalar(task.name)}", note),
        _noted(f"    kind: {kind.value}", _classes_note(made)),
    ]
    if task.by:
        n = len(pc.unique(table.column(task.by)))
        lines.append(_noted(f"    by: {scalar(task.by)}", f"a task of its own for each of its {n} values"))
    grouped = _with_classes(table, said, words)
    above = hints.coarser(table.arrow, task.name, grouped) if task.name in grouped else None
    if above is not None:
        lines.append(_noted(f"    # parent: {scalar(above)}", "its classes divide those of that task"))
    if task.classes:
        lines.append(f"    classes: [{', '.join(scalar(c) if isinstance(c, str) else str(c) for c in task.classes)}]")
    if task.positive is not None:
        lines.append(f"    positive: {scalar(task.positive) if isinstance(task.positive, str) else task.positive}")
    if task.transform != "none":
        lines.append(_noted(f"    transform: {task.transform}", "for training; answers are in the original unit"))
    lines.append(f"    metric: {made.metric}")
    return lines


def _with_classes(table: Table, said: Declaration, words: Sequence[str]) -> list[str]:
    """Tasks that a row has one class of."""
    beside = [table.column(name) for name in words]
    kinds = {t.name: t.kind or infer.task_kind(table.column(t.name), beside) for t in said.tasks}
    return [name for name, kind in kinds.items() if kind in (TaskKind.BINARY, TaskKind.MULTICLASS)]


def _classes_note(made: Task) -> str:
    """What the labels are."""
    if made.kind is TaskKind.BINARY and len(made.classes) == 2:
        return f"predicts the probability of '{made.classes[1]}'"
    return f"{len(made.classes)} classes" if made.classes else ""


def _rest(said: Declaration) -> list[str]:
    names = ", ".join(scalar(t.name) for t in said.tasks[:2]) or "TASK, TASK"
    return [
        "budget: standard                  # quick, standard or thorough: how much evidence to buy",
        "",
        "# Every task is tried alone and all tasks together. Your own plans:",
        "# candidates:",
        f"#   - {{name: mine, groups: [[{names}]]}}",
        "#   - {name: split, architecture: {name: hard, split: 1}}    # the upper layer each task's own",
        "",
        "# Networks that start from what other tasks have learnt, and means of several runs where they are better:",
        "# transfer: auto",
        "# ship_ensembles: true",
        "",
        "# A change that counts as harm is 2 % of a task's metric; another margin stands beside the task:",
        "#     margin: 0.05",
        "",
        "seed: 0",
    ]


def _noted(text: str, note: str) -> str:
    """A line with a comment, aligned."""
    return f"{text:<{MARGIN_OF_COMMENT - 1}} # {note}" if note else text


def scalar(value: str) -> str:
    """Text as a YAML scalar: plain where that is safe, else quoted."""
    if PLAIN.fullmatch(value) and value.lower() not in WORDS_OF_YAML:
        return value
    return json.dumps(value, ensure_ascii=False)
