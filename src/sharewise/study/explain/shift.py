"""How far a change moved a task: the double difference of theta, its interval, and when that convicts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sharewise.causes import Effect, Shift, Trial
from sharewise.metrics import metric
from sharewise.records import Comparison, Outcome
from sharewise.study.compare import Arm, Pair, arm_of, by_entity, df_of_rows, linearised, t_quantile
from sharewise.study.judge import judge

Floats = npt.NDArray[np.float64]

MOST, HALF = 0.8, 0.5
"""Shares of the gap that a change must close to convict at once, and to convict where nothing does so."""
NEARLY = 0.75
"""Share of the best change's effect from which a change that comes before it in the order stands for it."""
WITHIN_REACH = 1 / 3
"""Share of the half interval that an unproven D must have reached: four times the runs shrink an interval to about a
third (half by the runs, the rest by the degrees of freedom)."""


def shift(before: Pair, after: Pair, error: float) -> Shift | str:
    """theta_after - theta_before with a two-sided interval that errs with chance `error` on either side.

    Both pairs are of one task and one set of test rows. Per row, with the delta method's values y of `linearised`,
    V_rows = Var_i(mean_s y'_m - mean_s y'_b - mean_s y_m + mean_s y_b) / n and V_A = Var_s(mean_i y_A) / S less the
    interaction, for each arm A that differs; where both pairs have the same baseline runs, what these add is
    y'_b - y_b of each run, once. Runs are unpaired, degrees of freedom Satterthwaite's, entities count once. Returns
    why there is none where a score is undefined. Cost: one pass over 4 S n values.
    """
    kind = metric(before.task.metric)
    made = []
    for pair in (before, after):
        arms = []
        for runs in (pair.baseline, pair.candidate):
            values = [kind.per_row(pair.truth, pair.present, run) for run in runs]
            usable = [v for v in values if v is not None]
            if not usable or len(usable) < len(values):
                return "the score of a run is undefined on the test rows"
            arms.append(np.stack(usable))
        line = linearised(kind, arms[0], arms[1])
        if isinstance(line, str):
            return line
        made.append(line)
    first, second = made
    same = before.baseline_runs == after.baseline_runs and bool(before.baseline_runs)
    arms = [second.candidate, -first.candidate]
    arms += [first.baseline - second.baseline] if same else [-second.baseline, first.baseline]
    typical = float(np.median(np.abs(first.baseline)))
    n_rows = first.baseline.shape[1]
    if before.clusters is not None:
        rows = before.present.astype(bool).any(axis=1)
        arms = [by_entity(arm, before.clusters[rows]) for arm in arms]
    return _interval(second.effect - first.effect, arms, (typical / n_rows) ** 2, error)


def _interval(effect: float, values: list[Floats], least: float, error: float) -> Shift:
    spread = np.sum([v.mean(axis=0) for v in values], axis=0)
    n = spread.shape[0]
    var_rows = max(float(spread.var(ddof=1)) / n, least) if n > 1 else least
    total, below = var_rows, var_rows**2 / (df_of_rows(spread) if n > 1 else 1.0)
    for arm in (arm_of(v) for v in values):
        raw = arm.variance / arm.n_runs
        total += _net(arm)
        if arm.variance > 0 and arm.df > 0:
            below += raw**2 / arm.df
    df = max(1.0, total**2 / below)
    half = t_quantile(1 - error, df) * total**0.5
    return Shift(effect, effect - half, effect + half, df, error)


def _net(arm: Arm) -> float:
    return max(0.0, arm.variance / arm.n_runs - arm.interaction)


def convicting(trials: Sequence[Trial]) -> int | None:
    """Which of the trials, in the order tried, convicts by the rule of `effect_of`; None where none does."""
    for n, trial in enumerate(trials):
        if trial.effect in (Effect.REMOVES, Effect.MOST):
            return n
    eased = {n: t.shift.effect for n, t in enumerate(trials) if t.effect is Effect.EASES and t.shift is not None}
    return next((n for n, moved in eased.items() if moved >= NEARLY * max(eased.values())), None)


def promising(before: Comparison, after: Comparison, moved: Shift) -> bool:
    """Whether more runs may convict a change that these runs do not: D is not yet above zero beyond its error, but is
    above a third of its half interval, and would convict if it stood: it closes half of the gap, or theta after is
    above -margin."""
    if moved.low > 0 or before.effect >= 0:
        return False
    enough = moved.effect >= HALF * -before.effect or after.effect > -after.margin
    return enough and moved.effect > WITHIN_REACH * (moved.effect - moved.low)


def effect_of(before: Comparison, after: Comparison, moved: Shift, single: Comparison | None = None) -> Effect:
    """The rule that convicts. With theta against the same architecture alone, D = theta after - theta before:

    - the change *removes the harm* where D is above zero beyond its error and theta after is out of harm: its verdict
      is not harm and its estimate is above -margin;
    - it *closes four fifths of the gap or more*, or *half of it*, where D is above zero beyond its error and at least
      that share of -theta before;
    - where single models were changed too, one that improved beyond its own interval while D did not rise so far
      *helps the single model as much*, and is no cause of what sharing does;
    - anything else *does not move the task enough*.

    The first change that removes the harm, or four fifths of the gap, convicts. Where none does, the largest D among
    those that closed half of the gap does, or a change earlier in the order with three quarters of that D: leaving a
    partner out takes away all that it does, so that a narrower change which wins back nearly as much is the more exact
    answer.

    The error of each D is 5 % over all the changes that were planned for the task (Bonferroni), and of a change that is
    looked at again with more runs it is divided among the looks, so that the chance to convict any change that does
    nothing is at most 5 % a task; a task gets here only when its harm was seen twice, by the study and by fresh runs.
    """
    if moved.low > 0:
        if judge(after).outcome is not Outcome.HARM and after.effect > -after.margin:
            return Effect.REMOVES
        if moved.effect >= MOST * -before.effect:
            return Effect.MOST
        if moved.effect >= HALF * -before.effect:
            return Effect.EASES
    if single is not None and single.low > 0:
        return Effect.BOTH
    return Effect.LITTLE
