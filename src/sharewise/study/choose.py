"""What validation rows decide: the trial of every group, the best single-task model of every task, the plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np

from sharewise import metrics
from sharewise.records import Comparison, RunRecord, Status
from sharewise.study.posterior import beliefs
from sharewise.tasks import TaskSet

Objective = Literal["mean", "worst"] | Mapping[str, float]
"""How a trial of a group of several tasks is scored."""

MOST = 15.0
"""A task's expected change counts up to so many margins either way: 30 % at the default margin."""


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


def promises(
    comparisons: Mapping[str, Sequence[Comparison]],
    n_tasks: int,
    primary: Collection[str] = (),
    forecasts: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, float]:
    """What each candidate promises: its expected mean change over all tasks, in margins.

    A task's change is its posterior mean given the candidate's other tasks (`beliefs`), so that a small task's luck
    cannot carry a plan, and counts up to `MOST` margins either way. Where the search has a forecast of a task's change
    in a candidate, by candidate and task in margins, the two count half each: the candidate's own few runs are noisy,
    and the forecast rests on all runs of the search but knows no group's own ways. A task that a plan leaves alone
    changes by nothing, so that plans that share more or less are compared on the same tasks. Where a candidate shares a
    task of `primary`, the changes of these alone count. A candidate that could not be compared is left out.
    """
    told = any(c.task in primary for found in comparisons.values() for c in found)
    made = {}
    for name, found in comparisons.items():
        forecast = (forecasts or {}).get(name, {})
        changes = []
        for c, belief in zip(found, beliefs(found), strict=True):
            if told and c.task not in primary:
                continue
            own = float(np.clip(belief.expected_gain / c.margin, -MOST, MOST))
            changes.append((own + float(np.clip(forecast.get(c.task, own), -MOST, MOST))) / 2)
        if changes:
            made[name] = float(np.sum(changes)) / (len(primary) if told else n_tasks)
    return made


def most_promising(promised: Mapping[str, float], order: Sequence[str]) -> str:
    """The candidate that promises most; ties, and candidates without a promise, go by `order`."""
    return max(order, key=lambda name: promised.get(name, -np.inf))
