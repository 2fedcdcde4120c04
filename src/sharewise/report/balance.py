"""What balancing did: who pulled the shared model, and against whom."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sharewise.records import BalanceRecord, Phase, RunRecord, Series, Status
from sharewise.report import words
from sharewise.report.blocks import Block, Cell, Figure, Grid, Legend, LegendItem, Section, Table, paragraph, say
from sharewise.report.load import StudyRecords
from sharewise.report.rows import MANY, TaskRow
from sharewise.report.svg import Attribute, Scale, element, number, picture, polyline, text, ticks

DRAWN = 40
"""Most tasks whose pairs are drawn as a map."""

FEW = 12
"""Tasks whose shares are drawn where there are very many."""

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Pulled:
    """The balance records of one arm's group in its latest phase, with the tasks in their order."""

    arm: str
    group: str
    phase: Phase
    tasks: tuple[str, ...]
    runs: tuple[BalanceRecord, ...]

    @property
    def source(self) -> str:
        """Where the numbers are."""
        return f"runs/ (arm {self.arm}, group {self.group}, phase {self.phase.value})"

    def conflict(self) -> float | None:
        """Mean share of task pairs whose gradients oppose each other."""
        return _mean(v for run in self.runs for v in run.conflict_rate)

    def pairs(self) -> list[tuple[float, int, int]]:
        """Mean cosine of every pair of tasks, lowest first."""
        n = len(self.tasks)
        found = []
        for i in range(n):
            for j in range(i):
                value = _mean(run.cosines[i][j] for run in self.runs if run.cosines)
                if value is not None:
                    found.append((value, j, i))
        return sorted(found)

    def series(self, name: str, task: str) -> Points:
        """A signal of one task by epoch, mean over the runs that have it."""
        by_epoch: dict[int, list[float]] = {}
        for run in self.runs:
            values: Series = run.__dict__[name].get(task, ())
            for epoch, value in zip(run.epochs, values, strict=False):
                if value is not None and math.isfinite(value):
                    by_epoch.setdefault(epoch, []).append(value)
        return [(float(e), sum(v) / len(v)) for e, v in sorted(by_epoch.items())]


def pulled(runs: Iterable[RunRecord]) -> list[Pulled]:
    """One entry for every arm and group whose runs noted what balancing did."""
    order = list(Phase)
    found: dict[tuple[str, str], list[RunRecord]] = {}
    for run in runs:
        if run.balance is not None and run.status is Status.DONE:
            found.setdefault((run.arm, run.group), []).append(run)
    made = []
    for (arm, group), members in found.items():
        phase = max((run.phase for run in members), key=order.index)
        own = [run for run in members if run.phase is phase]
        made.append(Pulled(arm, group, phase, own[0].tasks, tuple(r.balance for r in own if r.balance is not None)))
    return made


