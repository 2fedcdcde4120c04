"""A task whose labels are another task's labels some steps earlier or later, or that is a sum of others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found, Rows
from sharewise.audit.view import AuditView, Labels
from sharewise.records import Severity

MAX_TARGETS = 24


@dataclass(frozen=True)
class ShiftedTargets(Check):
    """No regression target is a shifted copy of another, nor the sum, difference or product of two others.

    Shift: equal numbers on at least `max_equal` = 95 % of the rows at some lag of 1 to `max_lag` = 24 rows in time
    order (row order without a time column), where at most half of them are equal at lag 0. Arithmetic: equal to float
    precision (1e-4 of the spread) on at least `max_equal` of at least `min_rows` = 50 rows; the rows that break it
    are listed. At most 24 regression targets are looked at.
    """

    max_lag: int = 24
    max_equal: float = 0.95
    min_rows: int = 50

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each shifted pair and each arithmetic relation."""
        alone = {t.name for t in view.schema.tasks if t.where is None}  # tasks of one group column never share a row
        every = [k for k in view.labels if k.task in alone and not k.is_class and _is_fine(k)][:MAX_TARGETS]
        order = np.arange(view.n_rows) if view.time is None else np.argsort(view.time, kind="stable")
        found = [f for a in every for b in every if a is not b for f in self._shift(a, b, order)]
        for trio in combinations(every, 3):
            found += self._sum(trio)
        return CheckResult(tuple(found))

    def _shift(self, a: Labels, b: Labels, order: Rows) -> list[Found]:
        x, y = (np.where(k.present, k.values, np.nan)[order].astype(np.float32) for k in (a, b))
        for lag in range(1, min(self.max_lag, len(order) - 1) + 1):
            both = ~np.isnan(x[lag:]) & ~np.isnan(y[:-lag])
            if both.sum() < self.min_rows:
                continue
            head = both.nonzero()[0][:2000]
            if (x[lag:][head] == y[:-lag][head]).mean() < self.max_equal / 2:
                continue  # two thousand rows settle most lags
            equal = float((x[lag:] == y[:-lag])[both].mean())
            if equal >= self.max_equal and np.nanmean(x == y) < 0.5:
                return [self._shifted(a, b, lag, equal)]
        return []

    def _shifted(self, a: Labels, b: Labels, lag: int, equal: float) -> Found:
        return Found(
            Severity.ERROR,
            f"{a.title} is {b.title} {lag} row{'s' * (lag > 1)} earlier: {equal:.1%} of its labels are equal to it.",
            "One row's label of the first is another row's label of the second: with the rows in different parts of "
            "the split, the shared model has seen test answers in training.",
            "keep one of the two, or split by time with a gap of the lag",
            measured=equal,
            threshold=self.max_equal,
            tasks=(b.task, a.task),
            columns=(b.column, a.column),
        )

    def _sum(self, trio: tuple[Labels, ...]) -> list[Found]:
        rows = np.flatnonzero(np.logical_and.reduce([k.present for k in trio]))
        if len(rows) < self.min_rows:
            return []
        for whole in trio:
            left, right = (k for k in trio if k is not whole)
            for sign, how in ((np.add, "the sum"), (np.multiply, "the product")):
                total = whole.values[rows]
                broken = ~np.isclose(
                    sign(left.values[rows], right.values[rows]), total, rtol=0, atol=1e-4 * total.std()
                )
                if broken.mean() <= 1 - self.max_equal:
                    return [self._arithmetic(whole, left, right, how, rows[broken], len(rows))]
        return []

    def _arithmetic(self, whole: Labels, left: Labels, right: Labels, how: str, broken: Rows, n: int) -> Found:
        but = f", but not on {len(broken):,} rows" if len(broken) else ""
        return Found(
            Severity.WARNING,
            f"{whole.title} is {how} of {left.title} and {right.title} on {1 - len(broken) / n:.2%} "
            f"of {n:,} rows{but}.",
            "The three are two pieces of evidence; rows that break the relation hold a wrong label in one of them.",
            "check the listed rows; predict two and derive the third, or read their verdicts together",
            measured=1 - len(broken) / n,
            threshold=self.max_equal,
            tasks=(whole.task, left.task, right.task),
            columns=(whole.column, left.column, right.column),
            rows=broken,
        )


def _is_fine(labels: Labels) -> bool:
    """Enough distinct numbers that equality means something."""
    known = labels.values[labels.present][:5000]
    return len(np.unique(known)) > max(8, 0.01 * len(known))
