"""An input, or the fact that it is missing, that gives a label away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.columns import Bins
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.skill import Skill, column_skill
from sharewise.audit.view import AuditView, Labels
from sharewise.records import Severity
from sharewise.tables.schema import InputKind


@dataclass(frozen=True)
class InputLeaks(Check):
    """No single input predicts a label almost alone.

    Predictive power score (see `skill.column_skill`), lower 95 % bound: error from `error_skill` = 0.95 (a copy or a
    function of the label), warning from `warning_skill` = 0.8 (deepchecks' limit). The missingness of an input:
    warning from `missing_skill` = 0.5.
    """

    error_skill: float = 0.95
    warning_skill: float = 0.8
    missing_skill: float = 0.5

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each label and the inputs that give it away; `details` holds the best skills of each."""
        best: dict[str, dict[str, float]] = {}
        found: list[Found] = []
        small = [k.title for k in view.labels if k.present.sum() < 50]
        for labels in view.labels:
            scores = self._scores(view, labels)
            top = sorted(scores, key=lambda n: -scores[n].value)[:8]
            best[labels.key] = {n: round(scores[n].value, 4) for n in top}
            for name in scores:
                low = scores[name].value - 1.645 * scores[name].standard_error
                if low >= self.warning_skill:
                    found.append(self._leak(view, labels, name, low))
            found += self._missing(view, labels)
        text = f"{len(small)} label columns have fewer than 50 labels: {', '.join(small[:5])}"
        return CheckResult(tuple(found), {"best": best, "limits": self._limits()}, (text,) if small else ())

    def _limits(self) -> dict[str, float]:
        return {"warning": self.warning_skill, "error": self.error_skill}

    def _scores(self, view: AuditView, labels: Labels) -> dict[str, Skill]:
        scores = {}
        for name in view.narrow_inputs:
            skill = column_skill(view, view.bins(name, 64), labels)
            if skill is not None:
                scores[name] = skill
        return scores

    def _leak(self, view: AuditView, labels: Labels, name: str, low: float) -> Found:
        severe = low >= self.error_skill
        time = view.kind(name) is InputKind.DATETIME
        return Found(
            Severity.ERROR if severe else Severity.WARNING,
            f"Input '{name}' alone predicts {labels.title} with a skill of at least {low:.3f} of 1.",
            "If it is known only with the label, every score of this task is an illusion, and with a shared encoder "
            "the other tasks are trained to read it too.",
            "leave the time out, or use only its calendar parts"
            if time
            else "leave it out unless it is known before the label",
            measured=low,
            threshold=self.error_skill if severe else self.warning_skill,
            tasks=(labels.task,),
            columns=(name, labels.column),
        )

    def _missing(self, view: AuditView, labels: Labels) -> list[Found]:
        found = []
        for name, gone in missing_flags(view):
            skill = column_skill(view, Bins(gone.astype(np.int32), 2), labels)
            if skill is not None and skill.value - 1.645 * skill.standard_error >= self.missing_skill:
                found.append(
                    Found(
                        Severity.WARNING,
                        f"Whether input '{name}' is missing predicts {labels.title} with a skill of {skill.value:.2f}.",
                        "A cell that is filled in only for one outcome was filled in after the outcome.",
                        "leave the input out, or find out when it is recorded",
                        measured=skill.value,
                        threshold=self.missing_skill,
                        tasks=(labels.task,),
                        columns=(name, labels.column),
                    )
                )
        return found


def missing_flags(view: AuditView) -> list[tuple[str, np.ndarray]]:
    """Inputs with some missing cells, each different pattern once."""

    def make() -> list[tuple[str, np.ndarray]]:
        flags: dict[bytes, tuple[str, np.ndarray]] = {}
        for name in view.input_names:
            gone = view.missing(name)
            if gone.any() and not gone.all():
                flags.setdefault(np.packbits(gone).tobytes(), (name, gone))
        return list(flags.values())

    return view.once("missing_flags", make=make)
