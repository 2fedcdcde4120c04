"""Numbers and counts as a reader wants to see them: one place for every format of the report and the terminal.

Text uses the true minus sign and narrow no-break spaces; `ascii_only` turns it into what any terminal can show.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence

MINUS = "\u2212"
THIN = "\u202f"
MISSING = "–"

_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def plural(n: int, one: str, many: str | None = None) -> str:
    """A count with its noun: "1 task", "3 tasks", "2,000 rows"."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def verb(n: int, one: str, many: str) -> str:
    """The form of a verb that goes with `n` things."""
    return one if n == 1 else many


def in_words(n: int) -> str:
    """A small count in letters, a larger one in figures: "one", "twelve", "13"."""
    return _SMALL[n] if 0 <= n < len(_SMALL) else count(n)


def some_of(n: int) -> str:
    """How many of several things: "none", "one", "twelve", "13"."""
    return in_words(n) if n else "none"


def all_of(n: int) -> str:
    """Every one of `n` things, as one says it: "the only", "both", "all 3"."""
    return {1: "the only", 2: "both"}.get(n, f"all {count(n)}")


def count(n: int) -> str:
    """A whole number with thousands set apart: "12,345"."""
    return f"{n:,}"


def by_number(numbers: Sequence[int], noun: str) -> str:
    """How many things have each number: "3 for five tasks and 6 for one", or "3 for all 6 tasks"."""
    found = sorted(set(numbers))
    if len(found) == 1:
        return f"{count(found[0])} for {all_of(len(numbers))} {noun}{'s' if len(numbers) > 1 else ''}"
    told: list[str] = []
    for number in found:
        n = list(numbers).count(number)
        told.append(f"{count(number)} for {in_words(n)}" + ("" if told else f" {noun}{'s' if n > 1 else ''}"))
    return parts(told)


def score(value: float | None) -> str:
    """A metric's value to about four significant digits, never in exponent form below a million."""
    if value is None or not math.isfinite(value):
        return MISSING
    size = abs(value)
    if size >= 1e6:
        text = f"{value:.4g}"
    elif size >= 1000:
        text = f"{value:,.0f}"
    elif size >= 100:
        text = f"{value:.1f}"
    elif size >= 10:
        text = f"{value:.2f}"
    elif size >= 0.1 or size == 0:
        text = f"{value:.3f}"
    else:
        text = f"{value:#.3g}"
    return text.replace("-", MINUS)


def spread(values: Sequence[float]) -> str:
    """Standard deviation between runs with its sign, "± 0.004"; empty for fewer than two runs."""
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < 2:
        return ""
    deviation = statistics.stdev(finite)
    size = abs(statistics.fmean(finite))
    digits = 4 if 0.1 <= size < 1 else 3
    text = f"{deviation:.{digits}f}" if size < 10 and deviation >= 5e-5 else f"{deviation:.2g}"
    return f"±{THIN}{text}"


def _signed(value: float, digits: int) -> str:
    if abs(value) >= 100:
        digits = 0
    text = f"{abs(value):.{digits}f}" if abs(value) < 1e6 else f"{abs(value):.3g}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else MINUS) + text


def unit(scale: str) -> str:
    """The unit of a change on a scale: per cent of the baseline's score, or points (hundredths) of the metric."""
    return "%" if scale == "relative" else "points"


def change(value: float | None, scale: str) -> str:
    """A change with its sign and unit: "+1.2 %", "−0.4 points"."""
    if value is None or not math.isfinite(100 * value):
        return MISSING
    return f"{_signed(100 * value, 1)}{THIN}{unit(scale)}"


def interval(low: float, high: float, scale: str) -> str:
    """An interval in the unit of `change`: "[−0.5, +2.9] %"."""
    if not (math.isfinite(100 * low) and math.isfinite(100 * high)):
        return MISSING
    return f"[{_signed(100 * low, 1)}, {_signed(100 * high, 1)}]{THIN}{unit(scale)}"


def between(low: float, high: float) -> str:
    """An interval of a score in the metric's own unit: "[0.601, 0.689]"."""
    return f"[{score(low)}, {score(high)}]"


