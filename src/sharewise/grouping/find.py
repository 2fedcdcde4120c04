"""From an estimate to the plans that are worth training, or to none."""

from __future__ import annotations

from dataclasses import dataclass

from sharewise.errors import ConfigError, Problem
from sharewise.grouping.base import Affinity, Estimate, Group
from sharewise.grouping.constraints import Constraints
from sharewise.grouping.exact import MOST_BLOCKS, best_partitions
from sharewise.grouping.local import LocalSearch
from sharewise.grouping.objective import Objective

BOLD, CAREFUL = 0.0, 3.0
"""Prices of a certain harm, in margins, at which further plans are looked for beside the study's own."""


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
        """Groups of two tasks or more."""
        return tuple(g for g in self.groups if len(g) > 1)


@dataclass(frozen=True)
class Found:
    """What a search found: proposals, best first, the runner-up of the best, and why there are none if so."""

    proposals: tuple[Proposal, ...]
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
    method: Affinity, estimate: Estimate, limits: Constraints, *, risk: float, n_plans: int, room: int, seed: int
) -> Found:
    """Proposals worth training: the best plan at the study's price of harm, its runner-up, the best bold and the best
    careful one, as far as their groups fit into `room` models.

    A best plan whose predicted gain over all tasks alone is below its own error (`CHASED` standard deviations) is not
    chased, unless constraints rule out leaving the tasks alone.
    """
    ranked = partitions(Objective(estimate, limits, risk), max(n_plans, 2), seed)
    made = [_proposal(method, estimate, value, groups) for value, groups in ranked]
    best = made[0]
    runner_up = made[1] if len(made) > 1 else None
    if not limits.binding:
        if not best.shared:
            return Found((), None, "No group is predicted to gain: each task alone is the best plan found.")
        if method.measures_groups and best.gain < CHASED * best.sd:
            gap = f"{best.gain:+.2f} margins a task, with a standard error of {best.sd:.2f}"
            return Found((), best, f"Nothing to gain: the best plan's predicted gain is within its own error ({gap}).")
    bold = [partitions(Objective(estimate, limits, other), 1, seed)[0] for other in (BOLD, CAREFUL)]
    wanted = [best, *(_proposal(method, estimate, *item) for item in bold), *made[1:]]
    kept: list[Proposal] = []
    trained = 0
    for proposal in wanted:
        if proposal.groups in [k.groups for k in kept] or len(kept) == n_plans or not proposal.shared:
            continue
        # A group of two plans is trained for each, with another seed.
        if kept and trained + len(proposal.shared) > room:
            continue
        kept.append(proposal)
        trained += len(proposal.shared)
    return Found(tuple(kept), runner_up, "")


def _proposal(method: Affinity, estimate: Estimate, value: float, groups: list[Group]) -> Proposal:
    shared = [g for g in groups if len(g) > 1]
    gain = sum(float(estimate.gains(g)[0].sum()) for g in shared) / estimate.n_tasks
    return Proposal(tuple(groups), value, gain, method.spread(estimate, shared))
