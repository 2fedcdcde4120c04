"""Labels whose distribution moves: within the train period, and from train to test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.association import cramers_v, ks_distance, label_levels, table
from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.through_time import through_time
from sharewise.audit.view import TEST, TRAIN, AuditView, Labels
from sharewise.records import Severity


@dataclass(frozen=True)
class LabelDrift(Check):
    """Cramer's V between label (numbers: by quartile) and quarter of the train period at most `max_v` = 0.15, and V
    (numbers: Kolmogorov-Smirnov distance) between train and test labels at most `max_shift` = 0.15, each on at least
    `min_labels` = 100 labels and beyond what chance gives (V is bias-corrected; KS: 1.63 sqrt(1/n + 1/m), the 1 %
    point)."""

    max_v: float = 0.15
    max_shift: float = 0.15
    min_labels: int = 100

    def run(self, view: AuditView) -> CheckResult:
        """One finding for drift within train (with time), one for shift to test; details: both by label column, and
        the labels window by window (see `through_time`)."""
        quarter = self._quarters(view)
        drift, shift = {}, {}
        for labels in view.labels:
            if quarter is not None:
                rows = np.flatnonzero(labels.present & (quarter >= 0))
                if len(rows) >= self.min_labels:
                    drift[labels] = cramers_v(table(quarter[rows], label_levels(labels, rows)))
            moved = self._shift(view, labels)
            if moved is not None:
                shift[labels] = moved
        details = {
            "within_train": {k.key: v for k, v in drift.items()},
            "train_to_test": {k.key: v for k, v in shift.items()},
            "limits": {"within_train": self.max_v, "train_to_test": self.max_shift},
            **through_time(view, sorted(drift, key=lambda k: -max(drift[k], shift.get(k, 0.0)))),
        }
        within = self._found(drift, self.max_v, "moves within the train period", "quarter by quarter")
        return CheckResult(
            (*within, *self._found(shift, self.max_shift, "differs between train and test", "part by part")), details
        )

    def _quarters(self, view: AuditView) -> np.ndarray | None:
        if view.time is None:
            return None
        rows = np.flatnonzero((view.part == TRAIN) & ~np.isnan(view.time))
        quarter = np.full(view.n_rows, -1, dtype=np.int64)
        for i, part in enumerate(np.array_split(rows[np.argsort(view.time[rows], kind="stable")], 4)):
            quarter[part] = i
        return quarter

    def _shift(self, view: AuditView, labels: Labels) -> float | None:
        train = np.flatnonzero(labels.present & (view.part == TRAIN))
        test = np.flatnonzero(labels.present & (view.part == TEST))
        n, m = len(train), len(test)
        if min(n, m) < self.min_labels:
            return None
        if labels.is_class:
            rows = np.concatenate([train, test])
            side = np.repeat(np.array([0, 1]), [n, m])
            return cramers_v(table(side, label_levels(labels, rows)))
        distance = ks_distance(labels.values[train], labels.values[test])
        return distance if distance > 1.63 * np.sqrt(1 / n + 1 / m) else 0.0

    def _found(self, sizes: dict[Labels, float], limit: float, what: str, how: str) -> list[Found]:
        over = sorted((k for k in sizes if sizes[k] > limit), key=lambda k: -sizes[k])
        if not over:
            return []
        return [
            Found(
                Severity.WARNING,
                f"The label distribution of {len(over)} of {len(sizes)} label columns {what}, most of all that of "
                f"{over[0].title} (size of the effect {sizes[over[0]]:.2f}, seen {how}).",
                "Tasks that drift at different speeds pull a shared model to different times; a verdict holds for the "
                "mixture that the test rows show.",
                "train on the recent part, add the time's calendar parts as inputs, and watch these tasks in service",
                measured=sizes[over[0]],
                threshold=limit,
                tasks=tuple(dict.fromkeys(k.task for k in over)),
                columns=tuple(k.column for k in over),
            )
        ]
