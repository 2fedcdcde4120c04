"""The data as the study saw it: rows, split, labels of each task and their overlap."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.records import PartCounts, TaskData
from sharewise.report import curves as drawings
from sharewise.report import words
from sharewise.report.blocks import (
    Block,
    Cell,
    Fact,
    Facts,
    Figure,
    Fold,
    Legend,
    LegendItem,
    Section,
    Table,
    paragraph,
    say,
)
from sharewise.report.load import StudyRecords
from sharewise.report.rows import MANY, TaskRow

_CELLS = 40
"""Most tasks whose overlap is drawn as a map."""

# --- data -------------------------------------------------------------------------------------------------


def data(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """Rows, split, labels of each task and their overlap."""
    d = records.data
    if d is None:
        return None
    inputs = words.listing([f"{words.count(n)} {kind}" for kind, n in d.inputs.items()], 8)
    used = d.n_rows - d.n_unlabelled
    facts = [
        Fact("Table", d.source, "data.json#/source"),
        Fact(
            "Rows",
            f"{words.count(d.n_rows)}, of which {words.count(used)} with at least one label",
            "data.json#/n_rows",
        ),
        Fact(
            "Split",
            f"{_in_parts(d.rows)}. {d.split}",
            "data.json#/rows",
        ),
        Fact("Inputs", inputs or "none on record", "data.json#/inputs"),
    ]
    if d.n_entities is not None:
        facts.append(
            Fact(
                "Entities",
                f"{words.count(d.n_entities)}; rows of one entity count once in a verdict",
                "data.json#/n_entities",
            )
        )
    facts += [Fact("Note", note, f"data.json#/notes/{i}") for i, note in enumerate(d.notes) if note != d.split]
    blocks: list[Block] = [Facts(tuple(facts))]
    labels = Table("Labels of each task", ("Task", "Labelled rows", "Train / validation / test", "Classes or values"),
                   tuple(_label_row(row, d.n_rows) for row in rows if row.data is not None))  # fmt: skip
    if labels.rows:
        legend = Legend(tuple(LegendItem(drawing, text) for drawing, text in drawings.part_swatches()))
        fold = Fold(f"Labels of {words.plural(len(rows), 'task')}", (labels,))
        blocks += [legend, labels if len(rows) <= MANY else fold]
    blocks += _overlap(records)
    return Section("data", "Data and labels", "The table as the study saw it.", tuple(blocks))


def _in_parts(rows: PartCounts) -> str:
    return f"{words.count(rows.train)} train, {words.count(rows.validation)} validation, {words.count(rows.test)} test"


def _label_row(row: TaskRow, n_rows: int) -> tuple[Cell, ...]:
    assert row.data is not None
    n = row.data.labelled
    kind = "" if row.task is None else row.task.kind.value
    share = words.percent(n.total / n_rows) if n_rows else ""
    return (
        Cell(row.name, kind, kind="task"),
        Cell(
            f"{words.count(n.total)}, {share}",
            source=f"{row.data_at}/labelled",
            drawing=drawings.coverage_bar(row.name, n, n_rows),
            kind="bar",
        ),
        Cell(
            f"{words.count(n.train)} / {words.count(n.validation)} / {words.count(n.test)}",
            source=f"{row.data_at}/labelled",
        ),
        Cell(_values(row.data, of_tokens=kind == "token_tagging"), source=row.data_at, kind="values"),
    )


def _values(data: TaskData, *, of_tokens: bool = False) -> str:
    """Numbers of a target, or the largest shares of its labelled rows; of tags, which are many a row, of all tags."""
    if data.spread is not None:
        s = data.spread
        return (
            f"median {words.score(s.median)}, from {words.score(s.minimum)} to {words.score(s.maximum)}; "
            f"mean {words.score(s.mean)}, SD {words.score(s.std)}"
        )
    total = sum(c.rows.total for c in data.classes) if of_tokens else data.labelled.total
    largest = sorted(data.classes, key=lambda c: -c.rows.total)[:4]
    shown = [f"{c.label} {words.percent(c.rows.total / total)}" for c in largest if total]
    if data.n_classes > len(shown) and shown:
        shown.append(f"{words.count(data.n_classes - len(shown))} more")
    listed = ", ".join(shown)
    return (f"{words.count(total)} tags: {listed}" if of_tokens and shown else listed) or words.MISSING


def _overlap(records: StudyRecords) -> list[Block]:
    d = records.data
    if d is None or len(d.tasks) < 2:
        return []
    n = len(d.tasks)
    if len(d.overlap) != n or any(len(line) != n for line in d.overlap):
        return list(
            paragraph([say("overlap", "No two tasks share a labelled row by construction.", "data.json#/overlap")])
            if not d.overlap
            else ()
        )
    pairs = sorted(d.overlap[i][j] for i in range(n) for j in range(i))
    empty = sum(value == 0 for value in pairs)
    text = _pairs_text(len(pairs), empty, pairs[len(pairs) // 2])
    blocks: list[Block] = list(paragraph([say("overlap", text, "data.json#/overlap")]))
    if n <= _CELLS and pairs[-1] > 0:
        names = [task.task for task in d.tasks]
        caption = (
            "Rows labelled for both of two tasks; the stronger the colour, the larger their share of the smaller task."
        )
        blocks.append(Figure(drawings.overlap_map(names, d.overlap), caption, "data.json#/overlap", scroll=True))
    return blocks


def _pairs_text(pairs: int, empty: int, median: int) -> str:
    if pairs == 1:
        return (
            f"The two tasks have {words.plural(median, 'row')} labelled for both."
            if not empty
            else "No row is labelled for both tasks."
        )
    if empty == pairs:
        return "No row is labelled for two tasks."
    if empty:
        have = words.verb(empty, "has", "have")
        some = f"{words.count(empty)} of {words.count(pairs)} pairs of tasks {have} no row labelled for both"
    else:
        some = f"Each of the {words.count(pairs)} pairs of tasks has rows labelled for both"
    return f"{some}; the median pair has {words.count(median)}."
