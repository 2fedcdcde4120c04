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
        """One finding for each code, with all its columns and the rows that hold it in the first of them."""
        targets = {k.column for k in view.labels if k.kind is TaskKind.REGRESSION}
        codes: dict[float, list[tuple[float, str, np.ndarray]]] = {}
        words: list[Found] = []
        for name in (*view.narrow_inputs, *(c for c in view.label_columns if c in targets)):
            if view.is_numeric(name):
                if view.kind(name) not in (InputKind.DATETIME, InputKind.BOOLEAN, InputKind.CATEGORICAL):
                    for code, gap, rows in self._numbers(view, name):
                        codes.setdefault(code, []).append((gap, name, rows))
            elif is_text(view.arrow.schema.field(name).type):
                words += self._words(view, name)
        return CheckResult((*(self._code(view, code, held) for code, held in codes.items()), *words))

    def _numbers(self, view: AuditView, name: str) -> list[tuple[float, float, np.ndarray]]:
        values = view.numbers(name)
        known = values[~np.isnan(values)]
        distinct, counts = np.unique(known, return_counts=True)
        found: list[tuple[float, float, np.ndarray]] = []
        if len(distinct) < 20:
            return found
        step = float(np.median(np.diff(distinct)))
        for edge, beside in ((0, 1), (len(distinct) - 1, len(distinct) - 2)):
            code, count = float(distinct[edge]), int(counts[edge])
            if count < max(self.min_rows, self.min_share * len(known)):
                continue
            distance = abs(float(distinct[beside]) - code)
            gap = distance / _spread(known[known != code])
            # On a lattice (counts, grades) one step is no gap, however narrow the column.
            if gap > self._limit(code, distinct) and distance > 3 * step:
                found.append((code, gap, np.flatnonzero(values == code)))
        return found

    def _limit(self, code: float, distinct: Floats) -> float:
        one_sign = (code == 0 and (distinct[1:] > 0).all()) or (code == 0 and (distinct[:-1] < 0).all())
        return self.max_gap / 2 if code in _CODES or one_sign else self.max_gap

    def _words(self, view: AuditView, name: str) -> list[Found]:
        codes, levels = view.codes(name)
        found = []
        for i, level in enumerate(levels):
            if str(level).strip().lower() in _WORDS and len(levels) > 2:
                rows = np.flatnonzero(codes == i)
                fact = f"Column '{name}' holds {level!r} on {len(rows):,} rows ({len(rows) / view.n_rows:.2%})"
                # 'none' is an answer in many questionnaires, so that words are pointed out, not accused.
                found.append(self._found(view, fact, (name,), rows, 0.0, Severity.INFO))
        return found

    def _code(self, view: AuditView, code: float, held: list[tuple[float, str, np.ndarray]]) -> Found:
        held = sorted(held, key=lambda item: (-item[0], item[1]))
        gap, name, rows = held[0]
        more = f" (and {len(held) - 1} other columns do)" if len(held) > 1 else ""
        fact = (
            f"Column '{name}' holds {code:g} on {len(rows):,} rows ({len(rows) / view.n_rows:.2%}), {gap:.1f} "
            f"interquartile ranges from every other value{more}"
        )
        return self._found(view, fact, tuple(n for _, n, _ in held), rows, gap, Severity.WARNING)

    def _found(
        self, view: AuditView, fact: str, columns: tuple[str, ...], rows: np.ndarray, gap: float, severity: Severity
    ) -> Found:
        return Found(
            severity,
            f"{fact}: it may stand for 'missing'.",
            "As a number it dominates scaling, and as a target it is a wrong label that pulls on shared parameters.",
            "replace it by a missing value if it is a code",
            measured=gap,
            threshold=self.max_gap,
            tasks=tuple(dict.fromkeys(k.task for k in view.labels if k.column in columns)),
            columns=columns,
            rows=rows,
        )


def _spread(values: Floats) -> float:
    low, high = np.quantile(values, [0.25, 0.75])
    # A column that is constant in its middle half is measured by its whole range.
    return float(high - low) or float(values.max() - values.min()) or 1.0
