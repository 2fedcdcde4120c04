"""Inputs that name the row, and rows whose order or id gives a label away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sharewise.audit.checks.base import Check
from sharewise.audit.columns import quantile_bins
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.skill import column_skill
from sharewise.audit.view import AuditView
from sharewise.records import Severity
from sharewise.tables.schema import InputKind


@dataclass(frozen=True)
class IdColumns(Check):
    """No input is an id: a category or whole number that is different on more than `max_unique` = 95 % of at least
    `min_rows` = 50 rows. Without a time column the position of a row predicts no label with a skill above
    `max_skill` = 0.5 (a sorted file; with time, order is time and `label_drift` speaks)."""

    max_unique: float = 0.95
    min_rows: int = 50
    max_skill: float = 0.5

    def run(self, view: AuditView) -> CheckResult:
        """A finding for each id-like input and for each label that the row order gives away."""
        found = [f for name in view.narrow_inputs for f in self._input(view, name)]
        if view.time is None:
            found += self._order(view)
        return CheckResult(tuple(found))

    def _input(self, view: AuditView, name: str) -> list[Found]:
        kind = view.arrow.schema.field(name).type
        known = ~view.missing(name)
        whole = pa.types.is_integer(kind) or view.kind(name) is InputKind.CATEGORICAL
        if not whole and pa.types.is_floating(kind):
            values = view.numbers(name)[known]
            whole = bool(len(values)) and bool((values == np.round(values)).all())
        n = int(known.sum())
        if not whole or n < self.min_rows:
            return []
        share = len(np.unique(view.hashes(name)[known])) / n
        if share <= self.max_unique:
            return []
        return [
            Found(
                Severity.WARNING,
                f"Input '{name}' has {share:.1%} different values among {n:,} cells: it names the row.",
                "A model can only learn ids by heart, and a shared encoder spends its width on them for all tasks.",
                "declare it as the row id, or leave it out of the inputs",
                measured=share,
                threshold=self.max_unique,
                columns=(name,),
            )
        ]

    def _order(self, view: AuditView) -> list[Found]:
        position = quantile_bins(np.arange(view.n_rows, dtype=np.float64), 64)
        found = []
        for labels in view.labels:
            skill = column_skill(view, position, labels)
            if skill is not None and skill.value - 1.645 * skill.standard_error > self.max_skill:
                found.append(
                    Found(
                        Severity.WARNING,
                        f"The position of a row predicts {labels.title} with a skill of {skill.value:.2f}.",
                        "Rows sorted by a label make ids and order informative, and a split by order unrepresentative.",
                        "shuffle the rows before splitting by order, and keep ids out of the inputs",
                        measured=skill.value,
                        threshold=self.max_skill,
                        tasks=(labels.task,),
                        columns=(labels.column,),
                    )
                )
        return found
