"""One entity (patient, station, author) on both sides of the split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import TEST, TRAIN, AuditView
from sharewise.records import Severity
from sharewise.tables.schema import InputKind


@dataclass(frozen=True)
class SplitEntities(Check):
    """No value of the declared entity column occurs in train and in test (`max_share` = 0 of the test rows).

    Undeclared columns that look like an entity are pointed out: a category or whole number, not a small set, with
    `min_repeat` = 2 or more rows a value on average, at least 50 values, of which over half of the test rows' values
    are also in train.
    """

    max_share: float = 0.0
    min_repeat: float = 2.0

    def run(self, view: AuditView) -> CheckResult:
        """An error for the declared entity, a warning for a declared group, info for columns that look like one."""
        found: list[Found] = []
        entity, group = view.schema.entity, view.schema.group
        if not (view.part == TEST).any():
            return CheckResult(not_computable=("the split has no test rows",))
        if entity is not None and entity in view.arrow.column_names:
            found += self._overlap(view, entity, Severity.ERROR, "entity")
        elif group is not None and group in view.arrow.column_names:
            by_design = group in view.input_names or any(t.where is not None for t in view.schema.tasks)
            found += self._overlap(view, group, Severity.INFO if by_design else Severity.WARNING, "group")
        for name in (*view.narrow_inputs, *view.other_names):
            if name not in (entity, group, view.schema.time) and self._looks_like(view, name):
                found += self._overlap(view, name, Severity.INFO, "undeclared entity")
        return CheckResult(tuple(found))

    def _looks_like(self, view: AuditView, name: str) -> bool:
        if view.is_wide(name) or view.kind(name) is InputKind.DATETIME or view.is_split_like(name):
            return False
        named = name.lower().endswith(("id", "_no", "index", "key", "code"))
        if view.is_numeric(name) and not named:
            return False
        cells = view.hashes(name)[~view.missing(name)]
        n = len(np.unique(cells))
        return n >= 50 and len(cells) / max(n, 1) >= self.min_repeat

    def _overlap(self, view: AuditView, name: str, severity: Severity, role: str) -> list[Found]:
        cells, known = view.hashes(name), ~view.missing(name)
        test = np.flatnonzero((view.part == TEST) & known)
        shared = test[np.isin(cells[test], np.unique(cells[(view.part == TRAIN) & known]))]
        share = len(shared) / max(len(test), 1)
        if share <= (0.5 if role == "undeclared entity" else self.max_share):
            return []
        n = len(np.unique(cells[shared]))
        return [
            Found(
                severity,
                f"{n:,} values of the {role} column '{name}' are in train and in test; they cover {share:.1%} of the "
                "test rows.",
                "What a model learns of an entity it knows again in test, for all tasks at once; a score then says "
                "how well entities are remembered, not how well new ones are predicted.",
                "split by the entity (--fix group-split), or suppress this if the same entities will be asked about",
                measured=share,
                threshold=self.max_share,
                columns=(name,),
                rows=shared,
            )
        ]
