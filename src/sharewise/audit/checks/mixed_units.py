"""One column in two units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.columns import Floats
from sharewise.audit.result import CheckResult, Found, Rows
from sharewise.audit.view import AuditView
from sharewise.records import Severity
from sharewise.tasks import TaskKind

_FACTORS = {
    10.0: "powers of ten", 100.0: "powers of ten, or percent and share", 1000.0: "kilo", 1e6: "mega",
    2.2046: "pounds and kilograms", 2.54: "inches and centimetres", 25.4: "inches and millimetres",
    3.2808: "feet and metres", 1.60934: "miles and kilometres", 3.6: "km/h and m/s", 12.0: "years and months",
    60.0: "minutes and seconds", 3600.0: "hours and seconds", 24.0: "days and hours", 7.0: "weeks and days",
    365.25: "years and days", 4.184: "calories and joules", 28.3495: "ounces and grams",
}  # fmt: skip


@dataclass(frozen=True)
class MixedUnits(Check):
    """No column of positive numbers falls into two clusters of the same shape, a known factor of units apart.

    One of the three widest gaps of log values that leave at least `min_share` = 2 % (and 20 rows) on either side is a
    suspicion if it is over `min_gap` = 0.25 (in natural logs) and three times the eighth widest. The medians of the two
    clusters must differ by a factor within `tolerance` = 15 % (and one standard error of their ratio) of a known one;
    brought to one unit by that factor, the clusters must agree to a distance of at most `max_distance` = 0.2: the
    largest d by which one distribution function exceeds the other moved by `slack` = 0.02, that is 2 %. The slack is
    Levy's: rounded numbers that are a hair apart would be far apart by Kolmogorov and Smirnov.
    """

    min_share: float = 0.02
    min_gap: float = 0.25
    tolerance: float = 0.15
    max_distance: float = 0.2
    slack: float = 0.02

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each column, with the rows of the smaller cluster."""
        numbers = [k.column for k in view.labels if k.kind is TaskKind.REGRESSION]
        found = []
        for name in (*view.numeric_inputs, *dict.fromkeys(numbers)):
            values = view.numbers(name)
            rows = np.flatnonzero(values > 0)
            if len(rows) >= 100 and len(rows) >= 0.95 * (~np.isnan(values)).sum():
                found += self._column(view, name, values, rows)
        return CheckResult(tuple(found))

    def _column(self, view: AuditView, name: str, values: Floats, rows: Rows) -> list[Found]:
        logs = np.log(values[rows])
        for cut in self._cuts(np.sort(logs)):
            upper = logs > cut
            high, low = logs[upper], logs[~upper]
            ratio = float(np.exp(np.median(high) - np.median(low)))
            near = self.tolerance + _median_error(high, low)
            known = [f for f in _FACTORS if abs(np.log(ratio / f)) <= near]
            if not known:
                continue
            distances = {f: _levy(high - np.log(f), low, self.slack) for f in known}
            factor = min(known, key=lambda f: distances[f])
            distance = distances[factor]
            if distance <= self.max_distance:
                smaller = rows[upper] if upper.sum() <= len(rows) / 2 else rows[~upper]
                return [self._found(view, name, smaller, ratio, factor, distance)]
        return []

    def _found(self, view: AuditView, name: str, rows: Rows, ratio: float, factor: float, distance: float) -> Found:
        return Found(
            Severity.WARNING,
            f"Column '{name}' falls into two clusters whose medians differ by a factor of {ratio:.3g}, as "
            f"{_FACTORS[factor]} would; the smaller one has {len(rows):,} rows.",
            "Two units in one column are two standards of annotation: what one task learns from the column is "
            "wrong for the rows of the other unit.",
            "bring the column to one unit",
            measured=distance,
            threshold=self.max_distance,
            tasks=tuple(k.task for k in view.labels if k.column == name),
            columns=(name,),
            rows=rows,
        )

    def _cuts(self, logs: Floats) -> list[float]:
        """Middles of the three widest gaps that stand out."""
        low = max(20, int(self.min_share * len(logs)))
        gaps = np.diff(logs)[low - 1 : len(logs) - low]
        if len(gaps) < 20 or len(np.unique(logs)) < 50:
            return []
        widest = np.argsort(-gaps, kind="stable")[:3]
        usual = float(np.partition(gaps, -8)[-8])
        wide = [int(i) for i in widest if gaps[i] > max(self.min_gap, 3 * usual)]
        return [float(logs[low - 1 + i] + gaps[i] / 2) for i in wide]


def _median_error(a: Floats, b: Floats) -> float:
    """Standard error of the difference of two medians, as of normal samples of the same interquartile ranges."""
    spreads = [(np.quantile(x, 0.75) - np.quantile(x, 0.25)) / 1.349 for x in (a, b)]
    return float(1.2533 * np.hypot(spreads[0] / np.sqrt(len(a)), spreads[1] / np.sqrt(len(b))))


def _levy(a: Floats, b: Floats, slack: float) -> float:
    """Largest d by which one distribution function at x exceeds the other at x + `slack`."""
    a, b = np.sort(a), np.sort(b)

    def above(x: Floats, y: Floats) -> float:
        at = np.arange(1, len(x) + 1) / len(x)
        return float((at - np.searchsorted(y, x + slack, side="right") / len(y)).max())

    return max(above(a, b), above(b, a), 0.0)
