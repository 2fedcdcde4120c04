"""Intervention: how often the task is seen."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.causes import Hypothesis, Remedy
from sharewise.study.explain.base import Case, Change, Intervention, strength, variant
from sharewise.training.recipe import batch_size_for

TIMES = 3


UNEVEN = 1.25
"""Most labels over fewest from which another mix of rows is tried."""


class Exposure(Intervention):
    """Every task's labels seen equally often at the same number of steps (where they are uneven), which is a matter of
    the mix; then three times the steps at the same mix, for both arms: too few updates, apart from a wrong mix.

    Signal: how often a row of the task is seen in the shared run against its run alone.
    """

    name = "exposure"
    cause = "exposure: the task is seen too seldom"

    def changes(self, case: Case) -> Sequence[Change]:
        """Another mix where labels are uneven, then three times the steps."""
        longer = {"epochs": TIMES * case.recipe.epochs, "min_steps": TIMES * case.recipe.min_steps}
        return [
            *self._mixes(case),
            Change(
                f"{TIMES} times the steps",
                f"{TIMES} times the steps at the same mix of rows, for the shared and the single models",
                variant(case.shared_variant, recipe={**case.shared_variant.recipe, **longer}),
                Remedy(f"train {TIMES} times as long", recipe=longer),
                alone=variant(case.alone_variant, recipe={**case.alone_variant.recipe, **longer}),
            ),
        ]

    @staticmethod
    def _mixes(case: Case) -> list[Change]:
        """Balanced sampling, or the table's own mix where the study balances it already."""
        counts = [case.labels(task) for task in case.group.tasks]
        if max(counts) < UNEVEN * max(min(counts), 1):
            return []
        now = case.shared_variant.balance.get("sampler")
        name = "balanced" if now is None or now["name"] != "balanced" else "proportional"
        balance = {**case.shared_variant.balance, "sampler": {"name": name, "params": {}}}
        text = (
            "every task's labels seen equally often"
            if name == "balanced"
            else "rows seen as often as the table has them"
        )
        remedy = Remedy(f"sample rows by '{name}'", balance=balance)
        return [
            Change(
                f"{name} sampling",
                f"{text}, at the same number of steps",
                variant(case.shared_variant, balance=balance),
                remedy,
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
