"""Training rows from the test period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import TEST, TRAIN, VALIDATION, AuditView
from sharewise.records import Severity


@dataclass(frozen=True)
class SplitTime(Check):
    """With a time column, no training row is later than the first test row (`max_rows` = 0), nor is a validation row.

    Equal times are allowed, as several entities share a clock.
    """

    max_rows: int = 0

    def run(self, view: AuditView) -> CheckResult:
        """One finding for train against test, one for validation against test."""
        if view.time is None:
            return CheckResult()
        test = view.time[view.part == TEST]
        test = test[~np.isnan(test)]
        if not len(test):
            return CheckResult(not_computable=("no test row has a time",))
        found = []
        for part, name, severity in ((TRAIN, "train", Severity.ERROR), (VALIDATION, "validation", Severity.WARNING)):
            rows = np.flatnonzero((view.part == part) & (view.time > test.min()))
            n_part = max(int((view.part == part).sum()), 1)
            if len(rows) > self.max_rows:
                found.append(
                    Found(
                        severity,
                        f"{len(rows):,} {name} rows ({len(rows) / n_part:.1%}) are later than the first test row.",
                        "The model learns from the period it is tested on: drift, which hurts shared and single "
                        "models differently, stays hidden until the model is in use.",
                        "split by time: train, then validation, then test",
                        measured=len(rows),
                        threshold=self.max_rows,
                        rows=rows[np.argsort(-view.time[rows], kind="stable")],
                    )
                )
        return CheckResult(tuple(found))
