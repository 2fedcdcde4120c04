"""Intervention: one partner leaves the group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sharewise.causes import Hypothesis, Remedy
from sharewise.study.design import Variant
from sharewise.study.explain.base import Case, Change, Intervention, mean, variant

MOST = 8


class Partner(Intervention):
    """The group without one of its other tasks, the most suspicious first, at most eight of them.

    In a group of two it would be the single model again, which says nothing about why, so it is not tried there.
    Suspicion: the share of the objective (effective weight times labelled rows) of partners that learn little
    alone comes first.
    """

    name = "partner"
    cause = "a partner"

    def changes(self, case: Case) -> Sequence[Change]:
        """One for each partner, the most suspicious first."""
        if len(case.group.tasks) < 3:
            return ()
        return [
            Change(
                f"without {partner}",
                f"the group without '{partner}'",
                without(case, partner),
                Remedy(f"take '{partner}' out of the group", apart=(partner,)),
                without=partner,
            )
            for partner in ranked(case)[:MOST]
        ]

    def suspicion(self, case: Case) -> Hypothesis | None:
        """Nothing at hand separates a harmful partner from a harmless one before it is left out."""
        return None

    def convicted(self, change: Change) -> str:
        """Which partner."""
        return f"partner '{change.without}': what it asks of the trunk"


def ranked(case: Case) -> list[str]:
    """Partners, the most suspicious first: little skill alone, much weight in the objective, gradients that oppose."""

    def suspicious(partner: str) -> float:
        skill = case.skill(partner)
        weights = [r.effective_weights.get(partner, 0.0) / max(sum(r.effective_weights.values()), 1e-12)
                   for r in case.shared]  # fmt: skip
        weight = sum(weights) / max(len(weights), 1) - (cosine(case, partner) or 0.0)
        return (1.0 - max(skill, 0.0) if skill is not None else 0.5) + weight

    return sorted(case.partners, key=suspicious, reverse=True)


def cosine(case: Case, partner: str) -> float | None:
    """Mean cosine of the partner's gradient with the task's at the shared features; None where none was measured."""
    found = []
    for record in case.shared:
        if record.balance is not None and record.balance.cosines:
            row = record.balance.cosines[record.tasks.index(case.task)]
            found.append(row[record.tasks.index(partner)])
    return mean(found)


def without(case: Case, partner: str) -> Variant:
    """The group's variant with a partner's own weight gone from its balance."""
    base, position = case.shared_variant, case.group.tasks.index(partner)
    balance: dict[str, Any] = {}
    for key, said in base.balance.items():
        weights = said["params"].get("weights") if isinstance(said, dict) else None
        if isinstance(weights, Mapping):
            weights = {task: w for task, w in weights.items() if task != partner}
        elif isinstance(weights, Sequence):
            weights = [w for n, w in enumerate(weights) if n != position]
        balance[key] = said if weights is None else {**said, "params": {**said["params"], "weights": weights}}
    return variant(base, balance=balance)
