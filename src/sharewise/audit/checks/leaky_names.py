"""Inputs whose name says that they come from a label."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import AuditView
from sharewise.records import Severity

_WORDS = {"target", "label", "labels", "outcome", "groundtruth", "truth", "y_true", "leak", "future"}


@dataclass(frozen=True)
class LeakyNames(Check):
    """No input's name holds a label column's whole name, or a word such as target, label, outcome, future.

    Label names shorter than `min_length` = 4 letters are not looked for, as they are part of many words. Words that
    most inputs' names share say nothing and are ignored.
    """

    min_length: int = 4

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each suspicious name."""
        labels = {_plain(n): n for n in view.label_columns if len(_plain(n)) >= self.min_length}
        found = []
        for name in view.input_names:
            words = set(re.split(r"[^a-z0-9]+", name.lower())) | {name.lower()}
            held = [labels[k] for k in labels if k in _plain(name)]
            said = sorted(words & _WORDS)
            if held or said:
                tasks = tuple(t.name for t in view.schema.tasks if set(t.columns) & set(held))
                found.append(self._found(name, held, said, tasks))
        if len(found) > max(3, len(view.input_names) / 4):
            return CheckResult()
        return CheckResult(tuple(found))

    def _found(self, name: str, held: list[str], said: list[str], tasks: tuple[str, ...]) -> Found:
        what = f"the name of label column '{held[0]}'" if held else f"the word '{said[0]}'"
        return Found(
            Severity.WARNING,
            f"The name of input '{name}' holds {what}.",
            "A column made from a label gives it away, and the shared encoder carries it to every task.",
            "leave it out unless it is known before the label; suppress this with the reason if it is",
            measured=1,
            threshold=0,
            tasks=tasks,
            columns=(name, *held[:1]),
        )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
