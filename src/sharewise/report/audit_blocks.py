"""Small plots of what the audit measured, each only where there is something to see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sharewise.records import AuditDetails, PartCounts
from sharewise.report import audit_plots as plots
from sharewise.report import curves as drawings
from sharewise.report import words
from sharewise.report.blocks import (
    Block,
    Cell,
    Figure,
    Fold,
    Grid,
    Heading,
    Legend,
    LegendItem,
    Table,
    paragraph,
    say,
)
from sharewise.report.measured import (
    Absence,
    Drift,
    NoiseOfTasks,
    Overlap,
    Periods,
    PowerOfTasks,
    SkillOfInputs,
    SkillOfLabels,
    Volumes,
    measured,
)
from sharewise.report.rows import MANY

_BARS = 12
"""Bars that stand open; the rest is folded."""
_PLOTS = 6
"""Plots that stand open; also the bars, where there are so many tasks that the rest stays in the records."""
_CELLS = 40
"""Most tasks that are drawn as a map."""
_AT = "audit_details.json#/details"

Line = tuple[Cell, ...]
T = TypeVar("T")


def drawn(details: AuditDetails | None, *, alone: bool) -> list[Block]:
    """All plots of an audit; `alone` adds those that a study's report draws elsewhere (labels and their overlap)."""
    if details is None:
        return []
    makers: list[Callable[[AuditDetails], list[Block]]] = [_volumes, _overlap] if alone else []
    makers += [_noise, _leaks, _copies, _through_time, _periods, _absence, _power]
    return [block for make in makers for block in make(details)]


def _table(title: str, lead: str, head: tuple[str, ...], lines: Sequence[Line], source: str) -> list[Block]:
    """A heading, what is to be seen, and the lines, the first of them open."""
    blocks: list[Block] = [Heading(title), *paragraph([say("audit plot", lead, source)], "lead")]
    n = _BARS if len(lines) <= MANY else _PLOTS
    blocks.append(Table(title, head, tuple(lines[:n])))
    return [*blocks, *_rest(lines[n:], len(lines), source, lambda rest: Table(title, head, tuple(rest)))]


def _rest(rest: Sequence[T], of: int, source: str, shown: Callable[[Sequence[T]], Block]) -> list[Block]:
    """What follows the first lines or plots: folded, or, with a hundred tasks, left in the records."""
    if not rest:
        return []
    if of > MANY:
        text = f"The other {words.count(len(rest))} are in audit_details.json."
        return list(paragraph([say("audit plot", text, source)], "note"))
    return [Fold(f"{words.count(len(rest))} more", (shown(rest),))]


