"""Numbers with heavy tails, in targets and inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import skew

from sharewise.audit.checks.base import Check
from sharewise.audit.columns import Floats
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import TRAIN, AuditView
from sharewise.records import Severity
from sharewise.tasks import TaskKind


@dataclass(frozen=True)
class HeavyTails(Check):
    """No thousandth of the rows carries over `max_share` = 30 % of a column's variance (a normal one: 1.3 %), and no
     positive target has a skewness over `max_skew` = 2 (that of an exponential) that a log would at
    least halve. Columns with fewer than `min_rows` = 200 cells are not judged."""

    max_share: float = 0.3
    max_skew: float = 2.0
    min_rows: int = 200

    def run(self, view: AuditView) -> CheckResult:
        """One warning for the targets that a log helps, one for other heavy targets, one info for inputs."""
        logs, tails = {}, {}
        for task in view.schema.tasks:
            if task.kind is TaskKind.REGRESSION and task.transform == "none" and task.columns[0] in view.label_columns:
                values = view.numbers(task.columns[0])[view.part == TRAIN]
                values = values[~np.isnan(values)]
                if len(values) < self.min_rows or values.min() == values.max():
                    continue
                bent = float(skew(values))
                if values.min() >= 0 and bent > self.max_skew and abs(skew(np.log1p(values))) < bent / 2:
                    logs[task.name] = bent
                elif tail_share(values) > self.max_share:
                    tails[task.name] = tail_share(values)
        found = [*self._targets(logs, "skewness", self.max_skew, "declare transform: log1p")]
        found += self._targets(tails, "share of the variance", self.max_share, "declare a transform, or a robust loss")
        shares = {}
        for name in view.numeric_inputs:
            values = view.numbers(name)[view.sample]
            values = values[~np.isnan(values)]
            if len(values) >= self.min_rows and tail_share(values) > self.max_share:
                shares[name] = tail_share(values)
        if shares:
            found.append(self._inputs(shares))
        return CheckResult(tuple(found))

    def _targets(self, values: dict[str, float], what: str, threshold: float, remedy: str) -> list[Found]:
        if not values:
            return []
        names = sorted(values, key=lambda n: -values[n])
        fact = f"a skewness of {values[names[0]]:.1f}"
        if what != "skewness":
            fact = f"{values[names[0]]:.0%} of the variance in a thousandth of the rows"
        return [
            Found(
                Severity.WARNING,
                f"The training labels of {len(names)} regression task{'s' * (len(names) > 1)} have a heavy tail; "
                f"'{names[0]}' has {fact}.",
                "Under squared error a few rows set such a task's gradient, which jerks the shared parameters whenever "
                "one of them is in the batch.",
                remedy,
                measured=values[names[0]],
                threshold=threshold,
                tasks=tuple(names),
            )
        ]

    def _inputs(self, shares: dict[str, float]) -> Found:
        worst = max(shares, key=lambda n: shares[n])
        return Found(
            Severity.INFO,
            f"{len(shares)} inputs have heavy tails; in '{worst}' a thousandth of the rows carries {shares[worst]:.0%} "
            "of the variance.",
            "Scaled by the standard deviation, such an input is nearly constant for most rows.",
            "scale such inputs by quantiles or logs, and look at the largest values",
            measured=shares[worst],
            threshold=self.max_share,
            columns=tuple(sorted(shares, key=lambda n: -shares[n])),
        )


def tail_share(values: Floats) -> float:
    """Share of the sum of squared deviations from the median that the most extreme thousandth of the rows (at least
    one row) holds."""
    squares = np.sort((values - np.median(values)) ** 2)
    total = squares.sum()
    k = max(1, len(values) // 1000)
    return float(squares[-k:].sum() / total) if total > 0 else 0.0
