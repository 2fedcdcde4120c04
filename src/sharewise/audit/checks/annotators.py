"""Labels that depend on who gave them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sharewise.audit.association import cramers_v, label_levels, table
from sharewise.audit.checks.base import Check
from sharewise.audit.forecasts import forecast
from sharewise.audit.noise import auc
from sharewise.audit.result import CheckResult, Found, Rows
from sharewise.audit.view import AuditView, Labels
from sharewise.records import Severity
from sharewise.tables.schema import InputKind

_WORDS = re.compile(
    r"annotat|rater|label+er|labelled_by|coder|reviewer|worker|grader|judge|expert|source|origin|site|centre|center|"
    r"lab$|batch|device|sensor|scanner|instrument|hospital|clinic|vendor|operator|technician|doctor"
)


@dataclass(frozen=True)
class Annotators(Check):
    """A label does not depend on its annotator or source beyond what the inputs explain.

    Columns outside the inputs with 2 to `max_levels` = 200 values whose name speaks of an annotator, site, source,
    batch or device. Effect: Cramer's V between the column and what an out-of-fold model from the inputs leaves
    unexplained (classes: right or wrong by class; numbers: quartile of the residual), at most `max_v` = 0.15; without
    a model, V with the label itself, at most twice that. One annotator apart: the model's ROC-AUC (binary tasks) on
    their labels is below `min_auc` = 0.5 with at least `min_rows` = 50 labels, though above 0.65 for the others.
    """

    quick: ClassVar[bool] = False
    max_levels: int = 200
    max_v: float = 0.15
    min_auc: float = 0.5
    min_rows: int = 50

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each label column and source column, one for each annotator who labels upside down."""
        found: list[Found] = []
        for name in view.other_names:
            if not self._is_source(view, name):
                continue
            codes, levels = view.codes(name)
            for labels in view.labels:
                rows = np.flatnonzero(labels.present & (codes >= 0))
                if len(rows) >= self.min_rows and len(np.unique(codes[rows])) > 1:
                    found += self._effect(view, labels, name, rows)
                    found += self._reversed(view, labels, name, [str(v) for v in levels])
        return CheckResult(tuple(found))

    def _is_source(self, view: AuditView, name: str) -> bool:
        wide = view.is_wide(name) or view.kind(name) is InputKind.DATETIME or view.is_split_like(name)
        if wide or not _WORDS.search(name.lower()) or name == view.schema.time:
            return False
        return 2 <= len(view.codes(name)[1]) <= self.max_levels

    def _effect(self, view: AuditView, labels: Labels, name: str, rows: Rows) -> list[Found]:
        codes = view.codes(name)[0].astype(np.int64)
        said = forecast(view, labels)
        if said is None:
            value, limit = cramers_v(table(codes[rows], label_levels(labels, rows))), 2 * self.max_v
        else:
            rows = said.rows[codes[said.rows] >= 0]
            inside = codes[said.rows] >= 0
            given, guess = labels.values[said.rows][inside], said.values[inside]
            if labels.is_class:
                n = len(labels.classes)
                left = given.astype(np.int64) * n + guess.argmax(1)
            else:
                residual = given - guess[:, 0]
                left = np.searchsorted(np.quantile(residual, [0.25, 0.5, 0.75]), residual)
            value, limit = self._beyond(codes[rows], left, labels, guess, given), self.max_v
        if value <= limit:
            return []
        return [
            Found(
                Severity.WARNING,
                f"What column '{name}' says goes with the label of {labels.title} beyond what the inputs explain "
                f"(Cramer's V {value:.2f}).",
                "Two standards of annotation in one task look like two tasks: the model learns their mean, and tasks "
                "with other annotators conflict with it.",
                "align the standards, add the source as an input, or judge the task by source",
                measured=value,
                threshold=limit,
                tasks=(labels.task,),
                columns=(name, labels.column),
            )
        ]

    def _beyond(self, codes: Rows, left: Rows, labels: Labels, guess: np.ndarray, given: np.ndarray) -> float:
        if not labels.is_class:
            return cramers_v(table(codes, left))
        # Within each predicted class, so that a source that has other inputs is not blamed for them.
        answer = guess.argmax(1)
        parts = [
            (int((answer == c).sum()), cramers_v(table(codes[answer == c], given[answer == c].astype(np.int64))))
            for c in np.unique(answer)
        ]
        return sum(n * v for n, v in parts) / max(sum(n for n, _ in parts), 1)

    def _reversed(self, view: AuditView, labels: Labels, name: str, levels: list[str]) -> list[Found]:
        said = forecast(view, labels)
        if said is None or len(labels.classes) != 2:
            return []
        codes = view.codes(name)[0][said.rows]
        positive, score = labels.values[said.rows] == 1, said.values[:, 1].astype(np.float64)
        found = []
        for code in np.unique(codes[codes >= 0]):
            mine = codes == code
            own, others = auc(score[mine], positive[mine]), auc(score[~mine], positive[~mine])
            if own is None or others is None or mine.sum() < self.min_rows:
                continue
            error = 0.5 / np.sqrt(max(min(positive[mine].sum(), (~positive[mine]).sum()), 1))
            if own + 1.645 * error < self.min_auc and others > 0.65:
                found.append(self._upside_down(labels, name, levels[int(code)], own, said.rows[mine]))
        return found

    def _upside_down(self, labels: Labels, name: str, level: str, own: float, rows: Rows) -> Found:
        return Found(
            Severity.WARNING,
            f"Where '{name}' is {level}, the labels of {labels.title} contradict the inputs (ROC-AUC {own:.2f}, below "
            "chance).",
            "One annotator who reads the classes the other way round cancels the task's gradient.",
            "ask what these labels mean; turn them round or leave them out",
            measured=own,
            threshold=self.min_auc,
            tasks=(labels.task,),
            columns=(name, labels.column),
            rows=rows,
        )
