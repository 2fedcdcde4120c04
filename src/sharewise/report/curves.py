"""Learning curves (small multiples) and what the labels cover: the report's drawings of training and data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sharewise.records import PartCounts, RunRecord
from sharewise.report import words
from sharewise.report.svg import Attribute, Scale, element, number, picture, polyline, strip, text, ticks

_W, _H = 300.0, 176.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 38.0, 296.0, 6.0, 146.0

Points = list[tuple[int, float]]


@dataclass(frozen=True)
class Track:
    """One run's curve on one task: loss on train and validation rows by epoch, and the chosen epoch."""

    run_id: str
    train: Points
    validation: Points
    best_epoch: int | None


def tracks(runs: Sequence[RunRecord], task: str) -> list[Track]:
    """The curves that `runs` recorded for `task`, without the evaluations that have no finite loss."""
    found = []
    for run in runs:
        curve = run.curves.get(task)
        if curve is None:
            continue
        train = _points(curve.epochs, curve.train_loss)
        validation = _points(curve.epochs, curve.validation_loss)
        if len(validation) + len(train) > 1:
            found.append(Track(run.run_id, train, validation, run.best_epoch.get(task)))
    return found


def _points(epochs: Sequence[int], losses: Sequence[float | None]) -> Points:
    return [(e, v) for e, v in zip(epochs, losses, strict=False) if v is not None and math.isfinite(v)]


def learning_curves(task: str, alone: Sequence[Track], shared: Sequence[Track], *, faint: bool) -> Markup:
    """Loss against epoch for one task: alone and shared, validation solid, train dashed, best epochs marked.

    With `faint` every run is drawn faintly behind the mean of its arm; without, the means only (for pages with
    very many tasks).
    """
    every = [*alone, *shared]
    last = max(e for t in every for e, _ in [*t.train, *t.validation])
    low, high = _loss_range(every)
    x = Scale(0.0, float(max(last, 1)), _LEFT, _RIGHT)
    y = Scale(low, high, _BOTTOM, _TOP, held=False)
    frame = _frame(x, y)
    children: list[Markup] = []
    limit = 48 if faint else 20
    for kind, arm in (("alone", alone), ("shared", shared)):
        if faint and len(arm) > 1:
            for track in arm:
                children += _lines(track.train, track.validation, kind, "faint", x, y, 30)
        children += _lines(_mean([t.train for t in arm]), _mean([t.validation for t in arm]), kind, "mean", x, y, limit)
        children += _best(arm if faint else arm[:1], kind, x, y)
    runs = f"{words.plural(len(alone), 'run')} alone, {words.plural(len(shared), 'run')} shared"
    description = f"{runs}. {_ending('alone', alone)} {_ending('shared', shared)}".strip()
    plot = element("svg", {"viewBox": f"{_LEFT} {_TOP} {_RIGHT - _LEFT} {_BOTTOM - _TOP}", "x": _LEFT, "y": _TOP,
                           "width": _RIGHT - _LEFT, "height": _BOTTOM - _TOP}, *children)  # fmt: skip
    return picture(f"Learning curves of {task}", description, (_W, _H), [*frame, plot], "curves")


def _ending(kind: str, arm: Sequence[Track]) -> str:
    best = [v for t in arm for e, v in t.validation if e == t.best_epoch]
    if not best:
        return ""
    epochs = sorted(t.best_epoch for t in arm if t.best_epoch is not None)
    span = f"epoch {epochs[0]}" if epochs[0] == epochs[-1] else f"epochs {epochs[0]} to {epochs[-1]}"
    return f"Best validation loss {kind}: {words.score(sum(best) / len(best))} at {span}."


def _loss_range(every: Sequence[Track]) -> tuple[float, float]:
    """The losses without the highest tenth: the steep first epochs are cut off, so that the ends can be told apart."""
    values = sorted(v for t in every for _, v in [*t.train, *t.validation])
    high = max(values[int(0.9 * (len(values) - 1))], *(t.validation[-1][1] for t in every if t.validation), values[0])
    low = values[0]
    pad = 0.06 * (high - low) or abs(high) * 0.05 or 0.5
    return low - pad, high + pad


