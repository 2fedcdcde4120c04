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
        """One finding for each label column and part that falls short."""
        found = []
        for labels in view.labels:
            for part in (TRAIN, VALIDATION, TEST):
                rows = view.part == part
                if rows.any():
                    found += self._part(labels, part, np.unique(labels.values[rows & labels.present]))
        return CheckResult(tuple(found))

    def _part(self, labels: Labels, part: int, distinct: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[Found]:
        if len(distinct) >= self.min_distinct:
            return []
        what = "no label" if len(distinct) == 0 else "one class" if labels.is_class else "one value"
        # One dead label of many does not stop a multilabel task, and validation rows can be carved anew.
        severe = part != VALIDATION and labels.kind is not TaskKind.MULTILABEL
        effect = {
            TRAIN: "nothing can be learned, and its gradient would only add noise to the shared parameters",
            VALIDATION: "no epoch, candidate or parameter can be chosen for it",
            TEST: "its score is undefined, so that no verdict on sharing can be given",
        }[part]
        return [
            Found(
                Severity.ERROR if severe else Severity.WARNING,
                f"Task {labels.title} has {what} in the {PART_NAMES[part]} part.",
                f"With fewer than {self.min_distinct} different labels {effect}.",
                "set the task aside, or split again so that every part has labels of each kind",
                measured=len(distinct),
                threshold=self.min_distinct,
                tasks=(labels.task,),
                columns=(labels.column,),
            )
        ]
