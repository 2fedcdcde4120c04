"""Rows that are nearly equal: on both sides of the split, or with different labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.columns import Floats
from sharewise.audit.duplicates import is_coarse
from sharewise.audit.neighbours import near_pairs
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import TEST, TRAIN, AuditView, Labels
from sharewise.records import Severity


@dataclass(frozen=True)
class NearDuplicates(Check):
    """At most `max_share` = 1 % of the test rows have a near twin in train, and near twins do not disagree on a label
    as often as any two rows do.

    Near: texts of Jaccard similarity 0.8 or more, numbers within 0.13 of the median distance to the nearest neighbour
    (see `neighbours`). Disagreement: among at least `min_pairs` = 30 near pairs labelled alike, over `max_ratio` = 50 %
    of the disagreement of random pairs.
    """

    quick: ClassVar[bool] = False
    max_share: float = 0.01
    max_ratio: float = 0.5
    min_pairs: int = 30

    def run(self, view: AuditView) -> CheckResult:
        """One finding for the split, one for each label column on which near twins disagree."""
        if is_coarse(view):
            return CheckResult(not_computable=("the inputs are so coarse that rows are equal by chance",))
        pairs = near_pairs(view)
        details = {"pairs": len(pairs), "rows": len(np.unique(pairs))}
        found = [f for labels in view.labels for f in self._labels(view, labels, pairs)]
        return CheckResult((*self._split(view, pairs), *found), details)

    def _split(self, view: AuditView, pairs: np.ndarray) -> list[Found]:
        part = view.part[pairs]
        rows = np.unique(
            np.concatenate(
                [
                    pairs[(part[:, 0] == TEST) & (part[:, 1] == TRAIN), 0],
                    pairs[(part[:, 1] == TEST) & (part[:, 0] == TRAIN), 1],
                ]
            )
        )
        share = len(rows) / max(int((view.part == TEST).sum()), 1)
        if share <= self.max_share:
            return []
        return [
            Found(
                Severity.WARNING,
                f"{len(rows):,} test rows ({share:.1%}) are nearly equal to a train row.",
                "A model that remembers its training rows, as a large shared one can, looks better on them than it is.",
                "keep near copies in one part of the split (--fix group-split)",
                measured=share,
                threshold=self.max_share,
                rows=rows,
            )
        ]

    def _labels(self, view: AuditView, labels: Labels, pairs: np.ndarray) -> list[Found]:
        both = pairs[labels.present[pairs].all(1)]
        known = np.flatnonzero(labels.present)
        if len(both) < self.min_pairs:
            return []
        shuffled = view.rng("strangers", labels.column).permutation(known)
        near = self._disagreement(labels, both[:, 0], both[:, 1])
        far = self._disagreement(labels, known, shuffled)
        ratio = float(near.mean() / max(far.mean(), 1e-12))
        # Fewer than five expected disagreements say nothing about rare classes.
        if ratio <= self.max_ratio or far.mean() * len(both) < 5:
            return []
        rows = np.unique(both[near > far.mean()])
        return [
            Found(
                Severity.WARNING,
                f"Nearly equal rows disagree on {labels.title} {ratio:.0%} as much as any two rows do "
                f"({len(both):,} pairs).",
                "Either the label is noise or the inputs lack what decides it; a shared trunk cannot supply that.",
                "look at the listed rows side by side",
                measured=ratio,
                threshold=self.max_ratio,
                tasks=(labels.task,),
                columns=(labels.column,),
                rows=rows,
            )
        ]

    def _disagreement(self, labels: Labels, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        gap: Floats = np.abs(labels.values[a] - labels.values[b])
        return (gap > 0).astype(np.float64) if labels.is_class else gap
