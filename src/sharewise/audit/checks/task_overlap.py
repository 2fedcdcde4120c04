"""Which tasks are labelled on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import AuditView
from sharewise.records import Severity


@dataclass(frozen=True)
class TaskOverlap(Check):
    """Two tasks share at least `min_rows` = 50 labelled rows; fewer leave the pair to be compared through inputs
    only."""

    min_rows: int = 50

    def run(self, view: AuditView) -> CheckResult:
        """One finding for all pairs without enough common rows; `details` holds the matrix of common rows."""
        tasks = [t for t in view.schema.tasks if any(c in view.arrow.column_names for c in t.columns)]
        if len(tasks) < 2:
            return CheckResult()
        present = np.stack([view.task_present(t) for t in tasks]).astype(np.float32)
        both = np.zeros((len(tasks), len(tasks)))
        for start in range(0, view.n_rows, 1 << 16):
            block = present[:, start : start + (1 << 16)]
            both += block @ block.T
        details = {"tasks": [t.name for t in tasks], "rows": both.astype(np.int64).tolist()}
        # Tasks made of one by a group column have no common row by design.
        related = [t.family or t.name for t in tasks]
        pairs = [(i, j) for i in range(len(tasks)) for j in range(i) if related[i] != related[j]]
        low = [(i, j) for i, j in pairs if both[i, j] < self.min_rows]
        if not low:
            return CheckResult(details=details)
        disjoint = sum(both[i, j] == 0 for i, j in low)
        names = tuple(dict.fromkeys(tasks[k].name for pair in low for k in reversed(pair)))
        found = Found(
            Severity.WARNING,
            f"{len(low)} of {len(pairs)} pairs of tasks share fewer than {self.min_rows} labelled rows, "
            f"{disjoint} of them none at all.",
            "Tasks without common rows are linked through the inputs only: label relations, conflicts and per-row "
            "gains cannot be measured, and each batch must hold rows of both.",
            "sample batches by task, and check that their inputs come from the same population",
            measured=float(min(both[i, j] for i, j in low)),
            threshold=self.min_rows,
            tasks=names,
        )
        return CheckResult((found,), details)
