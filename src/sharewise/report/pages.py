"""The page from the records: the answer, the verdicts and the evidence; `book` adds what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sharewise.records import Comparison
from sharewise.report import balance, book, contest, decision, explain, figures, findings, hero, labels, words
from sharewise.report.affinity import affinity
from sharewise.report.blocks import (
    Block,
    Cell,
    Figure,
    Fold,
    Legend,
    LegendItem,
    Section,
    Table,
    paragraph,
)
from sharewise.report.families import family_blocks
from sharewise.report.figures import Effect
from sharewise.report.load import StudyRecords
from sharewise.report.remarks import caution, isolated, same_twice
from sharewise.report.rows import (
    MANY,
    State,
    TaskRow,
    limit,
    state_of,
    task_rows,
)
from sharewise.report.sentences import Sentence, answer, pooled


@dataclass(frozen=True)
class Page:
    """Everything the template needs."""

    title: str
    subtitle: str
    answer: tuple[Sentence, ...]
    hero: tuple[Block, ...]
    sections: tuple[Section, ...]


def page(records: StudyRecords) -> Page:
    """The report of a study as a page of sections, from the answer to the last run."""
    rows = task_rows(records)
    made = [
        decision.section(records, rows),
        verdicts(records, rows),
        evidence(records, rows),
        affinity(records, rows),
        explain.section(records),
        *(build(records, rows) for build in _BOOK),
    ]
    name = records.design.name if records.design is not None else records.name
    return Page(
        title=name,
        subtitle=book.subtitle(records),
        answer=answer(records),
        hero=(*book.missing(records), *hero.tiles(records, rows), *hero.teams(records, rows)),
        sections=tuple(section for section in made if section is not None),
    )


_BOOK: tuple[Callable[[StudyRecords, Sequence[TaskRow]], Section | None], ...] = (
    contest.curves,
    balance.balancing,
    contest.arms,
    labels.data,
    findings.audit,
    book.method,
    book.provenance,
)


# --- verdicts ---------------------------------------------------------------------------------------------

_HEAD = ("Task", "Best single-task model", "Shared model", "Change", "Verdict", "Who answers", "What would settle it")


def verdicts(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """The table of verdicts; with very many tasks, families first and the table folded."""
    if not any(row.verdict or row.decision for row in rows):
        return None
    level = 0.9 if records.design is None else records.design.level
    lead = (
        f"Every score is from test rows that no tuning has seen, averaged over retrained runs (± is the standard "
        f"deviation between runs). Change compares the shared model with the task's best single-task model, with its "
        f"{words.percent(level)} interval; plus means better. Where nothing was compared, the interval is of the score."
    )
    if len(rows) <= MANY:
        return Section("verdicts", "A verdict for each task", lead, (verdict_table(rows),))
    blocks = [*paragraph([pooled(records, rows)]), *family_blocks(records, rows)]
    by_family: dict[str, list[TaskRow]] = {}
    for row in rows:
        by_family.setdefault(row.family or "Other tasks", []).append(row)
    for family, members in by_family.items():
        title = f"{family}: the verdict for each of {words.plural(len(members), 'task')}"
        blocks.append(Fold(title, (verdict_table(members),)))
    return Section("verdicts", "Verdicts by family", lead, tuple(blocks))


def verdict_table(rows: Sequence[TaskRow]) -> Table:
    """One row a task: scores, change with its interval, verdict, who answers, what would settle it."""
    return Table("Verdict for each task", _HEAD, tuple(_verdict_row(row) for row in rows))


def _verdict_row(row: TaskRow) -> tuple[Cell, ...]:
    return (_task_cell(row), *_score_cells(row), _verdict_cell(row), _answer_cell(row), _settle_cell(row))


def _task_cell(row: TaskRow) -> Cell:
    notes = [row.metric_label]
    if row.verdict is not None:
        notes.append(words.plural(row.verdict.comparison.n_rows, "test row"))
    elif row.data is not None:
        notes.append(words.plural(row.data.labelled.test, "test row"))
    if row.task is not None and row.task.primary:
        notes.append("primary")
    source = f"{row.verdict_at}/comparison/n_rows" if row.verdict is not None else row.data_at
    return Cell(row.name, " · ".join(note for note in notes if note), source, kind="task")


def _score_cells(row: TaskRow) -> tuple[Cell, Cell, Cell]:
    if row.verdict is None:
        dash = Cell(words.MISSING)
        return _own_cell(row), dash, dash
    c, at = row.verdict.comparison, f"{row.verdict_at}/comparison"
    single = Cell(
        _with_spread(c.baseline_score, c.baseline_run_scores),
        f"{c.baseline}, {words.plural(c.n_baseline_runs, 'run')}",
        f"{at}/baseline_score",
        kind="score",
    )
    shared = Cell(
        _with_spread(c.candidate_score, c.candidate_run_scores),
        f"{c.candidate}, {words.plural(c.n_candidate_runs, 'run')}",
        f"{at}/candidate_score",
        kind="score",
    )
    change = Cell(
        words.change(c.effect, c.scale),
        f"{words.interval(c.low, c.high, c.scale)}\n{_margin_note(row, c)}",
        f"{at}/effect",
        kind="change",
    )
    return single, shared, change


def _own_cell(row: TaskRow) -> Cell:
    """What a task that nothing was compared with scores by itself."""
    own = row.own
    if own is None:
        return Cell(words.MISSING)
    note = f"{own.arm}, {words.plural(len(own.run_scores), 'run')}\n{words.between(own.low, own.high)}"
    return Cell(_with_spread(own.score, own.run_scores), note, f"{row.own_at}/score", kind="score")


def _with_spread(mean: float, scores: Sequence[float]) -> str:
    return f"{words.score(mean)} {words.spread(scores)}".rstrip()


def _verdict_cell(row: TaskRow) -> Cell:
    if row.verdict is None:
        note = "alone in the chosen plan" if row.decision is not None else ""
        return Cell(State.NONE.value, note, kind="verdict none", drawing=figures.mark(State.NONE))
    return Cell(
        row.state.value,
        source=f"{row.verdict_at}/outcome",
        drawing=figures.mark(row.state),
        kind=f"verdict {figures.KIND[row.state]}",
    )


def _answer_cell(row: TaskRow) -> Cell:
    d = row.decision
    if d is None:
        return Cell(words.MISSING)
    return Cell("shared model" if d.shared else d.arm, d.reason, row.decision_at, kind="who")


def _settle_cell(row: TaskRow) -> Cell:
    if row.verdict is None or row.verdict.receipt is None:
        return Cell("", "settled" if row.verdict is not None else words.MISSING, kind="settle")
    return Cell("", row.verdict.receipt.sentence, f"{row.verdict_at}/receipt", kind="settle")


# --- evidence ---------------------------------------------------------------------------------------------


def evidence(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """Intervals against the margin: with the best single-task model, and with the same architecture alone."""
    judged = [row for row in rows if row.verdict is not None]
    if not judged:
        return None
    lead = (
        "Left of the dashed line a change counts as harm. A verdict needs the whole interval on one side of it: "
        "right of it is no harm, right of zero is better, left of it is harm, across it is not enough evidence."
    )
    blocks: list[Block] = [
        _legend(judged),
        *paragraph([isolated(records, rows), same_twice(records, rows), caution(records, rows)]),
    ]
    tables = [
        table for table in (_forest(records, judged, scale) for scale in ("relative", "points")) if table is not None
    ]
    if len(judged) <= MANY:
        blocks += tables
    else:
        blocks += _many(judged)
        blocks.append(Fold(f"The interval of each of {words.plural(len(judged), 'task')}", tuple(tables)))
    blocks += _others(records, judged)
    return Section("evidence", "Changes against the margin", lead, tuple(blocks))


def _legend(rows: Sequence[TaskRow]) -> Legend:
    present = {row.state for row in rows} | {state_of(row.isolated) for row in rows if row.isolated is not None}
    states = [s for s in (State.BETTER, State.SAFE, State.WORSE, State.UNDECIDED, State.HARM) if s in present]
    return Legend(tuple(LegendItem(figures.mark(state), state.value) for state in states))


def effects(rows: Sequence[TaskRow], scale: str) -> list[Effect]:
    """The intervals of the verdicts on one scale, in the order given."""
    return [
        Effect(row.name, row.verdict.comparison, row.state, f"{row.verdict_at}/comparison")
        for row in rows
        if row.verdict is not None and row.verdict.comparison.scale == scale
    ]


def _forest(records: StudyRecords, rows: Sequence[TaskRow], scale: str) -> Table | None:
    on_scale = [row for row in rows if row.verdict is not None and row.verdict.comparison.scale == scale]
    if not on_scale:
        return None
    on_scale.sort(key=lambda row: -_effect_of(row))
    against = {row.name: row.isolated.comparison for row in on_scale if row.isolated is not None}
    span = figures.axis_range([*_comparisons(on_scale), *against.values()])
    margins = {c.margin for c in _comparisons(on_scale)}
    margin = margins.pop() if len(margins) == 1 else None
    made = []
    for row in on_scale:
        assert row.verdict is not None
        c = row.verdict.comparison
        one = Effect(row.name, c, row.state, f"{row.verdict_at}/comparison")
        cells = [
            Cell(row.name, _margin_note(row, c), f"{row.verdict_at}/comparison", kind="task"),
            Cell(drawing=figures.forest_row(one, *span, c.baseline), source=one.source, kind="plot"),
        ]
        if against:
            cells.append(_isolated_cell(row, span))
        made.append(tuple(cells))
    foot = [Cell(), Cell(drawing=figures.forest_axis(*span, scale, margin), kind="plot")]
    head = ["Task", "Shared against the best single-task model"]
    if against:
        foot.append(Cell(drawing=figures.forest_axis(*span, scale, margin), kind="plot"))
        head.append("Shared against the same architecture alone")
    caption = "Change of each task with its interval, the most favourable first"
    return Table(caption, tuple(head), tuple(made), "forest", tuple(foot))


def _effect_of(row: TaskRow) -> float:
    return 0.0 if row.verdict is None else row.verdict.comparison.effect


def _comparisons(rows: Sequence[TaskRow]) -> list[Comparison]:
    return [row.verdict.comparison for row in rows if row.verdict is not None]


def _margin_note(row: TaskRow, c: Comparison) -> str:
    bound = limit(c, row.metric)
    if bound is None:
        return f"margin {words.amount(c.margin, c.scale)}"
    side = "below" if row.metric is None or row.metric.bigger_is_better else "above"
    return f"harm {side} {words.score(bound)}"


def _isolated_cell(row: TaskRow, span: tuple[float, float]) -> Cell:
    if row.isolated is None:
        return Cell(words.MISSING, kind="plot")
    c = row.isolated.comparison
    effect = Effect(row.name, c, state_of(row.isolated), row.isolated_at)
    return Cell(drawing=figures.forest_row(effect, *span, c.baseline), source=row.isolated_at, kind="plot")


def _many(rows: Sequence[TaskRow]) -> list[Block]:
    made: list[Block] = []
    for scale in ("relative", "points"):
        found = effects(rows, scale)
        if found:
            n = words.plural(len(found), "task")
            caption = f"Every interval of {n}, the most favourable first; dashed line: the margin; solid line: zero."
            made.append(Figure(figures.caterpillar(found, "Intervals of all tasks"), caption, "verdicts.json"))
    return made


def _others(records: StudyRecords, rows: Sequence[TaskRow]) -> list[Block]:
    """Comparisons on record that no verdict shows, folded."""
    shown = [v.comparison for row in rows for v in (row.verdict, row.isolated) if v is not None]
    used = {(c.task, c.baseline, c.candidate) for c in shown}
    made = []
    for i, c in enumerate(records.comparisons):
        if (c.task, c.baseline, c.candidate) in used:
            continue
        at = f"comparisons.json#/{i}"
        scores = f"{words.score(c.baseline_score)} → {words.score(c.candidate_score)}"
        made.append(
            (
                Cell(c.task, kind="task"),
                Cell(f"{c.candidate} against {c.baseline}", source=at),
                Cell(scores, source=f"{at}/candidate_score"),
                Cell(words.change(c.effect, c.scale), words.interval(c.low, c.high, c.scale), f"{at}/effect"),
            )
        )
    if not made:
        return []
    table = Table("Other comparisons", ("Task", "Comparison", "Score", "Change"), tuple(made))
    return [Fold(f"Other comparisons on test rows ({words.count(len(made))})", (table,))]
