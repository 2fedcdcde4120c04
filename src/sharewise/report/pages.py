"""The page from the records: the answer, the verdicts and the evidence; `book` adds what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sharewise.records import Comparison
from sharewise.report import book, figures, words
from sharewise.report.blocks import (
    Block,
    Cell,
    Chip,
    Figure,
    Fold,
    Legend,
    LegendItem,
    Section,
    Table,
    Team,
    Teams,
    Tile,
    Tiles,
    paragraph,
)
from sharewise.report.families import family_blocks
from sharewise.report.figures import Effect
from sharewise.report.load import StudyRecords
from sharewise.report.rows import (
    MANY,
    State,
    TaskRow,
    limit,
    of_state,
    set_aside,
    shared_models,
    state_of,
    task_rows,
    trained_with,
)
from sharewise.report.sentences import Sentence, answer, in_models, isolated, pooled


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
        verdicts(records, rows),
        evidence(records, rows),
        *(build(records, rows) for build in _BOOK),
    ]
    name = records.design.name if records.design is not None else records.name
    return Page(
        title=name,
        subtitle=book.subtitle(records),
        answer=answer(records),
        hero=(*book.missing(records), *_tiles(records, rows), *_teams(records, rows)),
        sections=tuple(section for section in made if section is not None),
    )


_BOOK: tuple[Callable[[StudyRecords, Sequence[TaskRow]], Section | None], ...] = (
    book.curves,
    book.arms,
    book.data,
    book.audit,
    book.method,
    book.provenance,
)


# --- the answer -------------------------------------------------------------------------------------------


def _tiles(records: StudyRecords, rows: Sequence[TaskRow]) -> tuple[Tiles, ...]:
    if not rows or not all(row.decision for row in rows):
        return ()
    sharing = [row for row in rows if row.shares]
    harmed = of_state(sharing, State.HARM)
    models = len(shared_models(records, rows)) + len(rows) - len(sharing)
    judged = [row for row in rows if row.verdict is not None]
    tiles = [
        Tile(f"{len(sharing)} of {len(rows)}", words.verb(len(sharing), "task shares", "tasks share"), "decisions.json"),
        Tile(words.count(len(harmed)), "shipped with harm", "verdicts.json", "harm" if harmed else ""),
        Tile(
            f"{words.count(len(of_state(judged, State.BETTER)))} / {words.count(len(of_state(judged, State.HARM)))}",
            "better / harmed when shared",
            "verdicts.json",
        ),
        Tile(words.count(len(of_state(judged, State.UNDECIDED))), words.verb(len(of_state(judged, State.UNDECIDED)), "open verdict", "open verdicts"), "verdicts.json"),
        Tile(words.count(models), words.verb(models, "model to run", f"models to run instead of {words.count(len(rows))}") if models < len(rows) else words.verb(models, "model to run", "models to run"), "decisions.json"),
    ]
    if records.summary is not None:
        tiles.append(Tile(words.seconds(records.summary.seconds), f"for {words.plural(records.summary.n_runs, 'run')}", "summary.json#/seconds"))
    return (Tiles(tuple(tiles)),)


def _teams(records: StudyRecords, rows: Sequence[TaskRow]) -> tuple[Teams, ...]:
    if not rows or not all(row.decision for row in rows):
        return ()
    teams = []
    for (arm, group), members in shared_models(records, rows).items():
        extra = len(trained_with(records, arm, group)) - len(members)
        model = records.arms[arm].model if arm in records.arms else arm
        note = model + (f", trained with {words.plural(extra, 'more task')}" if extra > 0 else "")
        title = f"One shared model answers {words.plural(len(members), 'task')}"
        teams.append(Team(title, note, _chips(members, arm=False), "shared"))
    alone = [row for row in rows if not row.shares]
    if alone:
        title = f"{words.plural(len(alone), 'task')} on {words.verb(len(alone), 'its', 'their')} own"
        note = f"{in_models(len(alone))}, each the best on validation rows" if len(alone) > 1 else "one model, the best on validation rows"
        teams.append(Team(title, note, _chips(alone, arm=True), "alone"))
    aside = set_aside(records)
    if aside:
        chips = tuple(Chip(item.task, item.reason, source=f"data.json#/set_aside/{i}") for i, item in enumerate(aside))
        teams.append(Team(f"{words.plural(len(aside), 'task')} set aside", "not studied", chips, "aside"))
    return (Teams(tuple(teams)),)


def _chips(rows: Sequence[TaskRow], *, arm: bool) -> tuple[Chip, ...]:
    shown = rows[:MANY]
    chips = [
        Chip(
            row.name,
            row.decision.arm if arm and row.decision is not None else "",
            figures.mark(row.state),
            row.decision_at,
        )
        for row in shown
    ]
    if len(rows) > len(shown):
        chips.append(Chip(f"and {words.count(len(rows) - len(shown))} more"))
    return tuple(chips)


# --- verdicts ---------------------------------------------------------------------------------------------

_HEAD = ("Task", "Best single-task model", "Shared model", "Change", "Verdict", "Who answers", "What would settle it")


def verdicts(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """The table of verdicts; with very many tasks, families first and the table folded."""
    if not any(row.verdict or row.decision for row in rows):
        return None
    level = 0.9 if records.design is None else records.design.level
    lead = (
        f"Every score is from test rows that no choice has seen, averaged over retrained runs (± is the standard deviation "
        f"between runs). Change compares the shared model with the task's best single-task model, with its "
        f"{words.percent(level)} interval; plus means better."
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
        return dash, dash, dash
    c, at = row.verdict.comparison, f"{row.verdict_at}/comparison"
    single = Cell(
        words.score(c.baseline_score),
        _runs_note(c.baseline_run_scores, c.n_baseline_runs, c.baseline),
        f"{at}/baseline_score",
    )
    shared = Cell(
        words.score(c.candidate_score),
        _runs_note(c.candidate_run_scores, c.n_candidate_runs, c.candidate),
        f"{at}/candidate_score",
    )
    bound = limit(c, row.metric)
    margin = f"margin {words.amount(c.margin, c.scale)}" + (f": {words.score(bound)}" if bound is not None else "")
    change = Cell(
        words.change(c.effect, c.scale),
        f"{words.interval(c.low, c.high, c.scale)} · {margin}",
        f"{at}/effect",
        kind="change",
    )
    return single, shared, change


def _runs_note(scores: Sequence[float], n: int, arm: str) -> str:
    around = words.spread(scores)
    return f"{arm} · {words.plural(n, 'run')}" + (f", {around}" if around else "")


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
    risk = "" if d.probability_harm is None else f"probability of harm if shared {words.percent(d.probability_harm)}. "
    return Cell("shared model" if d.shared else d.arm, f"{risk}{d.reason}", row.decision_at, kind="answer")


def _settle_cell(row: TaskRow) -> Cell:
    if row.verdict is None or row.verdict.receipt is None:
        return Cell("", "settled" if row.verdict is not None else "")
    return Cell("", row.verdict.receipt.sentence, f"{row.verdict_at}/receipt")


# --- evidence ---------------------------------------------------------------------------------------------


def evidence(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """Intervals against the margin: with the best single-task model, and with the same architecture alone."""
    judged = [row for row in rows if row.verdict is not None]
    if not judged:
        return None
    lead = (
        "Left of the dashed line a change counts as harm. A verdict needs the whole interval on one side of it: right of it "
        "is no harm, right of zero is better, left of it is harm, across it is not enough evidence."
    )
    blocks: list[Block] = [_legend(judged), *paragraph([isolated(records, rows)])]
    tables = [table for table in (_forest(records, judged, scale) for scale in ("relative", "points")) if table is not None]
    if len(judged) <= MANY:
        blocks += tables
    else:
        blocks += _many(judged)
        blocks.append(Fold(f"The interval of each of {words.plural(len(judged), 'task')}", tuple(tables)))
    blocks += _others(records, judged)
    return Section("evidence", "Changes against the margin", lead, tuple(blocks))


def _legend(rows: Sequence[TaskRow]) -> Legend:
    present = {row.state for row in rows} | {state_of(row.isolating) for row in rows if row.isolating is not None}
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
    against = {row.name: row.isolating for row in on_scale if row.isolating is not None and row.isolating.scale == scale}
    main = figures.axis_range(_comparisons(on_scale))
    side = figures.axis_range(against.values())
    margins = {c.margin for c in _comparisons(on_scale)}
    margin = margins.pop() if len(margins) == 1 else None
    made = []
    for row in on_scale:
        assert row.verdict is not None
        c = row.verdict.comparison
        one = Effect(row.name, c, row.state, f"{row.verdict_at}/comparison")
        cells = [
            Cell(row.name, _margin_note(row, c), f"{row.verdict_at}/comparison", kind="task"),
            Cell(drawing=figures.forest_row(one, *main, c.baseline), source=one.source, kind="plot"),
        ]
        if against:
            cells.append(_isolated_cell(row, against.get(row.name), side))
        made.append(tuple(cells))
    foot = [Cell(), Cell(drawing=figures.forest_axis(*main, scale, margin), kind="plot")]
    head = ["Task", "Shared against the best single-task model"]
    if against:
        foot.append(Cell(drawing=figures.forest_axis(*side, scale, margin), kind="plot"))
        head.append(f"Shared against the same architecture alone{f' ({records.alone})' if records.alone else ''}")
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
    return f"harm {side} {row.metric_label} {words.score(bound)}"


def _isolated_cell(row: TaskRow, c: Comparison | None, span: tuple[float, float]) -> Cell:
    if c is None:
        return Cell(words.MISSING, kind="plot")
    if row.verdict is not None and row.verdict.comparison.baseline == c.baseline:
        note = "the same comparison: this arm is the best single-task model"
    else:
        note = ""
    effect = Effect(row.name, c, state_of(c), row.isolating_at)
    return Cell(note=note, drawing=figures.forest_row(effect, *span, c.baseline), source=row.isolating_at, kind="plot")


def _many(rows: Sequence[TaskRow]) -> list[Block]:
    made: list[Block] = []
    for scale in ("relative", "points"):
        found = effects(rows, scale)
        if found:
            caption = f"Every interval of {words.plural(len(found), 'task')}, sorted: the dashed line is the margin, the solid line zero."
            made.append(Figure(figures.caterpillar(found, "Intervals of all tasks"), caption, "verdicts.json"))
    return made


def _others(records: StudyRecords, rows: Sequence[TaskRow]) -> list[Block]:
    """Comparisons on record that no verdict and no isolating column shows, folded."""
    used = {(row.name, row.verdict.comparison.baseline, row.verdict.comparison.candidate) for row in rows if row.verdict}
    used |= {(row.name, row.isolating.baseline, row.isolating.candidate) for row in rows if row.isolating is not None}
    made = []
    for i, c in enumerate(records.comparisons):
        if (c.task, c.baseline, c.candidate) in used:
            continue
        at = f"comparisons.json#/{i}"
        state = state_of(c)
        made.append(
            (
                Cell(c.task, kind="task"),
                Cell(f"{c.candidate} against {c.baseline}", source=at),
                Cell(f"{words.score(c.baseline_score)} → {words.score(c.candidate_score)}", source=f"{at}/candidate_score"),
                Cell(words.change(c.effect, c.scale), words.interval(c.low, c.high, c.scale), f"{at}/effect"),
                Cell(state.value, drawing=figures.mark(state), kind=f"verdict {figures.KIND[state]}"),
            )
        )
    if not made:
        return []
    head = ("Task", "Comparison", "Score", "Change", "By the same rule")
    return [Fold(f"Other comparisons on test rows ({words.count(len(made))})", (Table("Other comparisons", head, tuple(made)),))]


