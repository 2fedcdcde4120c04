"""The report's drawings of the audit: levels against limits, labels through time, and maps of pairs of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from sharewise.report import words
from sharewise.report.curves import heat_cell, short
from sharewise.report.measured import Told, Window
from sharewise.report.svg import Attribute, Scale, element, number, picture, polyline, strip, text, ticks

_W, _H = 300.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 294.0, 20.0, 116.0


def level(
    title: str,
    value: float,
    top: float,
    limits: Sequence[tuple[str, float]] = (),
    interval: tuple[float, float] | None = None,
) -> Markup:
    """A value as a bar, as wide as its cell at `top`, with lines across it at the limits and a whisker (its interval).

    The bar takes the style of the highest limit that it (the interval's lower end, where there is one) exceeds.
    """
    at = Scale(0.0, top, 0.0, 100.0)
    certain = value if interval is None else interval[0]
    passed = [kind for kind, limit in sorted(limits, key=lambda item: item[1]) if certain >= limit]
    kind = passed[-1] if passed else "calm"
    made = [
        element("rect", {"x": 0, "y": 3, "width": "100%", "height": 10, "class": "rail"}),
        element("rect", {"x": 0, "y": 3, "width": _pc(at(value)), "height": 10, "class": f"level {kind}"}),
    ]
    for _, limit in limits:
        if limit < top:
            made.append(_upright(at(limit), 0, 16, "limit"))
    if interval is not None:
        low, high = at(interval[0]), at(interval[1])
        made.append(element("line", {"x1": _pc(low), "x2": _pc(high), "y1": 8, "y2": 8, "class": "whisker"}))
        made += [_upright(low, 5, 11, "whisker"), _upright(high, 5, 11, "whisker")]
    return strip(title, made, "level")


def _upright(at: float, top: float, bottom: float, kind: str) -> Markup:
    return element("line", {"x1": _pc(at), "x2": _pc(at), "y1": top, "y2": bottom, "class": kind})


def _pc(share: float) -> str:
    return f"{number(share)}%"


# --- labels through time ----------------------------------------------------------------------------------


def through_time(name: str, told: Told, windows: Sequence[Window], *, is_date: bool) -> Markup:
    """One label's distribution window by window: the share of each class, or the median of a number with its middle
    half. The bar under it shows which part of the split most of a window's rows are of."""
    values = _values(told)
    low, high = _range(values, shares=bool(told.shares))
    x = Scale(0.0, float(max(len(windows) - 1, 1)), _LEFT, _RIGHT)
    y = Scale(low, high, _BOTTOM, _TOP)
    made = [*_frame(y, percent=bool(told.shares)), *_parts(windows, x), *_ends(windows, is_date)]
    if told.shares:
        for i, title in enumerate(told.classes):
            made += _line([None if s is None else s[i] for s in told.shares], x, y, f"series s{i}")
            made += _key(i, title, len(told.classes))
    else:
        made += _band(told.quartiles, x, y)
        made += _line([None if q is None else q[1] for q in told.quartiles], x, y, "series s0")
        made += [*_key(0, "median", 2), text("band: middle half", {"x": 170.0, "y": 12})]
    return picture(f"{name} through time", _described(told, windows, is_date), (_W, _H), made, "curves")


def _values(told: Told) -> list[float]:
    rows: list[Sequence[float] | None] = [*told.quartiles, *told.shares]
    return [v for row in rows if row is not None for v in row if math.isfinite(v)]


def _range(values: Sequence[float], *, shares: bool) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    if shares:
        top = min(1.0, max(0.05, 1.15 * max(values)))
        return 0.0, top
    pad = 0.06 * (max(values) - min(values)) or abs(values[0]) * 0.05 or 0.5
    return min(values) - pad, max(values) + pad


def _frame(y: Scale, *, percent: bool) -> list[Markup]:
    rules = ticks(y.low, y.high, 3)
    path = "".join(f"M{number(_LEFT)} {number(y(v))}H{number(_RIGHT)}" for v in rules)
    made = [element("path", {"d": path, "class": "rules"})]
    for value in rules:
        shown = f"{100 * value:.3g}%" if percent else f"{value:.4g}"
        made.append(text(shown, {"x": _LEFT - 5, "y": y(value) + 4, "text-anchor": "end"}))
    return made


def _parts(windows: Sequence[Window], x: Scale) -> list[Markup]:
    half = (x(1.0) - x(0.0)) / 2
    made = []
    for i, window in enumerate(windows):
        start, end = max(_LEFT, x(i) - half), min(_RIGHT, x(i) + half)
        box: dict[str, Attribute] = {"x": start, "y": _BOTTOM + 5, "width": end - start + 0.3, "height": 6}
        made.append(element("rect", {**box, "class": f"part {window.part}"}))
    return made


def _ends(windows: Sequence[Window], is_date: bool) -> list[Markup]:
    if not windows:
        return []
    first, last = instant(windows[0].start, is_date), instant(windows[-1].end, is_date)
    return [
        text(first, {"x": _LEFT, "y": _BOTTOM + 25}),
        text(last, {"x": _RIGHT, "y": _BOTTOM + 25, "text-anchor": "end"}),
    ]


def instant(value: float, is_date: bool) -> str:
    """A time as a date, or as the number that it is in the table."""
    if not is_date:
        return f"{value:.6g}"
    try:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d}"
    except (OverflowError, OSError, ValueError):
        return f"{value:.6g}"


