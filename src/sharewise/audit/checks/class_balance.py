"""Classes with very few rows beside the others, and targets that hold one number nearly always."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import TRAIN, AuditView, Labels
from sharewise.records import Severity


@dataclass(frozen=True)
class ClassBalance(Check):
    """In train the largest class has at most `max_ratio` = 10 times the rows of the smallest (deepchecks: 0.1), every
    class has at least `min_rows` = 50, and no number takes more than `max_share` = 90 % of a regression target."""

    max_ratio: float = 10.0
    min_rows: int = 50
    max_share: float = 0.9

    def run(self, view: AuditView) -> CheckResult:
        """At most three findings: ratios, tiny classes, one-valued targets; each names all its tasks."""
        train = view.part == TRAIN
        ratios: dict[Labels, float] = {}
        tiny: dict[Labels, int] = {}
        shares: dict[Labels, float] = {}
        details = {}
        for labels in view.labels:
            values = labels.values[train & labels.present]
            if len(values) < 2:
                continue
            if not labels.is_class:
                shares[labels] = float(np.unique(values, return_counts=True)[1].max() / len(values))
                continue
            counts = np.bincount(values[values >= 0].astype(np.int64), minlength=len(labels.classes))
            details[labels.key] = {str(c): int(n) for c, n in zip(labels.classes, counts, strict=True)}
            if (counts > 0).sum() >= 2:
                ratios[labels] = float(counts.max() / counts[counts > 0].min())
                tiny[labels] = int(counts[counts > 0].min())
        return CheckResult((*self._ratio(ratios), *self._tiny(tiny), *self._share(shares)), {"counts": details})

    def _ratio(self, ratios: dict[Labels, float]) -> list[Found]:
        over = sorted((k for k in ratios if ratios[k] > self.max_ratio), key=lambda k: -ratios[k])
        if not over:
            return []
        return [
            Found(
                Severity.WARNING,
                f"In {len(over)} of {len(ratios)} label columns the largest class has over {self.max_ratio:g} times "
                f"the training rows of the smallest; the worst is {over[0].title} with {ratios[over[0]]:.0f} times.",
                "A task with rare classes gets few informative gradients, so that sharing can hide that it is not "
                "learned at all, and accuracy cannot show it.",
                "use class weights and a metric that rare classes can move (ROC-AUC, average precision, macro F1)",
                measured=ratios[over[0]],
                threshold=self.max_ratio,
                tasks=tuple(dict.fromkeys(k.task for k in over)),
                columns=tuple(k.column for k in over),
            )
        ]

    def _tiny(self, tiny: dict[Labels, int]) -> list[Found]:
        under = sorted((k for k in tiny if tiny[k] < self.min_rows), key=lambda k: tiny[k])
        if not under:
            return []
        return [
            Found(
                Severity.WARNING,
                f"In {len(under)} of {len(tiny)} label columns a class has fewer than {self.min_rows} training rows; "
                f"the fewest are {tiny[under[0]]} in {under[0].title}.",
                "So few rows are learned by heart; what a shared model adds or costs there cannot be told from luck.",
                "merge rare classes, collect more labels, or read that task's verdict with its interval",
                measured=tiny[under[0]],
                threshold=self.min_rows,
                tasks=tuple(dict.fromkeys(k.task for k in under)),
                columns=tuple(k.column for k in under),
            )
        ]

    def _share(self, shares: dict[Labels, float]) -> list[Found]:
        over = sorted((k for k in shares if shares[k] > self.max_share), key=lambda k: -shares[k])
        return [
            Found(
                Severity.WARNING,
                f"Task {k.title} is a regression, but {shares[k]:.1%} of its training labels are one number.",
                "Its squared-error gradient comes from a few rows, and their size, not the task, sets the pull on "
                "the shared parameters.",
                "declare it as a classification (that number or not), or as two tasks",
                measured=shares[k],
                threshold=self.max_share,
                tasks=(k.task,),
                columns=(k.column,),
            )
            for k in over
        ]
