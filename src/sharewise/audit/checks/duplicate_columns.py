"""Inputs that say the same thing as another input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.columns import mix
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import AuditView
from sharewise.records import Severity


@dataclass(frozen=True)
class DuplicateColumns(Check):
    """No two inputs hold the same cells, categories up to renaming, or numbers up to scale and shift
    (|correlation| at least `max_correlation` = 0.99999 with the same cells missing)."""

    max_correlation: float = 0.99999

    def run(self, view: AuditView) -> CheckResult:
        """A warning for equal or renamed columns, info for numbers in another unit."""
        same: dict[int, list[str]] = {}
        for name in view.input_names:
            if not view.is_wide(name):
                same.setdefault(_fingerprint(view, name), []).append(name)
        found = [
            self._found(names, "the same values", Severity.WARNING, 1.0) for names in same.values() if len(names) > 1
        ]
        known = {n for names in same.values() for n in names[1:]}
        found += self._affine(view, [n for n in view.numeric_inputs if n not in known])
        return CheckResult(tuple(found))

    def _affine(self, view: AuditView, names: list[str]) -> list[Found]:
        rows = view.sample[:: max(1, len(view.sample) // 5000)]
        kept = [n for n in names if len(np.unique(view.numbers(n)[rows])) > 2]
        if len(kept) < 2:
            return []
        values = np.stack([view.numbers(n)[rows] for n in kept], axis=1)
        gone = np.isnan(values)
        spread = np.nanstd(values, axis=0)
        scaled = np.where(gone, 0, (values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, 1))
        correlation = np.abs(scaled.T @ scaled) / np.maximum(
            np.sqrt(np.outer((scaled**2).sum(0), (scaled**2).sum(0))), 1e-12
        )
        pairs = np.argwhere(np.triu(correlation >= self.max_correlation, 1))
        return [
            self._found([kept[i], kept[j]], "the same number in another unit", Severity.INFO, float(correlation[i, j]))
            for i, j in pairs.tolist()
            if (gone[:, i] == gone[:, j]).all()
        ]

    def _found(self, names: list[str], fact: str, severity: Severity, measured: float) -> Found:
        return Found(
            severity,
            f"Inputs {', '.join(repr(n) for n in names)} hold {fact}.",
            "The shared encoder weighs that information twice, and explanations split it between the copies.",
            "keep one of them",
            measured=measured,
            threshold=self.max_correlation,
            columns=tuple(names),
        )


def _fingerprint(view: AuditView, name: str) -> int:
    """Equal for columns that are equal up to a renaming of categories; numbers must be equal themselves."""
    if view.is_numeric(name) and name in view.numeric_inputs:
        cells = view.numbers(name).astype(np.float32)
        bits = np.where(np.isnan(cells), np.float32(-7.5e33), cells).view(np.uint32).astype(np.uint64)
    else:
        codes = view.codes(name)[0]
        _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
        bits = first[inverse].astype(np.uint64)  # a category is named by the row where it first occurs
        bits = np.where(codes < 0, np.uint64(1 << 62), bits)
    return int((mix(bits) * (2 * np.arange(len(bits), dtype=np.uint64) + np.uint64(1))).sum(dtype=np.uint64))