def amount(value: float, scale: str) -> str:
    """A size without a sign: "2 %", "1.5 points"; used for margins."""
    return f"{100 * value:.3g}{THIN}{unit(scale)}"


def percent(value: float | None) -> str:
    """A share or probability: "43 %", "0.4 %", "under 0.1 %"."""
    if value is None or not math.isfinite(value):
        return MISSING
    if 0 < value < 0.001:
        return f"under 0.1{THIN}%"
    if 0.999 < value < 1:
        return f"over 99.9{THIN}%"
    digits = 1 if 0 < value < 0.0995 else 0
    return f"{100 * value:.{digits}f}".removesuffix(".0") + f"{THIN}%"


def seconds(value: float) -> str:
    """A duration: "0.4 s", "48 s", "3 min 20 s", "2 h 5 min"."""
    if value < 10:
        return f"{value:.1f}{THIN}s"
    whole = round(value)
    if whole < 120:
        return f"{whole}{THIN}s"
    if whole < 7200:
        return f"{whole // 60}{THIN}min" + (f" {whole % 60}{THIN}s" if whole < 600 and whole % 60 else "")
    return f"{whole // 3600}{THIN}h {whole % 3600 // 60}{THIN}min"


def latency(value: float) -> str:
    """A short time: "0.8 ms", "12 ms", "1.4 s"."""
    if value >= 1:
        return seconds(value)
    return f"{1000 * value:.1f}{THIN}ms" if value < 0.01 else f"{1000 * value:.0f}{THIN}ms"


def size(n_bytes: int) -> str:
    """The size of files: "640 kB", "1.2 MB"."""
    if n_bytes < 1_000_000:
        return f"{max(n_bytes / 1000, 0.1):.{0 if n_bytes >= 10_000 else 1}f}{THIN}kB"
    return f"{n_bytes / 1e6:.1f}{THIN}MB"


def power_of_ten(value: float) -> str:
    """A very large number: "1.9 × 10^8"."""
    digits, _, exponent = f"{value:.1e}".partition("e")
    return f"{digits}{THIN}× 10^{int(exponent)}"


def times(value: float) -> str:
    """A ratio as one says it: "0.4 times", "12 times"."""
    return f"{value:.0f} times" if value >= 9.95 else f"{value:.1f} times" if value >= 0.1 else f"{value:.2f} times"


def listing(names: Iterable[str], limit: int = 4) -> str:
    """Names as in a sentence: "a", "a and b", "a, b and c", "a, b, c and 9 more"; one over the limit is named too."""
    given = list(names)
    if len(given) > limit + 1:
        return f"{', '.join(given[: limit - 1])} and {count(len(given) - limit + 1)} more"
    if len(given) < 2:
        return "".join(given)
    return f"{', '.join(given[:-1])} and {given[-1]}"


def ids(names: Sequence[str]) -> str:
    """Names that differ only at their end, folded: "run-a-s{0,1,2}"; any others as a plain list."""
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    start = "".join(letters[0] for letters in same)
    ends = [name[len(start) :] for name in names]
    if len(names) < 2 or len(start) < 4 or any(len(end) > 6 for end in ends):
        return ", ".join(names)
    return f"{start}{{{','.join(ends)}}}"


def parts(clauses: Sequence[str]) -> str:
    """Clauses joined as in a sentence: "a", "a and b", "a, b, and c"."""
    if len(clauses) < 3:
        return " and ".join(clauses)
    return f"{', '.join(clauses[:-1])}, and {clauses[-1]}"


def ascii_only(text: str) -> str:
    """The same text for terminals and logs: ASCII minus and spaces, no control characters."""
    plain = text.replace(MINUS, "-").replace(THIN, " ").replace("±", "+/-").replace("–", "-").replace("·", "-")
    return visible(plain)


def visible(text: str, keep: str = "") -> str:
    """Text without control characters (escape sequences, line breaks, direction marks), each shown as "?"."""
    return "".join(c if c.isprintable() or c == THIN or c in keep else "?" for c in text)
