"""Two tasks that ask for the same thing, or one that decides another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.skill import class_pair_skill, column_skill, label_bins
from sharewise.audit.view import AuditView, Labels
from sharewise.records import Severity
from sharewise.tasks import TaskKind


@dataclass(frozen=True)
class TargetCopies(Check):
    """No label column says what another one says.

    On rows labelled for both (at least `min_overlap` = 200): |Spearman| at least `max_rank` = 0.99, or H(A|B) / H(A)
    at most `max_entropy` = 0.01, is "the same label twice" (error when it holds both ways between tasks, warning one
    way); a predictive power score of B for A of at least `max_skill` = 0.8 is a strong relation (info: good for
    sharing, never an input).
    """

    min_overlap: int = 200
    max_rank: float = 0.99
    max_entropy: float = 0.01
    max_skill: float = 0.8

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each pair; `details` holds the matrix of skills between label columns."""
        every = view.labels[:64]
        skills = np.full((len(every), len(every)), np.nan)
        found: list[Found] = []
        skipped = 0
        sample = view.sample
        for i, a in enumerate(every):
            for j, b in enumerate(every[:i]):
                rows = sample[(a.present[sample] & b.present[sample])]
                if len(rows) < self.min_overlap:
                    skipped += 1
                    continue
                skills[i, j], skills[j, i] = _skills(view, a, b, rows)
                found += self._pair(a, b, rows, skills[i, j], skills[j, i])
        details = {"labels": [k.key for k in every], "skill": skills.tolist()}
        text = f"{skipped} pairs of label columns share fewer than {self.min_overlap} labelled rows"
        return CheckResult(tuple(found), details, (text,) if skipped else ())

    def _pair(self, a: Labels, b: Labels, rows: np.ndarray, forward: float, backward: float) -> list[Found]:
        x, y = a.values[rows], b.values[rows]
        if len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
            return []
        if not a.is_class and not b.is_class:
            rank = abs(float(np.corrcoef(rankdata(x), rankdata(y))[0, 1]))
            if rank >= self.max_rank:
                return [self._same(a, b, f"their rank correlation is {rank:.4f}", rank, self.max_rank)]
        elif a.is_class and b.is_class:
            a_by_b, b_by_a = _left(x, y), _left(y, x)
            if max(a_by_b, b_by_a) <= self.max_entropy:
                text = "each value of one goes with one value of the other"
                return [self._same(a, b, text, max(a_by_b, b_by_a), self.max_entropy)]
            if min(a_by_b, b_by_a) <= self.max_entropy:
                return [self._decides(b, a, a_by_b) if a_by_b < b_by_a else self._decides(a, b, b_by_a)]
        if max(forward, backward) >= self.max_skill:
            return [self._related(b, a, forward) if forward >= backward else self._related(a, b, backward)]
        return []

    def _same(self, a: Labels, b: Labels, how: str, measured: float, threshold: float) -> Found:
        alone = a.task == b.task and a.kind is TaskKind.MULTILABEL
        return Found(
            Severity.WARNING if alone else Severity.ERROR,
            f"{a.title} and {b.title} are the same label twice: {how}.",
            "Sharing them trains one task with double weight, and its 'gain' from the other is a copy, not a transfer.",
            "keep one of the two as a task",
            measured,
            threshold,
            tasks=tuple(dict.fromkeys((b.task, a.task))),
            columns=(b.column, a.column),
        )

    def _decides(self, source: Labels, derived: Labels, left: float) -> Found:
        return Found(
            Severity.WARNING,
            f"{derived.title} is decided by {source.title}: knowing the one leaves {left:.2%} of the other's entropy.",
            "The two are one piece of evidence; a gain from training them together counts it twice.",
            "keep the finer one, or read their two verdicts as one",
            left,
            self.max_entropy,
            tasks=tuple(dict.fromkeys((source.task, derived.task))),
            columns=(source.column, derived.column),
        )

    def _related(self, source: Labels, other: Labels, skill: float) -> Found:
        return Found(
            Severity.INFO,
            f"{source.title} alone predicts {other.title} with a skill of {skill:.2f}.",
            "So close a relation is good for sharing; as an input of the other task it would be a leak.",
            "never feed the one as an input of the other",
            skill,
            self.max_skill,
            tasks=tuple(dict.fromkeys((source.task, other.task))),
            columns=(source.column, other.column),
        )


def _skills(view: AuditView, a: Labels, b: Labels, rows: np.ndarray) -> tuple[float, float]:
    """Skill of b for a and of a for b."""
    if a.is_class and b.is_class:
        return class_pair_skill(a, b, rows)
    forward = column_skill(view, label_bins(view, b), a, 10_000)
    backward = column_skill(view, label_bins(view, a), b, 10_000)
    return np.nan if forward is None else forward.value, np.nan if backward is None else backward.value


def _left(x: np.ndarray, y: np.ndarray) -> float:
    """H(X|Y) / H(X) from counts."""
    _, xi = np.unique(x, return_inverse=True)
    _, yi = np.unique(y, return_inverse=True)
    table = np.bincount(xi * (yi.max() + 1) + yi, minlength=(xi.max() + 1) * (yi.max() + 1))
    joint = table.reshape(xi.max() + 1, yi.max() + 1) / len(x)
    return float((_entropy(joint.ravel()) - _entropy(joint.sum(0))) / max(_entropy(joint.sum(1)), 1e-12))


def _entropy(p: np.ndarray) -> float:
    known = p[p > 0]
    return float(-(known * np.log(known)).sum())
