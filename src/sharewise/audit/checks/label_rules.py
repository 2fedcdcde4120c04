"""Labels that break a rule which nearly all other rows keep: exclusions, implications, parents and children."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.noise import wilson
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import AuditView, Flags
from sharewise.records import Severity

MAX_INDICATORS = 256


@dataclass(frozen=True)
class LabelRules(Check):
    """Rules are mined from the labels: where the class a of one task and the class b of another hardly ever meet.

    A rule "a excludes b" (which includes implications, "a means not-b", and children that exist for one value of the
    parent only) needs at least `min_support` = 50 rows expected if the two were independent, and at most
    `max_broken` = 2 % of that number observed, so that one row in fifty expected may break it (as far as chance can
    tell: the lower end of the share's 90 % interval counts). Its observed rows are the violators.
    (Confidence 0.995 with support 100, the usual form, is met by any rare class and says nothing.)
    """

    min_support: int = 50
    max_broken: float = 0.02

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each broken rule (at most 10, the most violated first); details: all rules by text."""
        names, flags, owner = self._indicators(view)
        if len(names) < 2:
            return CheckResult()
        both, known_a, known_b, known = _counts(flags)
        # Where neither task is ever absent with the other, these are plain counts of rows.
        expected = known_a * known_b / np.maximum(known, 1)
        rules = []
        for i in range(len(names)):
            for j in range(i):
                enough = expected[i, j] >= self.min_support and known[i, j] > 0
                if owner[i] != owner[j] and enough and self._keeps(both[i, j], expected[i, j]):
                    rules.append((i, j))
        broken = sorted((r for r in rules if both[r] > 0), key=lambda r: -both[r])
        found = [self._found(names, flags, owner, i, j, float(expected[i, j])) for i, j in broken[:10]]
        details = [
            {"rule": _rule(names, i, j), "broken": int(both[i, j]), "expected": float(expected[i, j])}
            for i, j in rules[:200]
        ]
        return CheckResult(tuple(found), {"rules": details})

    def _keeps(self, both: float, expected: float) -> bool:
        share = min(both / expected, 1.0)
        return wilson(share, int(expected))[0] <= self.max_broken

    def _indicators(self, view: AuditView) -> tuple[list[str], list[tuple[Flags, Flags]], list[str]]:
        """Every class of every small label column as (has it, is known), and the presence of partly labelled tasks."""
        names: list[str] = []
        flags: list[tuple[Flags, Flags]] = []
        owner: list[str] = []
        rows = np.ones(view.n_rows, dtype=bool)
        for labels in view.labels:
            if view.schema.tasks[labels.task].where is not None or not labels.is_class or len(labels.classes) > 20:
                continue
            for code, name in enumerate(labels.classes):
                names.append(f"{labels.column} = {name}")
                flags.append(((labels.values == code) & labels.present, labels.present))
                owner.append(labels.column)
            if not labels.present.all() and labels.present.any():
                names.append(f"{labels.column} is labelled")
                flags.append((labels.present, rows))
                owner.append(labels.column)
        return names[:MAX_INDICATORS], flags[:MAX_INDICATORS], owner[:MAX_INDICATORS]

    def _found(
        self, names: list[str], flags: list[tuple[Flags, Flags]], owner: list[str], i: int, j: int, expected: float
    ) -> Found:
        rows = np.flatnonzero(flags[i][0] & flags[j][0])
        return Found(
            Severity.WARNING,
            f"{len(rows):,} rows have both {names[j]} and {names[i]}, which nearly exclude each other: by chance "
            f"{expected:.0f} rows would.",
            "One of the two labels is probably wrong there; tasks that should agree then pull the shared parameters "
            "apart on these rows.",
            "settle the listed rows; suppress this if both labels can hold",
            measured=len(rows) / expected,
            threshold=0,
            tasks=tuple(dict.fromkeys((owner[j], owner[i]))),
            columns=tuple(dict.fromkeys((owner[j], owner[i]))),
            rows=rows,
        )


def _rule(names: list[str], i: int, j: int) -> str:
    return f"{names[j]} excludes {names[i]}"


def _counts(flags: list[tuple[Flags, Flags]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each pair, on the rows where both are known: rows with both, with the first, with the second, all."""
    n = len(flags)
    out = np.zeros((4, n, n))
    for start in range(0, len(flags[0][0]), 1 << 15):
        has = np.stack([h[start : start + (1 << 15)] for h, _ in flags]).astype(np.float32)
        known = np.stack([k[start : start + (1 << 15)] for _, k in flags]).astype(np.float32)
        out += np.stack([has @ has.T, has @ known.T, known @ has.T, known @ known.T])
    return out[0], out[1], out[2], out[3]
