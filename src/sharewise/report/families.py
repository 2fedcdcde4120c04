"""Very many tasks: families first, as counts of verdicts, the spread of their effects and the pooled change."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from sharewise.report import figures, words
from sharewise.report.blocks import Block, Cell, Figure, Table
from sharewise.report.figures import Effect
from sharewise.report.load import StudyRecords
from sharewise.report.rows import State, TaskRow, of_state

_COLUMNS = (State.BETTER, State.SAFE, State.WORSE, State.UNDECIDED, State.HARM)


def families(rows: Sequence[TaskRow]) -> dict[str, list[TaskRow]]:
    """Tasks by the grouped declaration they come from; tasks of none together."""
    found: dict[str, list[TaskRow]] = {}
    for row in rows:
        found.setdefault(row.family or "other tasks", []).append(row)
    return found


def median_change(rows: Sequence[TaskRow]) -> str:
    """Median of the tasks' changes with the range of the middle half; empty where their scales differ."""
    compared = [row.verdict.comparison for row in rows if row.verdict is not None]
    scales = {c.scale for c in compared}
    if len(scales) != 1:
        return ""
    scale, values = scales.pop(), sorted(c.effect for c in compared)
    shown = words.change(statistics.median(values), scale)
    if len(values) >= 4:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        shown += f", middle half {words.interval(low, high, scale)}"
    return shown


def family_blocks(records: StudyRecords, rows: Sequence[TaskRow]) -> list[Block]:
    """A table of families, and for each scale a histogram of the effects."""
    made = tuple(_family_row(records, name, members) for name, members in families(rows).items())
    head = (
        "Family",
        "Tasks",
        "Share",
        *(state.value.capitalize() for state in _COLUMNS),
        "Median change",
        "Pooled change",
    )
    blocks: list[Block] = [Table("Verdicts by family", head, made)]
    for scale in ("relative", "points"):
        found = [
            Effect(row.name, row.verdict.comparison, row.state, row.verdict_at)
            for row in rows
            if row.verdict is not None and row.verdict.comparison.scale == scale
        ]
        if len(found) > 4:
            caption = (
                "How many tasks change by how much when they share; the colour, and the hatching for not enough "
                "evidence, is the verdict; the dashed line is the margin."
            )
            blocks.append(
                Figure(figures.histogram(found, "Spread of the changes over tasks"), caption, "verdicts.json")
            )
    return blocks


def _family_row(records: StudyRecords, name: str, rows: Sequence[TaskRow]) -> tuple[Cell, ...]:
    counts = []
    for state in _COLUMNS:
        n = len(of_state(rows, state))
        counts.append(
            Cell(words.count(n), source="verdicts.json", drawing=figures.mark(state) if n else None, kind="count")
        )
    pooled = ""
    source = ""
    for i, effect in enumerate([] if records.summary is None else records.summary.pooled):
        if effect.family == name or (effect.family is None and effect.n_tasks == len(rows)):
            pooled = (
                f"{words.change(effect.mean, effect.scale)} {words.interval(effect.low, effect.high, effect.scale)}"
            )
            source = f"summary.json#/pooled/{i}"
    return (
        Cell(name, _metrics(rows), kind="task"),
        Cell(words.count(len(rows)), source="design.json#/tasks", kind="count"),
        Cell(words.count(sum(row.shares for row in rows)), source="decisions.json", kind="count"),
        *counts,
        Cell(median_change(rows) or words.MISSING, source="verdicts.json"),
        Cell(pooled or words.MISSING, source=source),
    )


def _metrics(rows: Sequence[TaskRow]) -> str:
    return words.listing(dict.fromkeys(row.metric_label for row in rows))
