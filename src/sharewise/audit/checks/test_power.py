"""Tasks with too few test rows for any verdict at the declared margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import TEST, AuditView, Labels
from sharewise.records import Severity

_Z = 1.645


@dataclass(frozen=True)
class TestPower(Check):
    """The test rows alone leave a 90 % interval narrower than plus or minus the margin, under kind assumptions.

    Assumed: two models whose per-row scores correlate with `correlation` = 0.8, unlimited runs, ROC-AUC 0.8 (variance
    after Hanley and McNeil 1982) for classes, and half-normal errors (sd / mean = 0.756) for numbers. Half width
    h = 1.645 sqrt(2 (1 - correlation)) se / score; the rows needed grow with (h / margin)^2.
    """

    __test__ = False  # the name starts like a test's, and pytest collects by name
    correlation: float = 0.8

    def run(self, view: AuditView) -> CheckResult:
        """One finding that names the tasks whose interval is wider than their margin."""
        if not (view.part == TEST).any():
            return CheckResult(not_computable=("the split has no test rows",))
        ratios: dict[str, float] = {}
        details = {}
        for labels in view.labels:
            values = labels.values[(view.part == TEST) & labels.present]
            half = self._half_width(labels, values)
            if half is None:
                continue
            margin = view.schema.tasks[labels.task].margin
            needed = int(np.ceil(len(values) * (half / margin) ** 2))
            details[labels.key] = {"test_rows": len(values), "half_width": half, "margin": margin, "needed": needed}
            # The score of a multilabel task is a mean over labels: its best label bounds what can be said.
            ratios[labels.task] = min(ratios.get(labels.task, np.inf), half / margin)
        wide = sorted((n for n in ratios if ratios[n] > 1), key=lambda n: -ratios[n])
        if not wide:
            return CheckResult(details={"labels": details})
        worst = ratios[wide[0]]
        found = Found(
            Severity.WARNING,
            f"{_of(wide, len(ratios))} the test rows cannot separate a change of one margin from "
            f"nothing, however many runs are made; {_worst(wide)} interval is at least {worst:.1f} "
            "margins wide on either side.",
            "Such a task can get a verdict only if sharing changes it by more than that; else it stays 'not enough "
            "evidence'.",
            "give the task more test rows, or declare a margin that its test rows can resolve",
            measured=worst,
            threshold=1,
            tasks=tuple(wide),
        )
        return CheckResult((found,), {"labels": details})

    def _half_width(self, labels: Labels, values: np.ndarray) -> float | None:
        if len(values) < 2:
            return None
        paired = sqrt(2 * (1 - self.correlation))
        if not labels.is_class:
            return _Z * paired * 0.756 / sqrt(len(values))
        counts = np.bincount(values[values >= 0].astype(np.int64))
        counts = counts[counts > 0]
        if len(counts) < 2:
            return None
        # Largest class against the rest is the best separated two-class question.
        positives = int(counts.max())
        negatives = int(counts.sum() - positives)
        return _Z * paired * _auc_error(0.8, positives, negatives) / 0.8


def _of(wide: Sequence[str], n: int) -> str:
    if len(wide) == 1:
        return f"For '{wide[0]}'"
    return f"For each of the {n} tasks that can be assessed," if len(wide) == n else f"For {len(wide)} of {n} tasks"


def _worst(wide: Sequence[str]) -> str:
    return "its" if len(wide) == 1 else f"the worst is '{wide[0]}', whose"


def _auc_error(auc: float, positives: int, negatives: int) -> float:
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return sqrt(spread / (positives * negatives))
