"""What validation rows decide: the trial of every group, the best single-task model of every task, the plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np

from sharewise import metrics
from sharewise.records import Comparison, RunRecord, Status
from sharewise.tasks import TaskSet

Objective = Literal["mean", "worst"] | Mapping[str, float]
"""How a trial of a group of several tasks is scored."""


def best_trial(records: Sequence[RunRecord], tasks: TaskSet, objective: Objective = "mean") -> int:
    """Number of the trial whose validation scores are best by `objective` (see `trial_values`).

    Ties go to the lower number, so the default stands unless a trial beats it. Trial 0 is returned where none has any
    score. Where the group has a primary task, its scores alone count.
    """
    values = trial_values(records, tasks, objective)
    return max(values, key=lambda number: (values[number], -number)) if values else 0


def trial_values(records: Sequence[RunRecord], tasks: TaskSet, objective: Objective = "mean") -> dict[int, float]:
    """What each trial of a group is worth: the mean change over its tasks, the worst one, or the mean by weights.

    Scores of different tasks are compared by their change against the first trial on each metric's own scale, never as
    raw numbers; auxiliary tasks do not count. Trials that lack a score of some task count as that task's worst; those
    that failed are left out. Tasks that `objective` gives no weight weigh nothing; where none of the group's tasks has
    one, all weigh the same, or by "mean" the primary task alone.
    """
    usable = [r for r in sorted(records, key=lambda r: r.trial) if r.status is Status.DONE]
    if not usable:
        return {}
    judged = [name for name in usable[0].tasks if not tasks[name].auxiliary]
    values = np.full((len(usable), len(judged)), -np.inf)
    for t, name in enumerate(judged):
        kind = metrics.metric(tasks[name].metric)
        reference = next((s for r in usable if (s := r.validation.get(name)) is not None), None)
        for i, record in enumerate(usable):
            score = record.validation.get(name)
            if score is None or reference is None:
                continue
            effect = kind.effect_of(reference, score)
            if effect is None:
                effect = score - reference if kind.bigger_is_better else reference - score
            values[i, t] = effect
    values = np.where(np.isneginf(values), np.where(np.isfinite(values), values, 0).min(axis=0) - 1.0, values)
    primary = [t for t, name in enumerate(judged) if tasks[name].primary]
    if objective == "worst":
        worth = values.min(axis=1)
    else:
        given = {} if objective == "mean" else objective
        weights = np.array([float(given.get(name, 0.0)) for name in judged])
        worth = (
            values @ weights / weights.sum() if weights.sum() > 0 else values[:, primary or slice(None)].mean(axis=1)
        )
    return {record.trial: float(value) for record, value in zip(usable, worth, strict=True)}


def best_single(scores: Mapping[str, Sequence[float | None]], metric: str, order: Sequence[str]) -> str:
    """Arm with the best mean validation score for one task; ties, and no score at all, go to the first in `order`."""
    better = metrics.metric(metric).bigger_is_better
    best, winner = -np.inf, order[0]
    for arm in order:
        given = [s for s in scores.get(arm, ()) if s is not None]
        if not given or len(given) < len(scores[arm]):
            continue
        mean = float(np.mean(given)) if better else -float(np.mean(given))
        if mean > best:
            best, winner = mean, arm
    return winner


def most_promising(comparisons: Mapping[str, Sequence[Comparison]], n_tasks: int, primary: Collection[str] = ()) -> str:
    """The candidate with the largest mean change over all tasks, in margins; ties go to the one named first.

    Each task's change is capped at three margins either way, so that one small task cannot carry a plan. A task that a
    plan leaves alone changes by nothing, so that plans that share more or less are compared on the same tasks. Where a
    candidate shares a task of `primary`, the changes of these alone count.
    """
    told = any(c.task in primary for found in comparisons.values() for c in found)

    def promise(found: Sequence[Comparison]) -> float:
        counted = [c for c in found if not told or c.task in primary]
        changes = [float(np.clip(c.effect / c.margin, -3, 3)) for c in counted]
        return float(np.sum(changes)) / (len(primary) if told else n_tasks) if changes else -np.inf

    return max(comparisons, key=lambda name: promise(comparisons[name]))