def _frame(x: Scale, y: Scale) -> list[Markup]:
    made: list[Markup] = []
    rules = ticks(y.low, y.high, 4)
    made.append(
        element(
            "path", {"d": "".join(f"M{number(_LEFT)} {number(y(v))}H{number(_RIGHT)}" for v in rules), "class": "rules"}
        )
    )
    for value in rules:
        made.append(text(f"{value:.4g}", {"x": _LEFT - 5, "y": y(value) + 4, "text-anchor": "end"}))
    for value in ticks(x.low, x.high, 5):
        if value == int(value):
            anchor = "end" if x(value) > _RIGHT - 6 else "middle"
            made.append(text(str(int(value)), {"x": x(value), "y": _BOTTOM + 16, "text-anchor": anchor}))
    made.append(text("epochs", {"x": _RIGHT, "y": _H - 1, "text-anchor": "end", "class": "caption"}))
    return made


def _lines(train: Points, validation: Points, kind: str, weight: str, x: Scale, y: Scale, limit: int) -> list[Markup]:
    made = []
    for points, part in ((train, "train"), (validation, "validation")):
        if len(points) > 1:
            made.append(polyline([(x(e), y(v)) for e, v in _thinned(points, limit)], f"curve {kind} {part} {weight}"))
    return made


def _thinned(points: Points, limit: int) -> Points:
    """At most `limit` of the points, the first and the last among them."""
    if len(points) <= limit:
        return points
    step = (len(points) - 1) / (limit - 1)
    return [points[round(i * step)] for i in range(limit)]


def _mean(runs: Sequence[Points]) -> Points:
    """Mean over runs at each epoch that every run has reached, so that a run that stops early leaves no jump."""
    if not runs or not all(runs):
        return []
    last = min(points[-1][0] for points in runs)
    by_epoch: dict[int, list[float]] = {}
    for points in runs:
        for epoch, value in points:
            if epoch <= last:
                by_epoch.setdefault(epoch, []).append(value)
    return [(e, sum(v) / len(v)) for e, v in sorted(by_epoch.items()) if len(v) == len(runs)]


def _best(arm: Sequence[Track], kind: str, x: Scale, y: Scale) -> list[Markup]:
    made = []
    for track in arm:
        for epoch, value in track.validation:
            if epoch == track.best_epoch:
                title = text(f"{track.run_id}: best at {epoch}", {}, "title")
                if kind == "shared":
                    made.append(
                        element("circle", {"cx": x(epoch), "cy": y(value), "r": 3.2, "class": "best shared"}, title)
                    )
                else:
                    box: dict[str, Attribute] = {
                        "x": x(epoch) - 2.8, "y": y(value) - 2.8, "width": 5.6, "height": 5.6, "class": "best alone"
                    }  # fmt: skip
                    made.append(element("rect", box, title))
    return made


def swatches() -> tuple[tuple[Markup, str], ...]:
    """Legend of the learning curves: lines and marks with what they mean."""
    lines = [
        (_swatch(_stroke("curve shared validation mean"), _dot()), "shared"),
        (_swatch(_stroke("curve alone validation mean"), _square()), "alone"),
        (_swatch(_stroke("curve plain validation mean")), "validation loss"),
        (_swatch(_stroke("curve plain train mean")), "train loss"),
    ]
    return tuple(lines)


def _stroke(kind: str) -> Markup:
    return element("line", {"x1": 0, "x2": 30, "y1": 8, "y2": 8, "class": kind})


def _dot() -> Markup:
    return element("circle", {"cx": 15, "cy": 8, "r": 4, "class": "best shared"})


def _square() -> Markup:
    return element("rect", {"x": 11.5, "y": 4.5, "width": 7, "height": 7, "class": "best alone"})


def _swatch(*children: Markup) -> Markup:
    return element("svg", {"viewBox": "0 0 30 16", "width": 30, "height": 16, "aria-hidden": "true"}, *children)


def part_swatches() -> tuple[tuple[Markup, str], ...]:
    """Legend of the coverage bars."""
    box = {"x": 8, "y": 2, "width": 14, "height": 12}
    return tuple(
        (_swatch(element("rect", {**box, "class": f"part {part}"})), part) for part in ("train", "validation", "test")
    )


