"""The report's drawings of effects: rows of a forest plot, its axis, and the spread of many effects.

Verdicts differ by shape and line as well as by colour: ▲ better, ● no harm, ◇ with a dashed line not enough
evidence, ▼ harm. Colours come from the style sheet through classes, so that light, dark and print differ there only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sharewise.records import Comparison
from sharewise.report import words
from sharewise.report.rows import State
from sharewise.report.svg import Attribute, Scale, element, picture, strip, text, ticks

KIND = {
    State.BETTER: "better",
    State.SAFE: "safe",
    State.WORSE: "worse",
    State.UNDECIDED: "open",
    State.HARM: "harm",
    State.NONE: "none",
}
"""The style class of a verdict."""

_SHAPES = {
    "better": "M0-6 6 5H-6Z",
    "safe": "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z",
    "worse": "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0ZM-2.6-.8H2.6V.8H-2.6Z",
    "open": "M0-6 6 0 0 6-6 0Z",
    "harm": "M0 6 6-5H-6Z",
    "none": "M-4-.8H4V.8H-4Z",
}


@dataclass(frozen=True)
class Effect:
    """One interval to draw: the comparison, how it is judged, and the JSON pointer to it."""

    name: str
    comparison: Comparison
    state: State
    source: str


def symbols() -> Markup:
    """The verdicts' shapes, drawn once and used by reference everywhere on the page."""
    shapes = [element("path", {"id": f"m-{kind}", "d": path, "fill-rule": "evenodd"}) for kind, path in _SHAPES.items()]
    shapes.append(_hatch())
    return element(
        "svg", {"class": "symbols", "aria-hidden": "true", "width": 0, "height": 0}, element("defs", {}, *shapes)
    )


def _hatch() -> Markup:
    line = element("path", {"d": "M0 6 6 0", "class": "hatch"})
    sizes: dict[str, Attribute] = {"id": "p-open", "width": 6, "height": 6, "patternUnits": "userSpaceOnUse"}
    return element("pattern", sizes, line)


def mark(state: State) -> Markup:
    """The verdict's shape alone, for tables and legends; what it means stands beside it as text."""
    kind = KIND[state]
    use = element("use", {"href": f"#m-{kind}", "class": f"mark {kind}"})
    return element("svg", {"viewBox": "-8 -8 16 16", "class": "glyph", "aria-hidden": "true"}, use)


