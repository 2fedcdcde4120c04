"""Would one retrain alone have decided the same? Asked of every confirmation run, at no further cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sharewise import metrics
from sharewise.records import Comparison, Decision, Stability
from sharewise.study.decide import Option, choose


def stability(
    options: Sequence[Option], decisions: Sequence[Decision], *, prefer_fewer_models: bool = False
) -> tuple[Stability, ...]:
    """The shipping rule once more for each retrain, its change in the place of the mean over runs.

    Retrain s is the s-th run of the shared model against the s-th of the single-task model; the one that has fewer
    starts again at its first (a model without luck has one run, which stands for all). Only the change moves: the width
    of the interval stays that of the whole study, as one run cannot say how much runs differ. Tasks that were not
    compared are left out.
    """
    compared = [option for option in options if option.comparison is not None]
    if not compared:
        return ()
    n = max(max(c.n_candidate_runs, c.n_baseline_runs) for o in compared if (c := o.comparison) is not None)
    alone = [[replace(o, comparison=_retrain(o.comparison, s)) for o in compared] for s in range(n)]
    answers = [choose(options_s, prefer_fewer_models=prefer_fewer_models) for options_s in alone]
    decided = {decision.task: decision.shared for decision in decisions}
    made = []
    for i, option in enumerate(compared):
        assert option.comparison is not None
        own = range(max(option.comparison.n_candidate_runs, option.comparison.n_baseline_runs))
        effects = tuple(retrain.effect for s in own if (retrain := alone[s][i].comparison) is not None)
        shared = tuple(answers[s][i].shared for s in own)
        same = sum(one == decided[option.task] for one in shared)
        made.append(Stability(option.task, option.comparison.scale, effects, shared, same))
    return tuple(made)


def _retrain(c: Comparison | None, number: int) -> Comparison | None:
    """The comparison with the change of one retrain in the place of the mean's."""
    if c is None or not c.baseline_run_scores or not c.candidate_run_scores:
        return c
    baseline = c.baseline_run_scores[number % len(c.baseline_run_scores)]
    candidate = c.candidate_run_scores[number % len(c.candidate_run_scores)]
    effect = metrics.metric(c.metric).effect_of(baseline, candidate)
    if effect is None:
        return c
    moved = effect - c.effect
    return replace(
        c,
        baseline_score=baseline,
        candidate_score=candidate,
        effect=effect,
        low=c.low + moved,
        high=c.high + moved,
    )
