"""Classes and categories that test holds and train does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import TEST, TRAIN, AuditView, Labels
from sharewise.records import Severity
from sharewise.tasks import TaskKind


@dataclass(frozen=True)
class UnseenClasses(Check):
    """Every class of the test rows occurs in train; an error where over `max_share` = 1 % of the labelled test rows
    (half the default margin, lost for sure) hold an unseen class. At most `max_unseen` = 5 % of the test rows have an
    unseen category in an input. A label that is not among the declared classes is an error at any share."""

    max_share: float = 0.01
    max_unseen: float = 0.05

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each label column or input that falls short, with its rows."""
        found = [f for labels in view.labels if labels.is_class for f in self._labels(view, labels)]
        for name in view.narrow_inputs:
            if not view.is_numeric(name) and (view.part == TEST).any():
                found += self._input(view, name)
        return CheckResult(tuple(found))

    def _labels(self, view: AuditView, labels: Labels) -> list[Found]:
        strange = np.flatnonzero(labels.present & (labels.values < 0))
        found = []
        if len(strange):
            found.append(self._undeclared(labels, strange))
        train = np.unique(labels.values[labels.present & (view.part == TRAIN)])
        test = labels.present & (view.part == TEST) & (labels.values >= 0)
        unseen = np.flatnonzero(test & ~np.isin(labels.values, train))
        if len(unseen) and labels.kind is not TaskKind.MULTILABEL:
            share = len(unseen) / int(test.sum())
            names = sorted({str(labels.classes[int(v)]) for v in labels.values[unseen]})
            found.append(
                Found(
                    Severity.ERROR if share > self.max_share and len(train) else Severity.WARNING,
                    f"{len(unseen):,} test rows of {labels.title} ({share:.2%}) have a class that no train row has: "
                    f"{', '.join(names[:5])}.",
                    "No model can be right on them, so that they blur every comparison of this task.",
                    "split by class (stratified), merge the class, or leave it out",
                    measured=share,
                    threshold=self.max_share,
                    tasks=(labels.task,),
                    columns=(labels.column,),
                    rows=unseen,
                )
            )
        return found

    def _undeclared(self, labels: Labels, rows: np.ndarray) -> Found:
        return Found(
            Severity.ERROR,
            f"{len(rows):,} labels of {labels.title} are not among its declared classes.",
            "Such rows have no output to be compared with.",
            "declare the class, or correct the labels",
            measured=len(rows),
            threshold=0,
            tasks=(labels.task,),
            columns=(labels.column,),
            rows=rows,
        )

    def _input(self, view: AuditView, name: str) -> list[Found]:
        codes, _ = view.codes(name)
        test = np.flatnonzero((view.part == TEST) & (codes >= 0))
        unseen = test[~np.isin(codes[test], np.unique(codes[view.part == TRAIN]))]
        share = len(unseen) / max(len(test), 1)
        if share <= self.max_unseen:
            return []
        return [
            Found(
                Severity.WARNING,
                f"{share:.1%} of the test rows have a category of input '{name}' that no train row has.",
                "All models treat such rows as 'missing'; a shared encoder does so for every task at once.",
                "group rare categories, or check how the split was made",
                measured=share,
                threshold=self.max_unseen,
                columns=(name,),
                rows=unseen,
            )
        ]
