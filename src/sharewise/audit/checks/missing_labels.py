"""Labels that are not missing at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.forecasts import presence_forecast
from sharewise.audit.noise import auc
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.skill import column_skill, label_bins
from sharewise.audit.view import AuditView, Flags, Labels
from sharewise.records import Severity
from sharewise.tasks import TaskKind


@dataclass(frozen=True)
class MissingLabels(Check):
    """Whether a task is labelled can be predicted neither from the inputs (out-of-fold ROC-AUC at most `max_auc` =
    0.65) nor from another task's label (skill at most `max_skill` = 0.5). For tasks of which at least `min_rows` = 50
    rows are labelled and 50 are not.

    A warning, never an error: absence that depends on the inputs alone leaves the conditional distribution of the
    labels as it is (missing at random), and biases rates, calibration and the comparison of tasks only.
    """

    quick: ClassVar[bool] = False
    max_auc: float = 0.65
    max_skill: float = 0.5
    min_rows: int = 50

    def run(self, view: AuditView) -> CheckResult:
        """One finding for inputs, one for each pair of tasks; details: ROC-AUC by task."""
        areas: dict[str, float] = {}
        found: list[Found] = []
        known: dict[bytes, float] = {}
        for task in view.schema.tasks:
            if task.where is not None or task.kind is TaskKind.RECONSTRUCTION:
                continue
            present = view.task_present(task)
            if min(int(present.sum()), int((~present).sum())) < self.min_rows:
                continue
            pattern = np.packbits(present).tobytes()  # tasks that are labelled together are predicted once
            if pattern not in known:
                known[pattern] = self._area(view, task.name, present)
            areas[task.name] = known[pattern]
            found += self._by_labels(view, task.name, present)
        over = sorted((n for n in areas if areas[n] > self.max_auc), key=lambda n: -areas[n])
        if over:
            found.insert(0, self._by_inputs(over, areas))
        return CheckResult(tuple(found), {"auc": areas, "limit": self.max_auc})

    def _area(self, view: AuditView, name: str, present: Flags) -> float:
        said = presence_forecast(view, name, present)
        if said is None:
            return 0.5
        return auc(said.values[:, 1].astype(np.float64), present[said.rows]) or 0.5

    def _by_inputs(self, over: list[str], areas: dict[str, float]) -> Found:
        return Found(
            Severity.WARNING,
            f"Whether {len(over)} task{'s are' if len(over) > 1 else ' is'} labelled can be predicted from the inputs, "
            f"best for '{over[0]}' (ROC-AUC {areas[over[0]]:.2f}).",
            "Such tasks see other inputs than the rest: rates, calibration and gains measured on labelled rows do not "
            "hold for the others, and a conflict between tasks may be one between populations.",
            "weigh rows by the inverse chance of being labelled, or judge each task on its own kind of rows only",
            measured=areas[over[0]],
            threshold=self.max_auc,
            tasks=tuple(over),
        )

    def _by_labels(self, view: AuditView, name: str, present: Flags) -> list[Found]:
        found = []
        for other in view.labels:
            both = other.present
            if other.task == name or min(int((present & both).sum()), int((~present & both).sum())) < self.min_rows:
                continue
            target = Labels(name, name, TaskKind.BINARY, present.astype(np.float64), both, (0, 1))
            skill = column_skill(view, label_bins(view, other), target, 20_000)
            if skill is not None and skill.value > self.max_skill:
                found.append(
                    Found(
                        Severity.INFO,
                        f"Whether '{name}' is labelled is predicted by the label of {other.title} with a skill of "
                        f"{skill.value:.2f}.",
                        "The one task is asked only where the other has a certain answer, as in a hierarchy: its "
                        "labels say nothing about the rows where it was not asked.",
                        "predict the first, and use the second only where it applies",
                        measured=skill.value,
                        threshold=self.max_skill,
                        tasks=(name, other.task),
                        columns=(other.column,),
                    )
                )
        return found
