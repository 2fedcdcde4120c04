"""Intervention: each task keeps its own best epoch instead of the group's."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.causes import Hypothesis, Remedy
from sharewise.study.explain.base import Case, Change, Intervention, at_epoch, lowest, mean, strength, variant


class Checkpoint(Intervention):
    """The same runs with the same seeds, answered from each task's own best epoch (`checkpoint: task`).

    Signal: the part of the gap in validation loss to the single model that the task's own best epoch inside the shared
    runs would win back, (L_chosen - L_best) / (L_chosen - L_single).
    """

    name = "checkpoint"
    cause = "one epoch for all tasks: the task is best at another epoch than the group"

    def changes(self, case: Case) -> Sequence[Change]:
        """One: nothing where each task has its own epoch already."""
        if case.recipe.checkpoint == "task":
            return ()
        recipe = {**case.shared_variant.recipe, "checkpoint": "task"}
        return [
            Change(
                "own epoch",
                "each task answered from its own best epoch of the same runs",
                variant(case.shared_variant, recipe=recipe),
                Remedy("keep a checkpoint for each task (one model file a task)", recipe={"checkpoint": "task"}),
            )
        ]

    def suspicion(self, case: Case) -> Hypothesis | None:
        """See the class."""
        curves = [(r.curves[case.task], r.best_epoch.get(case.task, 0)) for r in case.shared if case.task in r.curves]
        chosen = mean([at_epoch(c, e, c.validation_loss) for c, e in curves])
        best = mean([lowest(c) for c, _ in curves])
        single = mean([lowest(r.curves[case.task]) for r in case.single if case.task in r.curves])
        if chosen is None or best is None or single is None or chosen <= single:
            return None
        won = min((chosen - best) / (chosen - single), 1.0)
        sentence = (
            f"its own best epoch would win back {won:.0%} of the gap in validation loss to the single model "
            f"(loss {chosen:.3g} at the group's epoch, {best:.3g} at its own, {single:.3g} alone)"
        )
        return Hypothesis(self.name, won, 0.5, strength(won, 0.5, 1.0), sentence)
