"""The affinity map: who helps whom, as far as the search could tell, and the plans that it proposes."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from sharewise.records import Forecast, GroupingRecord, Phase
from sharewise.report import words
from sharewise.report.blocks import Block, Cell, Figure, Legend, LegendItem, Section, Table, paragraph, say
from sharewise.report.load import StudyRecords
from sharewise.report.rows import TaskRow
from sharewise.report.sentences import Sentence
from sharewise.report.svg import Attribute, element, picture, text

MOST = 60
"""Most tasks whose map is drawn; beyond that the strongest pairs are listed."""

CLEAR = 1.645
"""Standard deviations from zero at which a pair counts as clear: 5 % on its side."""

NAME = 22
"""Most letters of a task's name on the map."""

PAIRS = 12
"""Strongest clear pairs listed under the map."""


def affinity(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """The search's own section: its cost, its answer, the map and the plans."""
    g = records.grouping
    if g is None:
        return None
    lead = (
        "Groups of tasks were trained together, and a model of their gains says who helps whom. These numbers choose "
        "what to train; what is claimed stands in the verdicts."
    )
    if g.suggested:
        return _suggestions(g)
    blocks: list[Block] = [*paragraph([_cost(records, g), _answer(g)])]
    if g.helps:
        plan = _drawn(g, records.confirmed)
        order = _ordered(g, plan)
        if len(g.tasks) <= MOST:
            blocks += [_legend(), _map(g, order, plan)]
        pairs = _pairs(g)
        if pairs.rows:
            blocks.append(pairs)
    if g.plans or g.runner_up is not None:
        blocks.append(_plans(g, records.confirmed))
    return Section("search", "Who helps whom", lead, tuple(blocks))


def _suggestions(g: GroupingRecord) -> Section:
    """Scores that cost next to nothing: what they suggested, as hypotheses."""
    n = range(len(g.tasks))
    known = [(g.suggested[i][j], i, j) for i in n for j in n]
    ranked = sorted(((v, i, j) for v, i, j in known if v is not None), reverse=True)
    if g.method == "cosine":
        # Cosines have no direction: each pair once.
        ranked = [item for item in ranked if item[1] < item[2]]
    shown = [*ranked[:PAIRS], *ranked[max(len(ranked) - PAIRS, PAIRS) :]]
    made = tuple(
        (
            Cell(g.tasks[i], kind="task"),
            Cell(g.tasks[j]),
            Cell(f"{value:+.3g}", source=f"grouping.json#/suggested/{i}/{j}", kind="count"),
        )
        for value, i, j in shown
    )
    what = "Cosine of the gradients" if g.method == "cosine" else "Share by which a step on it lowers the task's loss"
    lead = (
        "Hypotheses. No group of tasks was trained to measure a gain: the gradients of one joint run suggested which "
        "plans to train. Such scores have no unit of gain and no error, and on published tables hardly rank real gains."
    )
    blocks: list[Block] = [Table("Pairs that score highest and lowest", ("Task", "Partner", what), made, "scroll")]
    if g.plans:
        groups = "; ".join(", ".join(group) for group in g.plans[0].groups if len(group) > 1)
        told = say("suggested", f"They suggested to share: {groups}.", "grouping.json#/plans/0/groups")
        blocks = [*paragraph([told]), *blocks]
    elif g.reason:
        blocks = [*paragraph([say("search answer", g.reason, "grouping.json#/reason")]), *blocks]
    return Section("search", "Who might help whom", lead, tuple(blocks))


def _cost(records: StudyRecords, g: GroupingRecord) -> Sentence:
    runs = [run for run in records.runs if run.phase is Phase.SEARCH]
    spent = words.seconds(sum(run.seconds for run in runs))
    said = f"{words.plural(g.n_groups, 'group')} gave {words.plural(g.n_gains, 'measured gain')}"
    said += f"; the {words.plural(len(runs), 'sampled group')} took {spent} to train." if runs else "."
    return say("search cost", said, "grouping.json#/n_gains")


def _answer(g: GroupingRecord) -> Sentence:
    if not g.plans:
        return say("search answer", g.reason, "grouping.json#/reason")
    first, n = g.plans[0], len(g.plans)
    whose = "The plan found" if n == 1 else f"Of {words.count(n)} plans, found one after the other, the first"
    said = f"{whose} was predicted to gain {_margins(first.gain)} a task (standard error {first.sd:.2f})"
    if g.runner_up is not None:
        said += f", the runner-up then {_margins(g.runner_up.gain)}"
    if n > 1:
        said += "; the gains of each, once it was trained, went into the prediction of the next"
    said += f". Then it ended: {g.reason}" if g.reason else "."
    return say("search answer", said, "grouping.json#/plans")


def _margins(value: float) -> str:
    return f"{_signed(value)} margins"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", words.MINUS)


def _drawn(g: GroupingRecord, confirmed: str | None) -> Forecast | None:
    """The plan whose groups the map shows: the one that was confirmed, else the first found, else the runner-up."""
    return next((plan for plan in g.plans if plan.name == confirmed), g.plans[0] if g.plans else g.runner_up)


def _ordered(g: GroupingRecord, plan: Forecast | None) -> list[int]:
    """Tasks in the order of a plan's groups, the largest first, so that groups are blocks of the map."""
    number = {task: i for i, task in enumerate(g.tasks)}
    groups = () if plan is None else plan.groups
    order = [number[t] for group in sorted(groups, key=len, reverse=True) for t in group]
    return [*order, *(i for i in range(len(g.tasks)) if i not in set(order))]


# --- the map ----------------------------------------------------------------------------------------------


def _legend() -> Legend:
    items = [("help", 1.0, "helps, clearly"), ("help", 0.35, "may help"), ("hurt", 1.0, "harms, clearly")]
    items += [("hurt", 0.35, "may harm"), ("flat", 0.0, "no telling")]
    return Legend(tuple(LegendItem(_swatch(kind, size), said) for kind, size, said in items))


def _swatch(kind: str, strength: float) -> Markup:
    drawn = [
        element("rect", {"x": 0.5, "y": 0.5, "width": 15, "height": 15, "class": "hnone"}),
        _mark(8, 8, 16, kind, strength),
    ]
    return element("svg", {"class": "glyph", "width": 16, "height": 16, "aria-hidden": "true"}, *drawn)


def _mark(x: float, y: float, cell: float, kind: str, strength: float) -> Markup:
    """A square that helps or a diamond that harms, larger the surer it is; a dot where nothing can be told."""
    if kind == "flat":
        return element("circle", {"cx": x, "cy": y, "r": max(cell * 0.06, 0.8), "class": "mark none"})
    half = cell * (0.18 + 0.26 * strength)
    if kind == "help":
        return element(
            "rect", {"x": x - half, "y": y - half, "width": 2 * half, "height": 2 * half, "class": "mark better"}
        )
    d = half * 1.2
    path = f"M{x:.1f} {y - d:.1f} {x + d:.1f} {y:.1f} {x:.1f} {y + d:.1f} {x - d:.1f} {y:.1f}Z"
    return element("path", {"d": path, "class": "mark harm"})


def _map(g: GroupingRecord, order: Sequence[int], plan: Forecast | None) -> Figure:
    """One row a helped task, one column a helper: size says how sure, shape and colour which way."""
    n = len(order)
    cell = 38.0 if n <= 8 else 26.0 if n <= 16 else 20.0 if n <= 30 else 17.0
    left, top = 190.0, 24.0
    size = (left + n * cell + 6, top + n * cell + 6)
    drawn: list[Markup] = []
    for row, i in enumerate(order):
        y = top + (row + 0.5) * cell
        name = g.tasks[i] if len(g.tasks[i]) <= NAME else g.tasks[i][: NAME - 1] + "…"
        drawn.append(text(f"{name}  {row + 1}", {"x": left - 8, "y": y + 4, "text-anchor": "end"}))
        drawn.append(text(f"{row + 1}", {"x": left + (row + 0.5) * cell, "y": top - 8, "text-anchor": "middle"}))
        for column, j in enumerate(order):
            at = left + (column + 0.5) * cell
            if i == j:
                corner: dict[str, Attribute] = {
                    "x": at - cell / 2,
                    "y": y - cell / 2,
                    "width": cell,
                    "height": cell,
                    "class": "rail",
                }
                drawn.append(element("rect", corner))
                continue
            mean, sd = g.helps[i][j], g.helps_sd[i][j]
            sure = abs(mean) / sd if sd > 0 else (9.0 if mean else 0.0)
            kind = "flat" if sure < 0.5 else "help" if mean > 0 else "hurt"
            said = f"{g.tasks[j]} to {g.tasks[i]}: {mean:+.2f} margins, standard error {sd:.2f}"
            mark = _mark(at, y, cell, kind, min(sure / CLEAR, 1.0))
            drawn.append(element("g", {}, text(said, {}, "title"), mark))
    drawn += _frames(g, order, plan, left, top, cell)
    caption = (
        "Each row is a task that is helped or harmed, each column, numbered as the rows, the task that joins. Large: "
        "clear of zero at 5 %; small: likely only; dot: no telling."
    )
    if g.plans and plan is not None:
        caption += f" Frames are the groups of '{plan.name}'."
    title = f"Who helps whom among {words.plural(n, 'task')}"
    return Figure(picture(title, caption, size, drawn, "heat"), caption, "grouping.json#/helps", scroll=True)


def _frames(
    g: GroupingRecord, order: Sequence[int], plan: Forecast | None, left: float, top: float, cell: float
) -> list[Markup]:
    if not g.plans or plan is None:
        return []
    place = {g.tasks[i]: p for p, i in enumerate(order)}
    drawn = []
    for group in plan.groups:
        if len(group) > 1:
            first = min(place[t] for t in group)
            side = len(group) * cell
            box: dict[str, Attribute] = {"x": left + first * cell, "y": top + first * cell}
            drawn.append(element("rect", {**box, "width": side, "height": side, "class": "frame"}))
    return drawn


# --- in words ---------------------------------------------------------------------------------------------


def _pairs(g: GroupingRecord) -> Table:
    """The clearest pairs, strongest first."""
    n = range(len(g.tasks))
    clear = [(i, j) for i in n for j in n if 0 < CLEAR * g.helps_sd[i][j] <= abs(g.helps[i][j])]
    ranked = sorted(clear, key=lambda ij: -abs(g.helps[ij[0]][ij[1]]))
    made = []
    for i, j in ranked[:PAIRS]:
        mean, sd = g.helps[i][j], g.helps_sd[i][j]
        at = f"grouping.json#/helps/{i}/{j}"
        low, high = mean - CLEAR * sd, mean + CLEAR * sd
        cells = (
            Cell(g.tasks[i], kind="task"),
            Cell(f"{'helped' if mean > 0 else 'harmed'} by {g.tasks[j]}", source=at),
            Cell(_margins(mean), f"90 % interval {_signed(low)} to {_signed(high)}", at, kind="change"),
        )
        made.append(cells)
    more = f" ({len(made)} of {len(ranked)})" if len(ranked) > len(made) else ""
    return Table(f"Pairs that are clear of zero{more}", ("Task", "Partner", "Change when it joins"), tuple(made))


def _plans(g: GroupingRecord, confirmed: str | None) -> Table:
    became = {plan.name: "chosen and confirmed" for plan in g.plans if plan.name == confirmed}
    made = [
        _plan_row(plan, f"grouping.json#/plans/{i}", became.get(plan.name, "trained as a candidate"))
        for i, plan in enumerate(g.plans)
    ]
    if g.runner_up is not None and g.runner_up.groups not in [p.groups for p in g.plans]:
        made.append(_plan_row(g.runner_up, "grouping.json#/runner_up", "not trained"))
    return Table(
        "Plans that the search proposes", ("Plan", "Groups", "Gain a task predicted before it was trained"), tuple(made)
    )


def _plan_row(plan: Forecast, at: str, note: str) -> tuple[Cell, ...]:
    shared = [group for group in plan.groups if len(group) > 1]
    alone = [group[0] for group in plan.groups if len(group) == 1]
    said = "; ".join(words.listing(list(group), 8) for group in shared) or "none"
    # Plans found one after the other often differ by whom they leave alone.
    rest = f"alone: {words.listing(alone, 8)}" if alone else ""
    return (
        Cell(plan.name, note, at, kind="task"),
        Cell(said, rest, at),
        Cell(_margins(plan.gain), f"standard error {plan.sd:.2f}", f"{at}/gain", kind="change"),
    )