# --- labels -----------------------------------------------------------------------------------------------


def coverage_bar(task: str, labelled: PartCounts, n_rows: int) -> Markup:
    """Labelled rows of a task against all rows: train, validation and test end to end."""
    title = (
        f"{task}: {words.count(labelled.train)} train, {words.count(labelled.validation)} validation, "
        f"{words.count(labelled.test)} test of {words.plural(n_rows, 'row')}"
    )
    children = [element("rect", {"x": 0, "y": 2, "width": "100%", "height": 12, "class": "rail"})]
    start = 0.0
    for part, n in (("train", labelled.train), ("validation", labelled.validation), ("test", labelled.test)):
        width = 100 * n / n_rows if n_rows else 0.0
        if width:
            box: dict[str, Attribute] = {
                "x": f"{start:.2f}%",
                "y": 2,
                "width": f"{max(width, 0.4):.2f}%",
                "height": 12,
                "class": f"part {part}",
            }
            children.append(element("rect", box))
        start += width
    return strip(title, children, "coverage")


def overlap_map(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Markup:
    """Rows labelled for both of two tasks, as a share of the rows of the one with fewer: a square map.

    Columns are numbered in the order of the rows. Cells hold the count up to 16 tasks.
    """
    n = len(names)
    cell, left, top = 42.0, 168.0, 24.0
    children: list[Markup] = []
    for i, name in enumerate(names):
        y = top + i * cell
        children.append(text(f"{i + 1}", {"x": left + (i + 0.5) * cell, "y": top - 8, "text-anchor": "middle"}))
        children.append(text(f"{short(name)}  {i + 1}", {"x": left - 8, "y": y + cell / 2 + 4, "text-anchor": "end"}))
        for j in range(n):
            children += _cell(names, counts, i, j, (left + j * cell, y, cell))
    lowest = _least(names, counts)
    return picture("Pairwise label overlap", lowest, (left + n * cell + 4, top + n * cell + 4), children, "heat")


def _cell(
    names: Sequence[str], counts: Sequence[Sequence[int]], i: int, j: int, place: tuple[float, float, float]
) -> list[Markup]:
    x, y, size = place
    fewer = min(counts[i][i], counts[j][j])
    share = counts[i][j] / fewer if fewer else 0.0
    both = f"{names[i]} and {names[j]}" if i != j else names[i]
    tip = f"{both}: {words.plural(counts[i][j], 'row')}, {words.percent(share)} of the smaller"
    return heat_cell(tip, share, _compact(counts[i][j]) if len(names) <= 16 else "", (x, y, size, size))


def heat_cell(tip: str, share: float, shown: str, place: tuple[float, float, float, float]) -> list[Markup]:
    """A cell of a map: the darker, the larger its share of 1; `place` is x, y, width and height."""
    x, y, width, height = place
    level = min(int(share * 9.999), 9) if share > 0 else 0
    kind = f"h{level}" if share > 0 else "hnone"
    box: dict[str, Attribute] = {
        "x": x + 1, "y": y + 1, "width": width - 2, "height": height - 2, "rx": 3, "class": kind
    }  # fmt: skip
    made = [element("rect", box, text(tip, {}, "title"))]
    if shown:
        at: dict[str, Attribute] = {
            "x": x + width / 2, "y": y + height / 2 + 4, "text-anchor": "middle", "class": f"t{level}"
        }  # fmt: skip
        made.append(text(shown, at))
    return made


def _least(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    pairs = [(counts[i][j], i, j) for i in range(len(names)) for j in range(i)]
    if not pairs:
        return ""
    n, i, j = min(pairs)
    return f"Fewest common rows: {words.count(n)}, for {names[j]} and {names[i]}."


def _compact(n: int) -> str:
    if n < 10_000:
        return str(n)
    return f"{n / 1000:.0f}k" if n < 1_000_000 else f"{n / 1e6:.1f}M"


def short(name: str, limit: int = 20) -> str:
    """A name cut to `limit` letters."""
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