def _limits(limits: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple((kind, limit) for kind, limit in limits.items() if kind in ("warning", "error"))


# --- noise ------------------------------------------------------------------------------------------------


def _noise(details: AuditDetails) -> list[Block]:
    said = measured(details, "label_noise", NoiseOfTasks)
    if said is None or not said.noise:
        return []
    source = f"{_AT}/label_noise/noise"
    limits = _limits(said.limits)
    top = max([0.2, *(1.15 * limit for _, limit in limits), *(1.05 * n.high for n in said.noise.values())])
    lines = []
    for name, n in sorted(said.noise.items(), key=lambda item: (not item[1].plateau, -item[1].rate)):
        range_ = f"{words.percent(n.low)} to {words.percent(n.high)}"
        if not n.plateau:
            range_ += "; the errors grow with doubt, as on a hard task: no estimate"
        tip = f"{name}: {words.percent(n.rate)}, {range_}"
        bar = plots.level(tip, n.rate, top, limits if n.plateau else (), (n.low, n.high))
        lines.append(
            (
                Cell(name, kind="task"),
                Cell(words.percent(n.rate), range_, source, bar, "bar"),
                Cell(words.count(n.suspects), source=source, kind="count"),
                Cell(", ".join(n.worst[:5]), source=source, kind="ids"),
            )
        )
    bounds = " and ".join(f"{words.percent(limit)} ({kind})" for kind, limit in sorted(limits, key=lambda x: x[1]))
    lead = (
        "Share of wrong labels as models see it that were not trained on the row, with its 90 % interval. A finding "
        f"needs the whole interval above a line: {bounds}."
    )
    head = ("Task", "Wrong labels, estimated", "Rows to look at", "Worst rows")
    return _table("Label noise of each task", lead, head, lines, source)


# --- leaks ------------------------------------------------------------------------------------------------


def _leaks(details: AuditDetails) -> list[Block]:
    said = measured(details, "input_leaks", SkillOfInputs)
    best = {} if said is None else {name: list(inputs.items()) for name, inputs in said.best.items() if inputs}
    if said is None or not best:
        return []
    source = f"{_AT}/input_leaks/best"
    limits = _limits(said.limits)
    lines = []
    for name, inputs in sorted(best.items(), key=lambda item: -item[1][0][1]):
        first, skill = inputs[0]
        rest = ", ".join(f"{column} {words.score(value)}" for column, value in inputs[1:3] if value >= 0.05)
        bar = plots.level(f"{first} alone says {words.score(skill)} of {name}", skill, 1.0, limits)
        lines.append(
            (
                Cell(name, kind="task"),
                Cell(f"{first}: {words.score(skill)}", f"then {rest}" if rest else "", source, bar, "bar"),
            )
        )
    bounds = " and ".join(f"{limit:g} ({kind})" for kind, limit in sorted(limits, key=lambda x: x[1]))
    lead = (
        "How much of a label its best input gives away alone: 0 no more than guessing, 1 everything. The lines: "
        f"{bounds or 'none on record'}."
    )
    head = ("Label", "Best single input and its skill")
    return _table("What one input alone says of a label", lead, head, lines, source)


# --- pairs of labels --------------------------------------------------------------------------------------


def _copies(details: AuditDetails) -> list[Block]:
    said = measured(details, "target_copies", SkillOfLabels)
    n = 0 if said is None else len(said.labels)
    if said is None or not 2 <= n <= _CELLS or len(said.skill) != n or any(len(row) != n for row in said.skill):
        return []
    if max((v for row in said.skill for v in row if v is not None), default=0.0) < 0.05:
        return []
    source = f"{_AT}/target_copies/skill"
    caption = (
        "What the label of a column says of the label of a row, from 0 (nothing) to 1 (everything). Related labels "
        "are good for sharing; the same label twice is not."
    )
    figure = Figure(plots.skill_map(said.labels, said.skill), caption, source, scroll=True)
    return [Heading("What one label says of another"), figure]


def _overlap(details: AuditDetails) -> list[Block]:
    said = measured(details, "task_overlap", Overlap)
    n = 0 if said is None else len(said.tasks)
    if said is None or not 2 <= n <= _CELLS or len(said.rows) != n or any(len(row) != n for row in said.rows):
        return []
    caption = (
        "Rows labelled for both of two tasks; the stronger the colour, the larger their share of the smaller task."
    )
    figure = Figure(drawings.overlap_map(said.tasks, said.rows), caption, f"{_AT}/task_overlap/rows", scroll=True)
    return [Heading("Rows that two tasks share"), figure]


def _volumes(details: AuditDetails) -> list[Block]:
    said = measured(details, "task_volumes", Volumes)
    if said is None or any(len(counts) != 3 for counts in said.labels.values()):
        return []
    source = f"{_AT}/task_volumes/labels"
    lines = []
    for name, (train, validation, test) in sorted(said.labels.items(), key=lambda item: -sum(item[1])):
        counts = PartCounts(train, validation, test)
        shown = f"{words.count(train)} / {words.count(validation)} / {words.count(test)}"
        bar = drawings.coverage_bar(name, counts, details.n_rows)
        lines.append((Cell(name, kind="task"), Cell(shown, source=source, drawing=bar, kind="bar")))
    lead = f"Labelled rows in train, validation and test, beside all {words.count(details.n_rows)} rows."
    made = _table("Labels of each task", lead, ("Task", "Train / validation / test"), lines, source)
    return [*made[:2], _legend(), *made[2:]]


def _legend() -> Legend:
    return Legend(tuple(LegendItem(drawing, text) for drawing, text in drawings.part_swatches()))


# --- time -------------------------------------------------------------------------------------------------


def _through_time(details: AuditDetails) -> list[Block]:
    said = measured(details, "label_drift", Drift)
    if said is None or not said.windows or not said.labels:
        return []
    source = f"{_AT}/label_drift/labels"

    def move(name: str) -> float:
        return max(said.within_train.get(name, 0.0), said.train_to_test.get(name, 0.0))

    names = sorted(said.labels, key=lambda name: -move(name))
    figures = []
    for name in names:
        told = said.labels[name]
        if len(told.quartiles or told.shares) != len(said.windows):
            continue
        moves = f"in train {words.score(said.within_train.get(name))}"
        if name in said.train_to_test:
            moves += f", to test {words.score(said.train_to_test[name])}"
        picture = plots.through_time(name, told, said.windows, is_date=said.is_date)
        figures.append(Figure(picture, f"{name}: {moves}", source))
    if not figures:
        return []
    within, beyond = said.limits.get("within_train"), said.limits.get("train_to_test")
    lead = (
        f"Each label in {words.count(len(said.windows))} stretches of time with equal numbers of rows, the one that "
        "moves most first. The numbers are the sizes of its move within the train period and from train to test "
        f"(a finding above {_bound(within)} and {_bound(beyond)})."
    )
    blocks: list[Block] = [Heading("Labels through time"), *paragraph([say("audit plot", lead, source)], "lead")]
    blocks += [_legend(), Grid(tuple(figures[:_PLOTS]))]
    return [*blocks, *_rest(figures[_PLOTS:], len(figures), source, lambda rest: Grid(tuple(rest)))]


def _bound(limit: float | None) -> str:
    return words.MISSING if limit is None else f"{limit:g}"


def _periods(details: AuditDetails) -> list[Block]:
    said = measured(details, "task_periods", Periods)
    if said is None or not said.label_rate or len(said.label_rate) > _CELLS or not said.window_start:
        return []
    rates = list(said.label_rate.values())
    if min(rate for row in rates for rate in row) > 0.98 * max(rate for row in rates for rate in row):
        return []  # everything is labelled all the time
    drift = measured(details, "label_drift", Drift)
    is_date = drift is not None and drift.is_date
    ends = (plots.instant(said.window_start[0], is_date), plots.instant(said.window_end[-1], is_date))
    caption = "Share of labelled rows, window by window of equal numbers of rows; the stronger the colour, the more."
    picture = plots.presence_map(list(said.label_rate), rates, ends)
    return [
        Heading("Which task is labelled when"),
        Figure(picture, caption, f"{_AT}/task_periods/label_rate", scroll=True),
    ]


# --- coverage ---------------------------------------------------------------------------------------------


def _absence(details: AuditDetails) -> list[Block]:
    said = measured(details, "missing_labels", Absence)
    if said is None or not said.auc:
        return []
    source = f"{_AT}/missing_labels/auc"
    lines = []
    for name, area in sorted(said.auc.items(), key=lambda item: -item[1]):
        # Half is chance: the bar begins there.
        bar = plots.level(f"{name}: ROC-AUC {area:.2f}", max(area - 0.5, 0.0), 0.5, (("warning", said.limit - 0.5),))
        lines.append((Cell(name, kind="task"), Cell(f"{area:.2f}", source=source, drawing=bar, kind="bar")))
    lead = (
        "How well the inputs tell whether a row is labelled (ROC-AUC, from 0.5, by chance, to 1, surely). Beyond the "
        f"line, {said.limit:g}, the labelled rows are another population than the rest."
    )
    return _table("Are labels missing at random?", lead, ("Task", "ROC-AUC"), lines, source)


def _power(details: AuditDetails) -> list[Block]:
    said = measured(details, "test_power", PowerOfTasks)
    if said is None or not said.labels:
        return []
    source = f"{_AT}/test_power/labels"
    ratios = {name: p.half_width / p.margin if p.margin else 0.0 for name, p in said.labels.items()}
    top = min(max([1.5, *(1.05 * r for r in ratios.values())]), 10.0)
    lines = []
    for name, ratio in sorted(ratios.items(), key=lambda item: -item[1]):
        p = said.labels[name]
        bar = plots.level(f"{name}: {ratio:.1f} margins", min(ratio, top), top, (("warning", 1.0),))
        lines.append(
            (
                Cell(name, f"margin {words.percent(p.margin)}", source, kind="task"),
                Cell(f"±{words.THIN}{words.percent(p.half_width)}", f"{ratio:.1f} margins", source, bar, "bar"),
                Cell(words.count(p.test_rows), source=source, kind="count"),
                Cell(words.count(p.needed), source=source, kind="count"),
            )
        )
    lead = (
        "Half width of the narrowest interval that the test rows can give, however many runs are made. Beyond the "
        "line, one margin, a change of a margin cannot be told from none."
    )
    head = ("Label", "What the test rows can resolve", "Test rows", "Rows needed")
    return _table("Can the test rows decide?", lead, head, lines, source)
