"""Inputs that stand still for a long time: sensors that were off, or columns that were filled later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.columns import Floats
from sharewise.audit.result import CheckResult, Found, Rows
from sharewise.audit.view import AuditView
from sharewise.records import Severity


@dataclass(frozen=True)
class FrozenInputs(Check):
    """In time order (within the declared group) no numeric input holds one number for over `max_share` = 5 % of its
    rows on end while it changes at more than `min_moves` = 50 % of the steps elsewhere."""

    max_share: float = 0.05
    min_moves: float = 0.5

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each input, with the rows of the longest standstill."""
        if view.time is None:
            return CheckResult()
        keys: list[np.ndarray] = [view.time]
        if view.schema.group is not None and view.schema.group in view.arrow.column_names:
            keys.append(view.codes(view.schema.group)[0])
        order = np.lexsort(keys)
        found = []
        for name in view.numeric_inputs:
            found += self._input(name, view.numbers(name)[order], order)
        return CheckResult(tuple(found))

    def _input(self, name: str, values: Floats, order: Rows) -> list[Found]:
        known = ~np.isnan(values)
        values, order = values[known], order[known]
        if len(values) < 100:
            return []
        starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
        lengths = np.diff(np.append(starts, len(values)))
        at = int(lengths.argmax())
        longest = int(lengths[at])
        moves = (len(starts) - 1) / max(len(values) - longest, 1)
        share = longest / len(values)
        if share <= self.max_share or moves <= self.min_moves:
            return []
        rows = order[starts[at] : starts[at] + longest]
        return [
            Found(
                Severity.WARNING,
                f"Input '{name}' holds {values[starts[at]]:g} for {longest:,} rows on end ({share:.1%}), and "
                f"changes at {moves:.0%} of the steps elsewhere.",
                "It was not measured then: all tasks learn a relation to a constant in one period and another later.",
                "mark these cells as missing, or start the table where the input starts",
                measured=share,
                threshold=self.max_share,
                columns=(name,),
                rows=rows,
            )
        ]
