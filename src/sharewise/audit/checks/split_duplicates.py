"""The same row in two parts of the split, also where another task's label is what leaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sharewise.audit.checks.base import Check
from sharewise.audit.duplicates import Twins, chance_like, is_coarse, twins_across
from sharewise.audit.result import CheckResult, Found, Rows
from sharewise.audit.view import PART_NAMES, TEST, TRAIN, VALIDATION, AuditView
from sharewise.records import Severity


@dataclass(frozen=True)
class SplitDuplicates(Check):
    """No test row has a twin in train with equal inputs.

    Error above `max_share` = 5 % of the test rows (also deepchecks' line): a twin can at most turn an error into a
    hit, so that at 40 % errors 5 % of the rows move the score by 2 points, the default margin. Twins that coarse
    inputs make by chance (see `duplicates.chance_like`) are told apart, and mentioned as info above `max_chance` = 1
    %.
    """

    max_share: float = 0.05
    max_chance: float = 0.01

    def run(self, view: AuditView) -> CheckResult:
        """Findings for train-test and train-validation, and for labels that leak from another task's train rows."""
        if not view.input_names:
            return CheckResult(not_computable=("the schema names no input that the table has",))
        found: list[Found] = []
        for part in (TEST, VALIDATION):
            twins = twins_across(view.input_hash, view.part, TRAIN, part)
            n_part = int((view.part == part).sum())
            if not len(twins.rows) or not n_part:
                continue
            chance = chance_like(view, twins.rows)
            if not is_coarse(view):  # equal labels and ids beside equal inputs are no coincidence in a fine table
                chance &= ~np.isin(twins.rows, twins_across(view.row_hash, view.part, TRAIN, part).rows)
            found += self._telling(twins.rows[~chance], n_part, part)
            found += self._by_chance(twins.rows[chance], n_part, part)
            if part == TEST:
                found += _other_tasks(view, twins, chance)
        return CheckResult(tuple(found))

    def _telling(self, rows: Rows, n_part: int, part: int) -> list[Found]:
        share = len(rows) / n_part
        if not len(rows):
            return []
        name = PART_NAMES[part]
        severe = share > self.max_share and part == TEST
        return [
            Found(
                Severity.ERROR if severe else Severity.WARNING,
                f"{_have(len(rows), name, f'{share:.2%}')} the same inputs as a train row.",
                f"A model that has learned those rows by heart scores better on {name} for every task; a larger "
                "shared model does so more easily, so that sharing looks better than it is.",
                "drop the duplicates, or keep all copies in one part (--fix drop-duplicates or group-split)",
                measured=share,
                threshold=self.max_share,
                rows=rows,
            )
        ]

    def _by_chance(self, rows: Rows, n_part: int, part: int) -> list[Found]:
        share = len(rows) / n_part
        if share <= self.max_chance:
            return []
        return [
            Found(
                Severity.INFO,
                f"{_have(len(rows), PART_NAMES[part], f'{share:.1%}')} the same inputs as a train row, as rows do "
                "by chance when inputs are coarse or texts are short.",
                "The inputs do not tell these rows apart, so that no model, shared or not, can.",
                "nothing, unless the rows should be distinct: then add the input that tells them apart",
                measured=share,
                threshold=self.max_chance,
                rows=rows,
            )
        ]


def _other_tasks(view: AuditView, twins: Twins, chance: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[Found]:
    """Test rows of A whose train twin is labelled for B but not for A: a leak that a single-task check cannot see."""
    if len(view.schema.tasks) < 2 or chance.all():
        return []
    rows, partners = twins.rows[~chance], twins.partners[~chance]
    leaked = np.zeros(len(rows), dtype=bool)
    pairs: dict[tuple[str, str], int] = {}
    for a in view.schema.tasks:
        mine = view.task_present(a)
        tested = mine[rows] & ~mine[partners]
        for b in view.schema.tasks if tested.any() else ():
            both = tested & view.task_present(b)[partners]
            if b.name != a.name and both.any():
                leaked |= both
                pairs[a.name, b.name] = int(both.sum())
    if not pairs:
        return []
    worst = max(pairs, key=lambda p: pairs[p])
    return [
        Found(
            Severity.WARNING,
            f"{_have(int(leaked.sum()), 'test')} a twin in train that is labelled for another task only: most often "
            f"'{worst[0]}' is tested on inputs trained for '{worst[1]}' ({pairs[worst]:,} of them).",
            "Alone, a task never sees these inputs in training; together it does, through the other task. The gain "
            "from sharing is overstated where the two labels are related.",
            "split by the identity of the input, not by row (--fix group-split)",
            measured=int(leaked.sum()),
            threshold=0,
            tasks=tuple(dict.fromkeys(n for pair in sorted(pairs, key=lambda p: -pairs[p]) for n in pair)),
            rows=rows[leaked],
        )
    ]


def _have(n: int, part: str, share: str = "") -> str:
    """So many rows of a part have or, if it is one, has."""
    share = f" ({share})" if share else ""
    return f"1 {part} row{share} has" if n == 1 else f"{n:,} {part} rows{share} have"
