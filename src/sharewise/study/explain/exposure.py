"""Intervention: how often the task is seen."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.causes import Hypothesis, Remedy
from sharewise.study.explain.base import Case, Change, Intervention, strength, variant
from sharewise.training.recipe import batch_size_for

TIMES = 3


class Exposure(Intervention):
    """Three times the steps at the same mix, for both arms: too few updates, apart from a wrong mix.

    Signal: how often a row of the task is seen in the shared run against its run alone.
    """

    name = "exposure"
    cause = "exposure: the task is seen too seldom"

    def changes(self, case: Case) -> Sequence[Change]:
        """Three times the steps."""
        longer = {"epochs": TIMES * case.recipe.epochs, "min_steps": TIMES * case.recipe.min_steps}
        return [
            Change(
                f"{TIMES} times the steps",
                f"{TIMES} times the steps at the same mix of rows, for the shared and the single models",
                variant(case.shared_variant, recipe={**case.shared_variant.recipe, **longer}),
                Remedy(f"train {TIMES} times as long", recipe=longer),
                alone=variant(case.alone_variant, recipe={**case.alone_variant.recipe, **longer}),
            )
        ]

    def suspicion(self, case: Case) -> Hypothesis | None:
        """See the class."""
        together, alone = self._passes(case, case.rows()), self._passes(case, case.labels(case.task))
        ratio = together / alone
        sentence = (
            f"a row of it is seen about {together:.0f} times in a full shared run, {alone:.0f} times alone; "
            f"it has {case.labels(case.task):,} of the group's {case.rows():,} train rows"
        )
        return Hypothesis(self.name, ratio, 0.5, strength(-ratio, -0.5, -0.1), sentence)

    @staticmethod
    def _passes(case: Case, rows: int) -> float:
        """Passes over `rows` rows in a full run, all rows drawn alike."""
        size = case.recipe.batch_size or batch_size_for(rows)
        return max(case.recipe.epochs, case.recipe.min_steps * size / max(rows, 1))
