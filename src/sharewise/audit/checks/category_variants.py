"""Categories and classes that differ in spelling only, and numbers that were read as words."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.columns import Codes, is_text
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import AuditView
from sharewise.records import Severity
from sharewise.tables.schema import InputKind
from sharewise.tasks import Label

_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*")


@dataclass(frozen=True)
class CategoryVariants(Check):
    """No two categories (or classes) of a column are equal after case, blanks and punctuation are dropped, and no
    text column with over `min_levels` = 20 different cells is numbers on over `max_numbers` = 90 % of them."""

    max_numbers: float = 0.9
    min_levels: int = 20

    def run(self, view: AuditView) -> CheckResult:
        """One finding for each column, with the rows of the rarer spellings."""
        found = []
        for name in (*view.narrow_inputs, *view.label_columns):
            if is_text(view.arrow.schema.field(name).type):
                found += self._variants(view, name)
                if view.kind(name) is InputKind.CATEGORICAL:
                    found += self._numbers(view, name)
        return CheckResult(tuple(found))

    def _variants(self, view: AuditView, name: str) -> list[Found]:
        codes, levels = view.codes(name)
        best = spellings(codes, levels)
        if not best:
            return []
        rows = np.flatnonzero(np.isin(codes, list(best)))
        rare, common = next(iter(best.items()))
        n = len(set(best.values()))
        return [
            Found(
                Severity.WARNING,
                f"Column '{name}' spells {n} categor{'ies' if n > 1 else 'y'} in several ways, as {levels[common]!r} "
                f"and {levels[rare]!r}: {len(rows):,} rows have a rarer spelling.",
                "One category becomes several: as an input it is learned in pieces, as a label it is noise for every "
                "task that shares its features.",
                "give each category one spelling (--fix merge-spellings)",
                measured=len(best),
                threshold=0,
                tasks=tuple(dict.fromkeys(k.task for k in view.labels if k.column == name)),
                columns=(name,),
                rows=rows,
            )
        ]

    def _numbers(self, view: AuditView, name: str) -> list[Found]:
        _, levels = view.codes(name)
        if len(levels) <= self.min_levels:
            return []
        numeric = sum(_NUMBER.fullmatch(str(level)) is not None for level in levels) / len(levels)
        if numeric <= self.max_numbers:
            return []
        other = [level for level in levels if _NUMBER.fullmatch(str(level)) is None]
        but = f", all but {', '.join(repr(o) for o in other[:3])}" if other else ""
        return [
            Found(
                Severity.WARNING,
                f"Column '{name}' is read as categories, but {numeric:.0%} of its {len(levels):,} values "
                f"are numbers{but}.",
                "As categories, numbers lose their order, and most of them are met too rarely to be learned.",
                "declare it as numeric, and the words among its cells as missing",
                measured=numeric,
                threshold=self.max_numbers,
                columns=(name,),
            )
        ]


def spellings(codes: Codes, levels: tuple[Label, ...]) -> dict[int, int]:
    """Rarer spelling to most frequent spelling of the same category, as codes.

    Case, blanks and punctuation are dropped; categories with digits or without letters are left alone, as '<50' and
    '>50', or '+' and '-', lose their meaning with their signs.
    """
    spelled = defaultdict(list)
    for i, level in enumerate(levels):
        plain = re.sub(r"[\W_]+", "", str(level).casefold())
        if plain and not any(c.isdigit() for c in plain):
            spelled[plain].append(i)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    best = {}
    for same in spelled.values():
        common = max(same, key=lambda k: counts[k])
        best.update({i: common for i in same if i != common})
    return best
