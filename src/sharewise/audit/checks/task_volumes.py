"""Tasks of very different size."""

from __future__ import annotations

from dataclasses import dataclass

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import PART_NAMES, TRAIN, AuditView
from sharewise.records import Severity


@dataclass(frozen=True)
class TaskVolumes(Check):
    """The largest task has at most `max_ratio` = 10 times the training labels of the smallest (issue: 10x and more)."""

    max_ratio: float = 10.0

    def run(self, view: AuditView) -> CheckResult:
        """One finding that names the tasks that are too small beside the largest."""
        counts = {
            task.name: [int((view.task_present(task) & (view.part == p)).sum()) for p in range(len(PART_NAMES))]
            for task in view.schema.tasks
            if all(c in view.arrow.column_names for c in task.columns) and task.columns
        }
        details = {"parts": list(PART_NAMES), "labels": counts}
        sizes = {name: parts[TRAIN] for name, parts in counts.items() if parts[TRAIN] > 0}
        if len(sizes) < 2:
            return CheckResult(details=details)
        largest = max(sizes, key=lambda n: sizes[n])
        small = sorted((n for n in sizes if sizes[largest] > self.max_ratio * sizes[n]), key=lambda n: sizes[n])
        if not small:
            return CheckResult(details=details)
        ratio = sizes[largest] / sizes[small[0]]
        found = Found(
            Severity.WARNING,
            f"Task '{largest}' has {sizes[largest]:,} training labels and '{small[0]}' has {sizes[small[0]]:,}: "
            f"{ratio:.0f} times fewer ({len(small)} of {len(sizes)} tasks are over {self.max_ratio:g} times smaller).",
            "In row-by-row batches the large task supplies nearly every gradient, and the small one is either "
            "drowned or overfitted before the large one is learned.",
            "sample batches by task (temperature or annealed sampling), or let early stopping act per task",
            measured=ratio,
            threshold=self.max_ratio,
            tasks=(*small, largest),
        )
        return CheckResult((found,), details)