def axis_range(comparisons: Iterable[Comparison]) -> tuple[float, float]:
    """A range that holds zero, the margins and the bulk of the intervals.

    What reaches further than three times the median reach (largest distance of an interval from zero) is cut off
    there, and drawn with an arrow and its value, so that one very uncertain task does not flatten all others.
    """
    given = list(comparisons)
    if not given:
        return (-0.05, 0.05)
    reach = sorted(max(abs(c.low), abs(c.high)) for c in given)
    margin = max(c.margin for c in given)
    furthest = max(3 * reach[len(reach) // 2], 2.5 * margin)
    low = max(min([-1.6 * margin, *(c.low for c in given)]), -furthest)
    high = min(max([0.8 * margin, *(c.high for c in given)]), furthest)
    pad = 0.04 * (high - low) or 0.01
    return (low - pad, high + pad)


def forest_row(effect: Effect, low: float, high: float, against: str) -> Markup:
    """One interval as a strip as wide as its cell: zone of harm, margin, zero, interval, mark."""
    c = effect.comparison
    at = Scale(low, high, 0.0, 100.0)
    kind = KIND[effect.state]
    title = (
        f"{effect.name} against {against}: {words.change(c.effect, c.scale)} {words.interval(c.low, c.high, c.scale)}, "
        f"margin {words.amount(c.margin, c.scale)}: {effect.state.value}. {effect.source}"
    )
    children = [
        element("rect", {"x": 0, "y": 0, "width": _pc(at(-c.margin)), "height": "100%", "class": "zone"}),
        _upright(at(0.0), "zero"),
        _upright(at(-c.margin), "margin"),
        element(
            "line", {"x1": _pc(at(c.low)), "x2": _pc(at(c.high)), "y1": "50%", "y2": "50%", "class": f"bar {kind}"}
        ),
    ]
    if c.low < low:
        children.append(_arrow(0.0, -1, kind))
    if c.high > high:
        children.append(_arrow(100.0, 1, kind))
    if at.holds(c.effect):
        children.append(
            element("use", {"href": f"#m-{kind}", "x": _pc(at(c.effect)), "y": "50%", "class": f"mark {kind}"})
        )
    else:
        children.append(_beyond(c, at(c.effect), kind))
    return strip(title, children, "forest")


def _pc(value: float) -> str:
    return f"{value:.2f}%"


def _upright(x: float, kind: str) -> Markup:
    return element("line", {"x1": _pc(x), "x2": _pc(x), "y1": 0, "y2": "100%", "class": kind})


def _arrow(x: float, direction: int, kind: str) -> Markup:
    """Marks an interval that goes on beyond the drawing: a nested drawing carries the per cent position."""
    back = -7 * direction
    tip = element("path", {"d": f"M{back}-4L0 0L{back} 4", "class": f"arrow {kind}"})
    return element("svg", {"x": _pc(x), "y": "50%", "overflow": "visible"}, tip)


def _beyond(c: Comparison, x: float, kind: str) -> Markup:
    """The mark and the value of an effect that lies beyond the drawing, at its edge."""
    side, anchor = (18, "start") if x < 50 else (-18, "end")
    shown = element("use", {"href": f"#m-{kind}", "x": side, "class": f"mark {kind}"})
    value = text(words.change(c.effect, c.scale), {"x": 1.7 * side, "y": -5, "text-anchor": anchor})
    return element("svg", {"x": _pc(x), "y": "50%", "overflow": "visible"}, shown, value)


def forest_axis(low: float, high: float, scale: str, margin: float | None) -> Markup:
    """The axis under a column of the forest plot; `margin` is written where all rows have the same."""
    at = Scale(low, high, 0.0, 100.0)
    children: list[Markup] = []
    for value in ticks(low, high, 5):
        x = at(value)
        if 4 <= x <= 96 and (margin is None or not -24 < x - at(-margin) < 6):
            children.append(element("line", {"x1": _pc(x), "x2": _pc(x), "y1": 0, "y2": 5, "class": "tick"}))
            shown = words.change(value, scale).split(words.THIN)[0] if value else "0"
            children.append(text(_trim(shown), {"x": _pc(x), "y": 18, "text-anchor": "middle"}))
    if margin is not None:
        label = f"margin {words.MINUS}{words.amount(margin, scale).split(words.THIN)[0]}"
        children.append(text(label, {"x": _pc(at(-margin) + 1), "y": 18, "text-anchor": "end", "class": "limit"}))
    unit = "% of baseline" if scale == "relative" else "points (0.01 of the metric)"
    children.append(
        text(f"← worse · {unit} · better →", {"x": "50%", "y": 36, "text-anchor": "middle", "class": "caption"})
    )
    title = f"Axis: {unit}" + ("" if margin is None else f", margin {words.amount(margin, scale)}")
    return strip(title, children, "axis")


def _trim(shown: str) -> str:
    return shown.removesuffix(".0")


# --- many tasks -------------------------------------------------------------------------------------------

_ORDER = (State.HARM, State.UNDECIDED, State.WORSE, State.SAFE, State.BETTER)
_WIDTH = 480.0


def histogram(effects: Sequence[Effect], title: str) -> Markup:
    """How many tasks change by how much: columns stacked by verdict, margin and zero as lines."""
    scale = effects[0].comparison.scale
    low, high = _values_range(effects)
    edges = _edges(low, high)
    height, top, bottom = 190.0, 12.0, 150.0
    x = Scale(edges[0], edges[-1], 30.0, _WIDTH - 10)
    columns = [[e for e in effects if _bin(e.comparison.effect, edges) == i] for i in range(len(edges) - 1)]
    tallest = max(len(column) for column in columns)
    y = Scale(0.0, float(tallest), bottom, top)
    children: list[Markup] = []
    for value in [v for v in ticks(0, tallest, 4) if v == int(v)]:
        children.append(element("line", {"x1": 30, "x2": _WIDTH - 10, "y1": y(value), "y2": y(value), "class": "grid"}))
        children.append(text(str(int(value)), {"x": 25, "y": y(value) + 4, "text-anchor": "end"}))
    for i, column in enumerate(columns):
        base = 0
        for state in _ORDER:
            n = sum(e.state is state for e in column)
            if n:
                box: dict[str, Attribute] = {
                    "x": x(edges[i]) + 0.7, "width": x(edges[i + 1]) - x(edges[i]) - 1.4,
                    "y": y(base + n), "height": y(base) - y(base + n), "class": f"column {KIND[state]}",
                }  # fmt: skip
                span = f"{words.change(edges[i], scale)} to {words.change(edges[i + 1], scale)}"
                children.append(
                    element("rect", box, text(f"{span}: {words.plural(n, 'task')}, {state.value}", {}, "title"))
                )
            base += n
    children += _reference_lines(effects, x, top - 8, bottom)
    for value in ticks(edges[0], edges[-1], 7):
        shown = words.change(value, scale).split(words.THIN)[0] if value else "0"
        children.append(text(_trim(shown), {"x": x(value), "y": bottom + 17, "text-anchor": "middle"}))
    children.append(_axis_title(scale, height - 4))
    return picture(title, _described(effects), (_WIDTH, height), children, "chart")


def caterpillar(effects: Sequence[Effect], title: str) -> Markup:
    """Every interval as a thin line, the most favourable first; undecided ones dashed and hollow."""
    ordered = sorted(effects, key=lambda e: -e.comparison.effect)
    scale = ordered[0].comparison.scale
    low, high = axis_range(e.comparison for e in ordered)
    step = 3.6 if len(ordered) <= 160 else 576.0 / len(ordered)
    bottom = 12 + step * len(ordered)
    x = Scale(low, high, 10.0, _WIDTH - 10)
    children = _reference_lines(ordered, x, 6, bottom)
    for i, e in enumerate(ordered):
        y, kind = 12 + step * (i + 0.5), KIND[e.state]
        c = e.comparison
        hint = text(f"{e.name}: {words.change(c.effect, scale)} {words.interval(c.low, c.high, scale)}", {}, "title")
        line = element("line", {"x1": x(c.low), "x2": x(c.high), "y1": y, "y2": y, "class": f"thin {kind}"})
        dot = element("circle", {"cx": x(c.effect), "cy": y, "r": 1.5, "class": f"dot {kind}"})
        children.append(element("g", {}, hint, line, dot))
    for value in ticks(low, high, 7):
        shown = words.change(value, scale).split(words.THIN)[0] if value else "0"
        children.append(text(_trim(shown), {"x": x(value), "y": bottom + 17, "text-anchor": "middle"}))
    children.append(_axis_title(scale, bottom + 36))
    return picture(title, _described(ordered), (_WIDTH, bottom + 40), children, "chart")


def _values_range(effects: Sequence[Effect]) -> tuple[float, float]:
    values = [e.comparison.effect for e in effects]
    margins = [e.comparison.margin for e in effects]
    return min([*values, -1.2 * max(margins)]), max([*values, max(margins)])


def _edges(low: float, high: float) -> list[float]:
    marks = ticks(low, high, 24)
    step = marks[1] - marks[0] if len(marks) > 1 else 0.01
    first = marks[0] - step if marks[0] > low else marks[0]
    n = 1
    while first + n * step < high - 1e-12:
        n += 1
    return [round(first + i * step, 12) for i in range(n + 1)]


def _bin(value: float, edges: Sequence[float]) -> int:
    for i in range(len(edges) - 2):
        if value < edges[i + 1]:
            return i
    return len(edges) - 2


def _reference_lines(effects: Sequence[Effect], x: Scale, top: float, bottom: float) -> list[Markup]:
    lines = [element("line", {"x1": x(0.0), "x2": x(0.0), "y1": top, "y2": bottom, "class": "zero"})]
    for margin in sorted({e.comparison.margin for e in effects})[:3]:
        at = x(-margin)
        lines.append(element("line", {"x1": at, "x2": at, "y1": top, "y2": bottom, "class": "margin"}))
    return lines


def _axis_title(scale: str, y: float) -> Markup:
    unit = "% of the baseline's score" if scale == "relative" else "points (0.01 of the metric)"
    return text(
        f"← worse · change, {unit} · better →", {"x": _WIDTH / 2, "y": y, "text-anchor": "middle", "class": "caption"}
    )


def _described(effects: Sequence[Effect]) -> str:
    counts = [(state, sum(e.state is state for e in effects)) for state in reversed(_ORDER)]
    return "; ".join(f"{state.value}: {words.plural(n, 'task')}" for state, n in counts if n) + "."
