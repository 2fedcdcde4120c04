"""The ensemble of the single-task runs that a study has paid for already, judged on the same test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sharewise.records import Comparison
from sharewise.study.compare import Pair, compare_all
from sharewise.tasks import TaskKind

ENSEMBLE = "ensemble"


def against_ensembles(pairs: Sequence[Pair]) -> list[Comparison]:
    """For every task with two single-task runs or more: its ensemble against the mean single run, and the shared model
    against the ensemble.

    The ensemble answers with the mean of the runs' probabilities, or of their numbers in the original unit, at S times
    the latency of one run. It is one object, the one that would ship, so that its side of the interval has no run luck:
    the claim is about this ensemble. `pairs` hold the best single-task arm as baseline and the shared one as candidate,
    which may lack runs. Tasks whose best model has one run are left out, as its ensemble is itself, and tags, which are
    codes and have no mean.
    """
    made, shared = [], []
    for pair in pairs:
        if len(pair.baseline) < 2 or pair.task.kind is TaskKind.TOKEN_TAGGING:
            continue
        mean = np.mean(np.stack(pair.baseline), axis=0)
        made.append(
            replace(
                pair,
                candidate_name=ENSEMBLE,
                candidate=[mean],
                candidate_runs=pair.baseline_runs,
                candidate_deterministic=True,
            )
        )
        if pair.candidate:
            shared.append(replace(pair, baseline_name=ENSEMBLE, baseline=[mean], baseline_deterministic=True))
    return [*compare_all(made).comparisons, *compare_all(shared).comparisons]
