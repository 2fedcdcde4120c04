"""Tasks that cannot be learned or judged at all: no labels, one class, or a constant, in some part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import PART_NAMES, TEST, TRAIN, VALIDATION, AuditView, Labels
from sharewise.records import Severity
from sharewise.tasks import TaskKind


@dataclass(frozen=True)
class DegenerateTasks(Check):
    """A task needs at least `min_distinct` = 2 different labels in every part (with one there is no score)."""

    min_distinct: int = 2

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each part, severity and way in which label columns fall short there."""
        short: dict[tuple[int, bool, str], list[tuple[Labels, int]]] = {}
        for labels in view.labels:
            for part in (TRAIN, VALIDATION, TEST):
                rows = view.part == part
                n = len(np.unique(labels.values[rows & labels.present])) if rows.any() else self.min_distinct
                if n < self.min_distinct:
                    what = "no label" if n == 0 else "one class" if labels.is_class else "one value"
                    # One dead label of many does not stop a multilabel task, and validation rows can be carved anew.
                    severe = part != VALIDATION and labels.kind is not TaskKind.MULTILABEL
                    short.setdefault((part, severe, what), []).append((labels, n))
        return CheckResult(tuple(self._found(*key, held) for key, held in short.items()))

    def _found(self, part: int, severe: bool, what: str, held: list[tuple[Labels, int]]) -> Found:
        effect = {
            TRAIN: "nothing can be learned, and its gradient would only add noise to the shared parameters",
            VALIDATION: "no epoch, candidate or parameter can be chosen for it",
            TEST: "its score is undefined, so that no verdict on sharing can be given",
        }[part]
        labels = [k for k, _ in held]
        if len(labels) == 1:
            who = f"Task {labels[0].title} has"
        else:
            more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
            who = f"{len(labels)} tasks ({', '.join(k.title for k in labels[:5])}{more}) have"
        return Found(
            Severity.ERROR if severe else Severity.WARNING,
            f"{who} {what} in the {PART_NAMES[part]} part.",
            f"With fewer than {self.min_distinct} different labels {effect}.",
            "set the task aside, or split again so that every part has labels of each kind",
            measured=held[0][1],
            threshold=self.min_distinct,
            tasks=tuple(dict.fromkeys(k.task for k in labels)),
            columns=tuple(dict.fromkeys(k.column for k in labels)),
        )
