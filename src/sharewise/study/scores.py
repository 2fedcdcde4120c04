"""What each task's best single-task arm scores by itself, with an interval of the score: there is one where no shared
model was compared, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharewise.metrics import metric
from sharewise.records import OwnScore
from sharewise.study.compare import (
    ASSUMED_RUN_SD,
    ERROR,
    Arm,
    Pair,
    Parts,
    arm_of,
    by_entity,
    combine,
    df_of_rows,
    t_quantile,
)

CERTAIN = Arm(1, 0.0, 0.0, float("inf"))
"""An arm without run luck."""


def own_scores(pairs: Sequence[Pair]) -> tuple[OwnScore, ...]:
    """The score of every pair's baseline, where it has one; the candidates are not looked at."""
    found = (_own(pair) for pair in pairs if pair.baseline)
    return tuple(one for one in found if one is not None)


def _own(pair: Pair) -> OwnScore | None:
    """Score and interval of one arm: V = V_rows + V_runs and Satterthwaite's df, as in `compare.compare_all`.

    The mean of the per-row values is taken to the metric's power, and so are the ends of its interval: a metric where
    less is better ends at 0, one where more is better at 1, its best value.
    """
    kind = metric(pair.task.metric)
    values = [kind.per_row(pair.truth, pair.present, run) for run in pair.baseline]
    usable = [x for x in values if x is not None]
    if len(usable) < len(values):
        return None
    x = np.stack(usable)
    rows = pair.present.astype(bool).any(axis=1)
    clusters = None if pair.clusters is None else pair.clusters[rows]
    y = x if clusters is None else by_entity(x, clusters)
    mean, n = float(x.mean()), y.shape[1]
    if n < 2 or (kind.power != 1.0 and mean < 0):
        return None
    each = y.mean(axis=0)
    runs = CERTAIN if pair.baseline_deterministic else arm_of(y)
    if not pair.baseline_deterministic and runs.df == 0:
        runs = Arm(1, (ASSUMED_RUN_SD * mean / kind.power) ** 2, 0.0, 1.0)
    parts = Parts(0.0, mean, mean, float(each.var(ddof=1)) / n, df_of_rows(each), CERTAIN, runs)
    _, of_runs, df = combine(parts, CERTAIN, runs)
    half = t_quantile(1 - ERROR, df) * (parts.var_rows + of_runs) ** 0.5
    low, high = mean - half, mean + half
    low, high = (low, min(high, 1.0)) if kind.bigger_is_better else (max(low, 0.0), high)
    return OwnScore(
        task=pair.task.name,
        metric=kind.name,
        arm=pair.baseline_name,
        score=mean**kind.power,
        low=low if kind.power == 1.0 else low**kind.power,
        high=high if kind.power == 1.0 else high**kind.power,
        n_rows=x.shape[1],
        runs=pair.baseline_runs,
        run_scores=tuple(float(one) ** kind.power for one in x.mean(axis=1)),
        n_entities=None if clusters is None else n,
    )
