"""Intervention: every loss counts alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sharewise.causes import Hypothesis, Remedy
from sharewise.study.explain.base import Case, Change, Intervention, mean, share_of, strength, variant

RUNNING: dict[str, Any] = {"scaling": {"name": "running_mean", "params": {}}}


class Scale(Intervention):
    """Equal weights of losses that are each divided by the loss of the best constant answer; then each loss divided by
    its running mean, so that a loss that stays large does not drown one that has become small.

    Signal: the task's share of the effective weights (d objective / d loss) against a third of an equal share; its
    shares of the weighted loss and of the gradient norms stand beside it.
    """

    name = "scale"
    cause = "loss scale: the task's loss counts for little beside its partners'"
    upstream = True

    def changes(self, case: Case) -> Sequence[Change]:
        """Equal weights where the study's balance is another; the running mean where that is not in use already."""
        base, made = case.shared_variant, []
        if base.balance:
            made.append(
                Change(
                    "equal weights",
                    "every loss, in units of its best constant answer's, weighs the same",
                    variant(base, balance={}),
                    Remedy("weigh the losses equally", balance={}),
                )
            )
        if base.balance.get("scaling") is None:
            made.append(
                Change(
                    "running mean",
                    "every loss is divided by its running mean",
                    variant(base, balance=RUNNING),
                    Remedy("divide each loss by its running mean", balance=RUNNING),
                )
            )
        return made

    def suspicion(self, case: Case) -> Hypothesis | None:
        """See the class."""
        shares = []
        for record in case.shared:
            total = sum(record.effective_weights.values())
            if total > 0 and case.task in record.effective_weights:
                shares.append(record.effective_weights[case.task] / total)
        share = mean(shares)
        if share is None:
            return None
        looks = [r.balance for r in case.shared if r.balance is not None]
        norms = mean([share_of(look.gradient_norm_shares, case.task) for look in looks])
        losses = mean([share_of(look.loss_shares, case.task) for look in looks])
        equal = 1 / len(case.group.tasks)
        sentence = f"its loss has {share:.1%} of the effective weight"
        if norms is not None and losses is not None:
            sentence += (
                f", {losses:.1%} of the weighted loss and {norms:.1%} of the gradient norms at the shared features"
            )
        sentence += f", where an equal share is {equal:.1%}"
        # A task that has been learnt has small gradients too, so that norms alone do not move scale ahead.
        value = strength(-share / equal, -1 / 3, -1 / 10)
        if norms is not None:
            value = max(value, min(0.49, strength(-norms / equal, -1 / 3, -1 / 10)))
        return Hypothesis(self.name, share, equal / 3, value, sentence)