def balancing(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """Every shared model's weights and conflicts; of the confirmed one, who pulled when and who opposed whom."""
    every = pulled(records.runs)
    if not every:
        return None
    lead = (
        "A shared model moves along one direction that its tasks agree on, or do not. Gradients are compared at what "
        "all tasks read, on batches of train rows, as the models were trained; a low cosine says that two tasks pull "
        "apart, not that sharing harms them: that is for the verdicts to say."
    )
    head = ("Arm", "Balanced by", "Pairs in conflict", "Most opposed pair", "Largest share of the pull", "Weights")
    table = Table("What balancing did in each shared model", head, tuple(_row(item) for item in every), "cards")
    blocks: list[Block] = [table]
    for item in [e for e in every if e.arm == records.confirmed] or every[:1]:
        blocks += _drawn(item)
    return Section("balance", "What balancing did", lead, tuple(blocks))


def _row(item: Pulled) -> tuple[Cell, ...]:
    first = item.runs[0]
    level = {"losses": "from losses alone"}.get(first.level, f"gradients at the {first.level.replace('_', ' ')}")
    rate = item.conflict()
    layers = _layers(item)
    note = ", ".join(f"{name} {words.percent(value)}" for name, value in layers)
    pairs = item.pairs()
    opposed = Cell(words.MISSING)
    if pairs:
        value, a, b = pairs[0]
        opposed = Cell(f"{item.tasks[a]} and {item.tasks[b]}", f"mean cosine {value:.2f}", item.source)
    shares = [(mean, t) for t in item.tasks if (mean := _mean(v for _, v in item.series("gradient_norm_shares", t)))]
    most = max(shares, default=None)
    pull = Cell(words.MISSING) if most is None else Cell(most[1], words.percent(most[0]), item.source)
    weights = [(mean, t) for t in item.tasks if (mean := _mean(v for _, v in item.series("effective_weights", t)))]
    low, high = min(weights, default=None), max(weights, default=None)
    weighed = Cell(words.MISSING)
    if low is not None and high is not None:
        even = high[0] <= 1.02 * low[0]
        said = "equal" if even else f"{low[0]:.2g} ({low[1]}) to {high[0]:.2g} ({high[1]})"
        weighed = Cell(said, words.plural(len(item.runs), "run"), item.source)
    return (
        Cell(item.arm, item.group if item.group != item.arm else "", kind="task"),
        Cell(first.method, level),
        Cell(words.MISSING if rate is None else words.percent(rate), note, item.source, kind="count"),
        opposed,
        pull,
        weighed,
    )


def _layers(item: Pulled) -> list[tuple[str, float]]:
    names = dict.fromkeys(name for run in item.runs for name in run.conflict_rate_by_layer)
    found = [(name, _mean(run.conflict_rate_by_layer.get(name) for run in item.runs)) for name in names]
    return [(name, value) for name, value in found if value is not None]


def _drawn(item: Pulled) -> list[Block]:
    """The pairs as a map, and each task's share of the loss and of the pull over the epochs."""
    blocks: list[Block] = []
    pairs = item.pairs()
    if pairs:
        against = sum(value < 0 for value, _, _ in pairs)
        said = f"In the arm '{item.arm}' the mean cosine is below zero for {against} of {len(pairs)} pairs of tasks."
        blocks += paragraph([say("opposed pairs", said, item.source)])
    if pairs and len(item.tasks) <= DRAWN:
        caption = f"Mean cosine of the gradients of each pair of tasks in the arm '{item.arm}'."
        blocks.append(Figure(cosine_map(item.tasks, pairs), caption, item.source, scroll=True))
    figures = []
    most = sorted(item.tasks, key=lambda t: -(_mean(v for _, v in item.series("gradient_norm_shares", t)) or 0.0))
    shown = item.tasks if len(item.tasks) <= MANY else most[:FEW]
    for task in shown:
        loss, pull = item.series("loss_shares", task), item.series("gradient_norm_shares", task)
        if len(loss) > 1 or len(pull) > 1:
            figures.append(Figure(share_curves(task, loss, pull), task, item.source))
    if figures:
        legend = Legend((LegendItem(_swatch("alone"), "share of the weighted loss"),
                         LegendItem(_swatch("shared"), "share of the pull (weighted gradient norms)")))  # fmt: skip
        if len(shown) < len(item.tasks):
            said = f"Drawn are the {FEW} of {words.plural(len(item.tasks), 'task')} with the largest share of the pull."
            blocks += paragraph([say("strongest pull", said, item.source)])
        blocks += [legend, Grid(tuple(figures))]
    return blocks


# --- drawings ---------------------------------------------------------------------------------------------


def cosine_map(names: Sequence[str], pairs: Sequence[tuple[float, int, int]]) -> Markup:
    """Pairs of tasks as cells of a lower triangle: blue where gradients agree, orange where they oppose."""
    n = len(names)
    cell, left, top = (40.0 if n <= 16 else 22.0), 176.0, 24.0
    children: list[Markup] = []
    for i, name in enumerate(names):
        y = top + (i + 0.5) * cell + 4
        children.append(text(f"{i + 1}", {"x": left + (i + 0.5) * cell, "y": top - 8, "text-anchor": "middle"}))
        short = name if len(name) <= 20 else f"{name[:19]}…"
        children.append(text(f"{short}  {i + 1}", {"x": left - 8, "y": y, "text-anchor": "end"}))
    for value, j, i in pairs:
        x, y = left + j * cell, top + i * cell
        kind = "against" if value < 0 else "along"
        box: dict[str, Attribute] = {
            "x": x + 1, "y": y + 1, "width": cell - 2, "height": cell - 2, "rx": 3, "class": f"pull {kind}",
            "fill-opacity": f"{0.08 + 0.8 * min(abs(value) ** 0.7, 1.0):.2f}",
        }  # fmt: skip
        children.append(element("rect", box, text(f"{names[j]} and {names[i]}: {value:+.2f}", {}, "title")))
        if n <= 16:
            place: dict[str, Attribute] = {"x": x + cell / 2, "y": y + cell / 2 + 4, "text-anchor": "middle"}
            children.append(text(f"{value:+.2f}".replace("0.", ".").replace("-", "−"), place))
    value, a, b = pairs[0]
    lowest = f"Lowest mean cosine: {value:+.2f}, of {names[a]} and {names[b]}."
    return picture("Cosines of task gradients", lowest, (left + n * cell + 4, top + n * cell + 4), children, "heat")


def share_curves(task: str, loss: Points, pull: Points) -> Markup:
    """One task's share of the weighted loss, and of the weighted gradient norms, by epoch."""
    every = [*loss, *pull]
    x = Scale(0.0, max(e for e, _ in every), 38.0, 296.0)
    y = Scale(0.0, max(max(v for _, v in every) * 1.1, 1e-6), 128.0, 6.0, held=True)
    children: list[Markup] = []
    for value in ticks(0.0, y.high, 3):
        children.append(element("path", {"d": f"M38 {number(y(value))}H296", "class": "rules"}))
        children.append(text(f"{100 * value:.3g} %", {"x": 34, "y": y(value) + 4, "text-anchor": "end"}))
    for value in ticks(0.0, x.high, 4):
        if value == int(value):
            anchor = "end" if x(value) > 290 else "middle"
            children.append(text(str(int(value)), {"x": x(value), "y": 144, "text-anchor": anchor}))
    for points, kind in ((loss, "alone"), (pull, "shared")):
        if len(points) > 1:
            children.append(polyline([(x(e), y(v)) for e, v in points], f"curve {kind} mean"))
    said = [f"{name} {words.percent(p[-1][1])}" for name, p in (("of the loss", loss), ("of the pull", pull)) if p]
    return picture(f"Shares of {task}", f"At the end: {', '.join(said)}.", (300.0, 150.0), children, "curves")


def _swatch(kind: str) -> Markup:
    line = element("line", {"x1": 0, "x2": 30, "y1": 8, "y2": 8, "class": f"curve {kind} mean"})
    return element("svg", {"viewBox": "0 0 30 16", "width": 30, "height": 16, "aria-hidden": "true"}, line)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None and math.isfinite(v)]
    return sum(known) / len(known) if known else None
