"""Rows without inputs: what a sensor dropout or a failed join leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found, Rows
from sharewise.audit.view import AuditView
from sharewise.records import Severity


@dataclass(frozen=True)
class EmptyRows(Check):
    """At most `max_share` = 0.1 % of the rows miss at least `missing` = 75 % of four or more inputs at once."""

    missing: float = 0.75
    max_share: float = 0.001

    def run(self, view: AuditView) -> CheckResult:
        """One finding with all such rows."""
        rows = empty_rows(view, self.missing)
        share = len(rows) / max(view.n_rows, 1)
        if share <= self.max_share:
            return CheckResult()
        labelled = int(np.logical_or.reduce([k.present[rows] for k in view.labels]).sum()) if view.labels else 0
        found = Found(
            Severity.WARNING,
            f"{len(rows):,} rows ({share:.2%}) miss at least {self.missing:.0%} of their "
            f"{len(view.input_names)} inputs; {labelled:,} of them have labels.",
            "Labels without inputs teach every task its mean, and all tasks are disturbed by the same rows.",
            "drop these rows (--fix drop-empty-rows), or find the outage or the join that emptied them",
            measured=share,
            threshold=self.max_share,
            rows=rows,
        )
        return CheckResult((found,))


def empty_rows(view: AuditView, missing: float = 0.75) -> Rows:
    """Rows that miss at least this share of four or more inputs."""
    names = view.input_names
    if len(names) < 4:
        return np.empty(0, dtype=np.int64)
    gone = np.zeros(view.n_rows, dtype=np.int32)
    for name in names:
        gone += view.missing(name)
    return np.flatnonzero(gone >= missing * len(names))
