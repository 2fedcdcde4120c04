"""From an estimate to the next plan that is worth training, or to none."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass

from sharewise.errors import ConfigError, Problem
from sharewise.grouping.base import Affinity, Estimate, Group
from sharewise.grouping.constraints import Constraints
from sharewise.grouping.exact import MOST_BLOCKS, best_partitions
from sharewise.grouping.local import LocalSearch
from sharewise.grouping.objective import Objective

RANKED = 30
"""Best plans of which the next is the first that fits and is another."""

ANOTHER = 0.25
"""Share of the pairs of tasks with one model, in either plan, that must have it in one of the two only. A plan that
takes one task from twenty is not worth a training: whether that task shares is settled by its own verdict anyway."""

CHASED = 1.28
"""Standard errors that a predicted gain must be worth before its plan is trained: the one-sided 90 % bound. Of tables
where nothing helps anything, about one in four still has a plan that passes; its retraining and confirmation say no."""


@dataclass(frozen=True)
class Proposal:
    """A plan that the search proposes: its groups, their worth as the search counts it, and the predicted mean gain
    over all tasks with its standard deviation, in margins."""

    groups: tuple[Group, ...]
    worth: float
    gain: float
    sd: float

    @property
    def shared(self) -> tuple[Group, ...]:
        """Groups of two tasks or more, sorted."""
        return tuple(sorted(g for g in self.groups if len(g) > 1))


@dataclass(frozen=True)
class Found:
    """What a search found: the plan to train next, the runner-up of the best, and why there is none if so."""

    proposal: Proposal | None
    runner_up: Proposal | None
    reason: str


def partitions(objective: Objective, n_best: int, seed: int) -> list[tuple[float, list[Group]]]:
    """The best partitions: exactly up to 12 blocks, by local search beyond; raises ConfigError if none is allowed."""
    blocks = objective.limits.blocks(objective.estimate.n_tasks)
    if len(blocks) <= MOST_BLOCKS:
        found = best_partitions(objective, blocks, n_best)
    else:
        found = LocalSearch(objective, blocks, seed).best_partitions(n_best)
    if not found:
        raise ConfigError(
            Problem(
                "Constraints must leave a plan",
                f"no plan of at most {objective.limits.max_models} models keeps apart what must not share",
                "allow more models, or let more tasks share",
            )
        )
    return found


def find(
    method: Affinity,
    estimate: Estimate,
    limits: Constraints,
    *,
    risk: float,
    room: int,
    seed: int,
    tried: Collection[tuple[Group, ...]] = (),
) -> Found:
    """The best plan at the study's price of harm that is another than those `tried` and whose groups fit into `room`
    models.

    Plans are found one after the other, each from an estimate that knows the gains of those before it: the best of very
    many plans is where an estimate errs most in its favour, and training it tells just that. A plan whose predicted
    gain over all tasks alone is below its own error (`CHASED` standard deviations) is not chased, unless constraints
    rule out leaving the tasks alone.
    """
    ranked = partitions(Objective(estimate, limits, risk), RANKED, seed)
    made = [_proposal(method, estimate, value, groups) for value, groups in ranked]
    runner_up = made[1] if len(made) > 1 else None
    # What is worth less than every task alone is not worth training, where leaving them alone is allowed.
    worth = made if limits.binding else list(itertools.takewhile(lambda p: p.shared, made))
    fresh = (p for p in worth if p.shared and len(p.shared) <= room and _another(p.shared, tried))
    best = next(fresh, None)
    if not limits.binding:
        if not made[0].shared:
            return Found(None, None, "No group is predicted to gain: each task alone is the best plan found.")
        if best is not None and method.measures_groups and best.gain < CHASED * best.sd:
            gap = f"{best.gain:+.2f} margins a task, with a standard error of {best.sd:.2f}"
            return Found(
                None, best, f"Nothing to gain: the best plan's predicted gain is within its own error ({gap})."
            )
    if best is None:
        return Found(None, runner_up, "Every plan worth training within the search's budget was trained.")
    return Found(best, runner_up, "")


def _another(shared: Collection[Group], tried: Collection[Collection[Group]]) -> bool:
    """Whether a plan differs from all that were tried in a quarter of the pairs that share a model or more."""
    mine = _pairs(shared)
    return all(len(mine ^ other) >= ANOTHER * len(mine | other) for other in map(_pairs, tried) if mine | other)


def _pairs(shared: Collection[Group]) -> set[tuple[int, ...]]:
    return {pair for group in shared for pair in itertools.combinations(group, 2)}


def _proposal(method: Affinity, estimate: Estimate, value: float, groups: list[Group]) -> Proposal:
    shared = [g for g in groups if len(g) > 1]
    gain = sum(float(estimate.gains(g)[0].sum()) for g in shared) / estimate.n_tasks
    return Proposal(tuple(groups), value, gain, method.spread(estimate, shared))
