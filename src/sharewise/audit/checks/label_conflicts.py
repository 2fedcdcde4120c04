"""Equal inputs with different labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.duplicates import chance_like, groups
from sharewise.audit.result import CheckResult, Found, Rows
from sharewise.audit.view import AuditView, Flags, Labels
from sharewise.records import Severity

_WHY = "Contradicting labels pull the shared parameters both ways and hide behind 'conflicting tasks'."
_REMEDY = "settle the listed groups, or drop the copies (--fix blank-conflicts)"


@dataclass(frozen=True)
class LabelConflicts(Check):
    """Rows with equal inputs have equal labels.

    Per task, on groups of equal inputs with at least two labelled rows: the floor is the share of all labelled rows
    that no model can get right, (sum of group size - largest class) / labelled rows; warning above `max_conflicts`
    = 0, error where the floor is over `max_floor` = 2 % (the default margin). Numbers: a row conflicts if it is more
    than `max_spread` = 0.1 standard deviations of the task from its group's median. Groups that coarse inputs make by
    chance are counted in the details but not accused. With fewer than `min_rows` = 10 rows in groups nothing is said.
    """

    max_conflicts: float = 0.0
    max_floor: float = 0.02
    max_spread: float = 0.1
    min_rows: int = 10

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each label column with conflicts; details: rate and floor of each."""
        if not view.input_names:
            return CheckResult(not_computable=("the schema names no input that the table has",))
        rows, starts = groups(view.input_hash)
        group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        chance = chance_like(view, rows)
        found: list[Found] = []
        mild: dict[Labels, tuple[float, Rows]] = {}
        details = {}
        for labels in view.labels:
            known = labels.present[rows]
            everyone = self.wrong(labels, rows[known], group[known])
            clear = known & ~chance
            wrong = self.wrong(labels, rows[clear], group[clear])
            n = max(int(labels.present.sum()), 1)
            details[labels.key] = {
                "rows_in_groups": int(known.sum()),
                "floor_all": float(everyone.sum() / n),
                "floor_clear": float(wrong.sum() / n),
            }
            if wrong.any() and clear.sum() >= self.min_rows:
                floor = float(wrong.sum()) / n
                accused = np.isin(group[clear], group[clear][wrong])
                listed = rows[clear][accused]
                if floor > self.max_floor:
                    found.append(self._severe(labels, listed, floor))
                else:
                    mild[labels] = floor, listed
        return CheckResult((*found, *self._mild(mild)), {"labels": details})

    def wrong(self, labels: Labels, rows: Rows, group: Rows) -> Flags:
        """Rows whose label differs from the most frequent class, or the median, of their group."""
        values = labels.values[rows]
        if not len(rows):
            return np.zeros(0, dtype=bool)
        if labels.is_class:
            n = len(labels.classes) + 1
            cell, inverse, counts = np.unique(
                group * n + values.astype(np.int64), return_inverse=True, return_counts=True
            )
            top = np.zeros(int(group.max()) + 1, dtype=np.int64)
            np.maximum.at(top, cell // n, counts)
            # Of equally frequent classes the first stays, so that a pair that disagrees has one wrong row.
            best = np.full(len(top), -1, dtype=np.int64)
            for i in np.flatnonzero(counts == top[cell // n])[::-1]:
                best[cell[i] // n] = cell[i]
            differs: Flags = cell[inverse] != best[group]
            return differs
        order = np.lexsort([values, group])
        first = np.searchsorted(group[order], np.arange(int(group.max()) + 1))
        size = np.bincount(group, minlength=len(first))
        middle = values[order][np.minimum(first + (np.maximum(size, 1) - 1) // 2, len(order) - 1)]
        spread = labels.values[labels.present].std()
        far: Flags = np.abs(values - middle[group]) > self.max_spread * spread
        return far

    def _severe(self, labels: Labels, rows: Rows, floor: float) -> Found:
        return Found(
            Severity.ERROR,
            f"{len(rows):,} rows have the inputs of another row but another label of {labels.title}: no model can be "
            f"right on {floor:.2%} of its labelled rows.",
            _WHY,
            _REMEDY,
            measured=floor,
            threshold=self.max_floor,
            tasks=(labels.task,),
            columns=(labels.column,),
            rows=rows,
        )

    def _mild(self, mild: dict[Labels, tuple[float, Rows]]) -> list[Found]:
        if not mild:
            return []
        order = sorted(mild, key=lambda k: -mild[k][0])
        worst = mild[order[0]][0]
        rows = np.unique(np.concatenate([mild[k][1] for k in order]))
        return [
            Found(
                Severity.WARNING,
                f"{len(rows):,} rows have the inputs of another row but another label, in {len(mild)} label columns; "
                f"most in {order[0].title}, where no model can be right on {worst:.2%} of the labelled rows.",
                _WHY,
                _REMEDY,
                measured=worst,
                threshold=self.max_conflicts,
                tasks=tuple(dict.fromkeys(k.task for k in order)),
                columns=tuple(k.column for k in order),
                rows=rows,
            )
        ]


def contradicted(view: AuditView) -> dict[Labels, Rows]:
    """Rows of each label column whose label another row of equal inputs contradicts; groups made by chance left out."""
    check = LabelConflicts()
    rows, starts = groups(view.input_hash) if view.input_names else (np.empty(0, np.int64), np.zeros(1, np.int64))
    group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    clear = ~chance_like(view, rows)
    found = {}
    for labels in view.labels:
        judged = clear & labels.present[rows]
        wrong = check.wrong(labels, rows[judged], group[judged])
        if wrong.any():
            found[labels] = rows[judged][np.isin(group[judged], group[judged][wrong])]
    return found
