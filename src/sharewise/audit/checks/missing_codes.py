"""Numbers and words that stand for 'missing'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.columns import Floats, is_text
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import AuditView
from sharewise.records import Severity
from sharewise.tables.schema import InputKind
from sharewise.tasks import TaskKind

_WORDS = {"?", "", "-", "--", "na", "n/a", "nan", "null", "none", "nil", "missing", "unknown", "undefined", "#n/a", "."}
_CODES = {-1.0, -9.0, -99.0, -200.0, -999.0, -9999.0, 9.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0}


@dataclass(frozen=True)
class MissingCodes(Check):
    """No number at the edge of a column is repeated and far from all others.

    Suspicious: the smallest or largest value, on at least `min_rows` = 5 and `min_share` = 0.1 % of the cells, with a
    gap to the next value of over `max_gap` = 1 interquartile range of the other values (half as much for the usual
    codes -1, 99, -999 and the like, and for 0 beside values of one sign), in a column of at least 20 values.
    """

    max_gap: float = 1.0
    min_rows: int = 5
    min_share: float = 0.001

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each column and code, with the rows that hold it."""
        found: list[Found] = []
        numbers = {k.column for k in view.labels if k.kind is TaskKind.REGRESSION}
        for name in (*view.narrow_inputs, *(c for c in view.label_columns if c in numbers)):
            if view.is_numeric(name):
                if view.kind(name) not in (InputKind.DATETIME, InputKind.BOOLEAN, InputKind.CATEGORICAL):
                    found += self._numbers(view, name)
            elif is_text(view.arrow.schema.field(name).type):
                found += self._words(view, name)
        return CheckResult(tuple(found))

    def _numbers(self, view: AuditView, name: str) -> list[Found]:
        values = view.numbers(name)
        known = values[~np.isnan(values)]
        distinct, counts = np.unique(known, return_counts=True)
        found = []
        if len(distinct) >= 20:
            for edge, next_value in ((0, 1), (len(distinct) - 1, len(distinct) - 2)):
                code, count = float(distinct[edge]), int(counts[edge])
                if count < max(self.min_rows, self.min_share * len(known)):
                    continue
                gap = abs(float(distinct[next_value]) - code) / _spread(known[known != code])
                if gap > self._limit(code, distinct):
                    found.append(self._found(view, name, f"{code:g}", np.flatnonzero(values == code), gap, len(known)))
        return found

    def _limit(self, code: float, distinct: Floats) -> float:
        one_sign = code == 0 and (distinct[1:] > 0).all() or code == 0 and (distinct[:-1] < 0).all()
        return self.max_gap / 2 if code in _CODES or one_sign else self.max_gap

    def _words(self, view: AuditView, name: str) -> list[Found]:
        codes, levels = view.codes(name)
        found = []
        for i, level in enumerate(levels):
            if str(level).strip().lower() in _WORDS and len(levels) > 2:
                rows = np.flatnonzero(codes == i)
                # 'none' is an answer in many questionnaires, so that words are pointed out, not accused.
                found.append(self._found(view, name, repr(level), rows, 0.0, view.n_rows, Severity.INFO))
        return found

    def _found(
        self, view: AuditView, name: str, code: str, rows: np.ndarray, gap: float, n: int, severity: Severity = Severity.WARNING
    ) -> Found:
        how = f", {gap:.1f} interquartile ranges from every other value" if gap else ""
        tasks = tuple(dict.fromkeys(k.task for k in view.labels if k.column == name))
        return Found(
            severity,
            f"Column '{name}' holds {code} on {len(rows):,} rows ({len(rows) / n:.2%}){how}: it may stand for 'missing'.",
            "Read as a number it dominates scaling, and as a target it is a wrong label that pulls on shared parameters.",
            "replace it by a missing value if it is a code",
            measured=gap,
            threshold=self.max_gap,
            tasks=tasks,
            columns=(name,),
            rows=rows,
        )


def _spread(values: Floats) -> float:
    low, high = np.quantile(values, [0.25, 0.75])
    # A column that is constant in its middle half is measured by its whole range.
    return float(high - low) or float(values.max() - values.min()) or 1.0
