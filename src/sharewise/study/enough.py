"""How many confirmation runs are enough: more are made where run luck leaves a task open.

Three runs an arm know little of how much runs differ: with two degrees of freedom each, a gain of five margins can stay
within its interval. Most tasks are clear all the same, and more runs of everything would be spent on them in vain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scipy.special import ndtri

from sharewise.plan import Group
from sharewise.records import Comparison, Phase
from sharewise.study.compare import ERROR
from sharewise.study.design import SINGLE
from sharewise.study.judge import below
from sharewise.study.run import Conductor, deterministic
from sharewise.study.work import Run

EARLY = 0.01
"""Error at which a task is clear before it has all the runs it may have, a fifth of the verdict's own: early looks at
so small an error leave that of the last what it is (Haybittle 1971; Peto et al. 1976)."""

FUTILE = 0.75
"""Share of the distance that a claim needs, within which no number of the runs still to be had is worth making."""

LEAST = 0.95
"""Nor are they where even the most of them would leave more than this share of the standard error: it is not run luck
that leaves the task open."""


def further(
    conductor: Conductor, selected: str | None, singles: Mapping[str, Mapping[str, str]], runs: Sequence[Run]
) -> list[Run]:
    """The confirmation runs to make beside `runs`: of each model that a task left open is compared by, as many again
    as the one with the fewer has. A model of several tasks may have more already, for another of them.

    What is looked at are the validation rows of the confirmation runs, so that the test rows are opened once, when all
    runs are made. Nothing where no task is open, or where its models have the most runs that the budget allows.
    """
    most = conductor.design.budget.most_runs
    if selected is None:
        return []
    candidate = conductor.design.arm(selected)
    best = singles[candidate.alone or SINGLE]
    by_arm: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        for task in run.group.tasks:
            by_arm.setdefault((run.arm, task), []).append(run)
    shared = [t for t in conductor.judged.names if len(candidate.plan.group_of(t).tasks) > 1]
    pairs = [conductor.pair(t, best[t], selected, by_arm, "validation") for t in shared]
    wanted: dict[tuple[str, str, Group], int] = {}
    for c in conductor.compared(pairs)[0]:
        n_test = len(conductor.prepared.rows_of(c.task, "test"))
        if not left_open(c, n_test, most):
            continue
        models = [(arm, by_arm[arm, c.task]) for arm in (c.candidate, c.baseline)]
        fewest = min(len(made) for _, made in models if not deterministic(made[0].kind))
        for arm, made in models:
            item = (made[0].kind, arm, made[0].group)
            wanted[item] = max(wanted.get(item, 0), min(2 * fewest, most))
    have = {run.run_id for run in runs}
    asked = [run for item, n in wanted.items() for run in conductor.repeated(Phase.CONFIRM, [item], n)]
    return [run for run in asked if run.run_id not in have]


def left_open(c: Comparison, n_test: int, most: int) -> bool:
    """Whether more runs, up to `most` an arm, may settle on which side of the margin a task lies.

    With the variance of the rows as so many test rows will have it, V_rows n / n_test, and that of the task's own runs,
    the task is clear where P(t_df > |theta + margin| / sqrt(V)) <= 1 %. It is given up where even `most` runs would
    leave |theta + margin| below 0.75 z_0.95 sqrt(V_rows + V_runs S / most), S runs an arm, the mean where one has more,
    or would narrow sqrt(V) by less than a twentieth.
    """
    # A model without luck, whose variance over runs is nothing, needs no second run.
    arms = [(c.n_baseline_runs, c.var_baseline), (c.n_candidate_runs, c.var_candidate)]
    lucky = [(n, variance) for n, variance in arms if variance > 0]
    if not lucky or min(n for n, _ in lucky) >= most:
        return False
    n_runs = sum(n * variance for n, variance in lucky) / sum(variance for _, variance in lucky)
    error, df = (c.standard_error, c.df) if c.own_error is None or c.own_df is None else (c.own_error, c.own_df)
    of_rows = c.var_rows * c.n_rows / max(n_test, 1)
    of_runs = max(error**2 - c.var_rows, 0.0)
    if of_runs == 0.0:
        return False
    distance = abs(c.effect + c.margin)
    if below(-distance, (of_rows + of_runs) ** 0.5, df) <= EARLY:
        return False
    narrowest = (of_rows + of_runs * n_runs / most) ** 0.5
    if narrowest > LEAST * (of_rows + of_runs) ** 0.5:
        return False
    return bool(distance >= FUTILE * float(ndtri(1 - ERROR)) * narrowest)


def said(more: Sequence[Run]) -> str:
    """What is made again, and why, in a sentence."""
    models = len({(run.kind, run.arm, run.group.tasks) for run in more})
    plural = "model is" if models == 1 else "models are"
    why = "Validation rows show that run luck leaves something open"
    return f"{why}: {models} {plural} trained again, {len(more)} more runs in all."