def _line(values: Sequence[float | None], x: Scale, y: Scale, kind: str) -> list[Markup]:
    """A line through what is known: broken where a window has too few labels, a dot where a window stands alone."""
    made: list[Markup] = []
    for run in _runs(values):
        points = [(x(i), y(v)) for i, v in run]
        if len(points) > 1:
            made.append(polyline(points, kind))
        else:
            made.append(element("circle", {"cx": points[0][0], "cy": points[0][1], "r": 2.2, "class": f"{kind} lone"}))
    return made


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    runs: list[list[tuple[int, float]]] = [[]]
    for i, value in enumerate(values):
        if value is None or not math.isfinite(value):
            runs.append([])
        else:
            runs[-1].append((i, value))
    return [run for run in runs if run]


def _band(quartiles: Sequence[tuple[float, float, float] | None], x: Scale, y: Scale) -> list[Markup]:
    lower = _runs([None if q is None else q[0] for q in quartiles])
    made = []
    for run in lower:
        known = [(i, quartiles[i]) for i, _ in run]
        up = [f"{number(x(i))} {number(y(q[2]))}" for i, q in known if q is not None]
        down = [f"{number(x(i))} {number(y(q[0]))}" for i, q in reversed(known) if q is not None]
        made.append(element("path", {"d": f"M{'L'.join([*up, *down])}Z", "class": "band"}))
    return made


def _key(place: int, title: str, of: int) -> list[Markup]:
    """A short line of the series' own kind with its name, above the plot."""
    width = (_RIGHT - _LEFT) / max(of, 2)
    x = _LEFT + place * width
    letters = 22 if of <= 2 else 10 if of == 3 else 7
    return [
        element("line", {"x1": x, "x2": x + 14, "y1": 8, "y2": 8, "class": f"series s{place}"}),
        text(short(title, letters), {"x": x + 18, "y": 12}),
    ]


def _described(told: Told, windows: Sequence[Window], is_date: bool) -> str:
    if not windows:
        return ""
    span = f"From {instant(windows[0].start, is_date)} to {instant(windows[-1].end, is_date)}"
    if told.shares:
        first, last = _outer([None if s is None else s[0] for s in told.shares])
        return f"{span}: the share of {told.classes[0]} goes from {words.percent(first)} to {words.percent(last)}."
    first, last = _outer([None if q is None else q[1] for q in told.quartiles])
    return f"{span}: the median goes from {words.score(first)} to {words.score(last)}."


def _outer(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    known = [v for v in values if v is not None]
    return (known[0], known[-1]) if known else (None, None)


# --- maps -------------------------------------------------------------------------------------------------


def presence_map(names: Sequence[str], rates: Sequence[Sequence[float]], ends: tuple[str, str]) -> Markup:
    """Share of labelled rows, task by task and window by window: the stronger the colour, the more."""
    columns = max((len(row) for row in rates), default=0)
    cell, left, top, height = 22.0, 168.0, 6.0, 26.0
    made: list[Markup] = []
    for i, (name, row) in enumerate(zip(names, rates, strict=True)):
        y = top + i * height
        made.append(text(short(name), {"x": left - 8, "y": y + height / 2 + 4, "text-anchor": "end"}))
        for j, rate in enumerate(row):
            tip = f"{name}, window {j + 1} of {columns}: {words.percent(rate)} of the rows labelled"
            made += heat_cell(tip, rate, "", (left + j * cell, y, cell, height))
    bottom = top + len(names) * height
    made.append(text(ends[0], {"x": left, "y": bottom + 16}))
    made.append(text(ends[1], {"x": left + columns * cell, "y": bottom + 16, "text-anchor": "end"}))
    size = (left + columns * cell + 4, bottom + 22)
    return picture("Which task is labelled when", f"From {ends[0]} to {ends[1]}.", size, made, "heat")


def skill_map(names: Sequence[str], skill: Sequence[Sequence[float | None]]) -> Markup:
    """What one label (column) says of another (row), from 0 (nothing) to 1 (everything). Columns are numbered."""
    n = len(names)
    cell, left, top = 42.0, 168.0, 24.0
    made: list[Markup] = []
    for i, name in enumerate(names):
        y = top + i * cell
        made.append(text(f"{i + 1}", {"x": left + (i + 0.5) * cell, "y": top - 8, "text-anchor": "middle"}))
        made.append(text(f"{short(name)}  {i + 1}", {"x": left - 8, "y": y + cell / 2 + 4, "text-anchor": "end"}))
        for j in range(n):
            value = skill[i][j]
            if i == j or value is None:
                continue
            shown = f"{max(value, 0.0):.2f}" if n <= 16 else ""
            tip = f"{names[j]} says {max(value, 0.0):.2f} of {name}"
            made += heat_cell(tip, max(value, 0.0), shown, (left + j * cell, y, cell, cell))
    return picture(
        "What one label says of another", _strongest(names, skill), (left + n * cell + 4, top + n * cell + 4),
        made, "heat",
    )  # fmt: skip


def _strongest(names: Sequence[str], skill: Sequence[Sequence[float | None]]) -> str:
    pairs = [(v, i, j) for i, row in enumerate(skill) for j, v in enumerate(row) if v is not None and i != j]
    if not pairs:
        return ""
    value, i, j = max(pairs)
    return f"Most: {names[j]} says {value:.2f} of {names[i]}."
