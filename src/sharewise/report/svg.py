"""A few lines of SVG: elements as escaped text, scales and ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from sharewise.report import words

Attribute = str | int | float


def number(value: float) -> str:
    """A coordinate with at most two decimals, as short as it can be."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def element(name: str, attributes: Mapping[str, Attribute], *children: Markup) -> Markup:
    """An element; attribute values are escaped, floats shortened."""
    shown = "".join(
        f' {key}="{escape(number(value) if isinstance(value, float) else value)}"' for key, value in attributes.items()
    )
    inside = "".join(children)
    return Markup(f"<{name}{shown}>{inside}</{name}>" if inside else f"<{name}{shown}/>")


def text(content: str, attributes: Mapping[str, Attribute], name: str = "text") -> Markup:
    """An element that holds escaped text."""
    return element(name, attributes, escape(words.visible(content)))


def picture(title: str, description: str, size: tuple[float, float], children: Iterable[Markup], kind: str) -> Markup:
    """A drawing with a view box of `size`, named and described for those who cannot see it."""
    head = [text(title, {}, "title"), text(description, {}, "desc")] if description else [text(title, {}, "title")]
    box = f"0 0 {number(size[0])} {number(size[1])}"
    size_: dict[str, Attribute] = {"viewBox": box, "width": size[0], "height": size[1], "role": "img", "class": kind}
    return element("svg", size_, *head, *children)


def strip(title: str, children: Iterable[Markup], kind: str) -> Markup:
    """A drawing without a view box: it takes the width it is given, and its coordinates are per cent of it."""
    return element("svg", {"role": "img", "class": kind}, text(title, {}, "title"), *children)


def polyline(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """A line through points, one decimal a coordinate."""
    path = " ".join(f"{number(round(x, 1))},{number(round(y, 1))}" for x, y in points)
    return element("polyline", {"points": path, "class": kind})


@dataclass(frozen=True)
class Scale:
    """Maps values from [`low`, `high`] to [`start`, `end`], linearly; values outside are held at the ends if `held`."""

    low: float
    high: float
    start: float
    end: float
    held: bool = True

    def __call__(self, value: float) -> float:
        """Where `value` is drawn."""
        width = self.high - self.low
        share = 0.5 if width <= 0 else (value - self.low) / width
        if self.held:
            share = min(max(share, 0.0), 1.0)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """True where `value` lies within the scale."""
        return self.low <= value <= self.high


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], about as many as asked."""
    width = high - low
    if not (math.isfinite(width) and width > 0):
        return [low]
    power = 10.0 ** math.floor(math.log10(width / about))
    step = min((m * power for m in (1.0, 2.0, 5.0, 10.0)), key=lambda s: abs(math.log(width / s / about)))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]
