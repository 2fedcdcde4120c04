"""Inputs that never change."""

from __future__ import annotations

from dataclasses import dataclass

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import TRAIN, AuditView
from sharewise.records import Severity


@dataclass(frozen=True)
class ConstantColumns(Check):
    """An input has at least `min_distinct` = 2 different cells among the training rows (missing counts as one)."""

    min_distinct: int = 2

    def run(self, view: AuditView) -> CheckResult:
        """One finding for all constant inputs, and one for those that are constant in train only."""
        always, in_train = [], []
        train = view.rows_of(TRAIN)
        for name in view.input_names:
            cells = view.hashes(name)
            if view.n_rows and not (cells != cells[0]).any():
                always.append(name)
            elif len(train) and not (cells[train] != cells[train[0]]).any():
                in_train.append(name)
        return CheckResult(
            (
                *self._found(always, "are constant", "they carry no information"),
                *self._found(in_train, "are constant in the training rows only", "models meet them untrained in test"),
            )
        )

    def _found(self, names: list[str], fact: str, effect: str) -> list[Found]:
        if not names:
            return []
        shown = ", ".join(f"'{n}'" for n in names[:5])
        return [
            Found(
                Severity.WARNING,
                f"{len(names)} input column{'s' * (len(names) > 1)} {fact}: {shown}.",
                f"Such columns widen every task's encoder for nothing: {effect}.",
                "leave the columns out of the inputs",
                measured=1,
                threshold=self.min_distinct,
                columns=tuple(names),
            )
        ]
