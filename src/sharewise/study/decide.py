"""Who answers each task: a decision under risk, on validation rows first and confirmed once on test rows.

Verdicts are for people and err on either side at a fixed rate; what ships weighs the chance of harm against the gain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sharewise.records import Comparison, Decision, Outcome
from sharewise.study.compare import ERROR, t_quantile
from sharewise.study.judge import judge, p_no_harm
from sharewise.study.posterior import Belief, beliefs

MOST_RISK = 0.05
"""Greatest probability of harm beyond the margin at which a task may share: under the pooled posterior, and, once the
test rows are open, by the task's own evidence alone."""


@dataclass(frozen=True)
class Option:
    """The two ways to answer one task: a shared model and the best single-task alternative, compared on validation
    rows (candidate = shared, baseline = single). Without a comparison, `missing` says why there is none."""

    task: str
    shared_arm: str
    shared_group: str
    single_arm: str
    single_group: str
    comparison: Comparison | None
    missing: str = ""


def choose(options: Sequence[Option], *, prefer_fewer_models: bool = False) -> list[Decision]:
    """A route per task from validation evidence, in the order given.

    A task shares when P(theta < -margin) <= 5 % and either E(theta) > 0 or `prefer_fewer_models`, under the posterior
    that pools all the tasks' effects (see `beliefs`); otherwise, and where nothing could be compared, its best single
    model answers.
    """
    believed = _by_task([o.comparison for o in options if o.comparison is not None])
    return [_route(option, believed.get(option.task), prefer_fewer_models) for option in options]


def confirm(
    decisions: Sequence[Decision],
    options: Sequence[Option],
    test: Iterable[Comparison],
    *,
    prefer_fewer_models: bool = False,
) -> list[Decision]:
    """The routes after the test rows were opened once: a shared task may go back to single, never the other way.

    `test` compares the retrained shared model with the retrained single one on test rows. A task goes back when its
    test verdict is harm, when it could not be compared there, or when validation and test evidence together (the least
    variable mix; luck of runs that were scored on both counts once) no longer meet the rule of `choose`, or do not
    clear the task on its own: P(t_df < -(theta + margin) / SE) <= 5 %. The posterior alone would let nine tasks that
    gain carry a tenth that is harmed a little beyond the margin; with its own key turned too, a task harmed beyond the
    margin is shipped in at most 5 % of studies, whatever the others are like.
    """
    opened = {c.task: c for c in test}
    before = {o.task: o for o in options}
    both = {
        o.task: _joined(o.comparison, opened[o.task]) for o in options if o.comparison is not None and o.task in opened
    }
    believed = _by_task(list(both.values()))
    return [
        _confirmed(d, before[d.task], opened[d.task], both[d.task], believed[d.task], prefer_fewer_models)
        if d.shared and d.task in both
        else _unconfirmed(d, before[d.task])
        for d in decisions
    ]


def _by_task(comparisons: Sequence[Comparison]) -> dict[str, Belief]:
    return {belief.task: belief for belief in beliefs(comparisons)}


def _route(option: Option, belief: Belief | None, prefer_fewer_models: bool) -> Decision:
    c = option.comparison
    if belief is None or c is None:
        why = option.missing or "there is nothing to compare"
        return _single(option, None, f"Its single-task model answers, because {why}.")
    risk, gain = belief.probability_harm, belief.expected_gain
    told = f"harm beyond {_amount(c.margin, c)} has probability {_percent(risk)}"
    if risk > MOST_RISK:
        return _single(option, belief, f"Its single-task model answers, because {told}, more than 5 %.")
    if gain <= 0 and not prefer_fewer_models:
        expected = f"the expected change is {_signed(gain, c)}"
        return _single(option, belief, f"Its single-task model answers, because nothing is gained: {expected}.")
    reason = f"Shared: {told}, and the expected change is {_signed(gain, c)}"
    reason += "; fewer models are preferred." if gain <= 0 else "."
    return Decision(option.task, option.shared_arm, option.shared_group, True, risk, gain, reason)


def _single(option: Option, belief: Belief | None, reason: str) -> Decision:
    risk = None if belief is None else belief.probability_harm
    gain = None if belief is None else belief.expected_gain
    return Decision(option.task, option.single_arm, option.single_group, False, risk, gain, reason)


def _unconfirmed(decision: Decision, option: Option) -> Decision:
    if not decision.shared:
        return decision
    return _single(
        option, None, "Its single-task model answers, because sharing could not be confirmed on the test rows."
    )


def _confirmed(
    decision: Decision,
    option: Option,
    test: Comparison,
    both: Comparison,
    belief: Belief,
    prefer_fewer_models: bool,
) -> Decision:
    if judge(test).outcome is Outcome.HARM:
        seen = f"{_signed(test.effect, test)} [{_signed(test.low, test)}, {_signed(test.high, test)}]"
        return _single(option, belief, f"Its single-task model answers, because the test rows confirm harm: {seen}.")
    again = _route(replace(option, comparison=test), belief, prefer_fewer_models)
    if not again.shared:
        return replace(again, reason=again.reason.replace("because ", "because with the test rows ", 1))
    own = p_no_harm(both)
    if own > MOST_RISK:
        told = f"its own rows leave harm beyond {_amount(test.margin, test)} a probability of {_percent(own)}"
        return _single(option, belief, f"Its single-task model answers, because {told}, more than 5 %.")
    return again


def _joined(validation: Comparison, test: Comparison) -> Comparison:
    """The estimate of least variance from both comparisons, with its interval.

    Their rows are independent. Runs that were scored on both carry their luck into both: with C the sum over such arms
    of sqrt(V_validation V_test), w = (V_test - C) / (V_validation + V_test - 2 C) weighs validation, and df is the
    lesser of the two; without such runs C is 0 and df Satterthwaite's, the weights taken as known.
    """
    v1, v2 = (max(c.standard_error, 1e-6 * c.margin) ** 2 for c in (validation, test))
    shared = 0.0
    if not _apart(validation.baseline_runs, test.baseline_runs):
        shared += (validation.var_baseline * test.var_baseline) ** 0.5
    if not _apart(validation.candidate_runs, test.candidate_runs):
        shared += (validation.var_candidate * test.var_candidate) ** 0.5
    below = v1 + v2 - 2 * shared
    w1 = min(1.0, max(0.0, (v2 - shared) / below)) if below > 0 else 0.5
    w2 = 1.0 - w1
    variance = w1**2 * v1 + w2**2 * v2 + 2 * w1 * w2 * shared
    effect = w1 * validation.effect + w2 * test.effect
    if shared > 0:
        df = min(validation.df, test.df)
    else:
        df = variance**2 / ((w1**2 * v1) ** 2 / validation.df + (w2**2 * v2) ** 2 / test.df)
    half = t_quantile(1 - ERROR, df) * variance**0.5
    return replace(
        test,
        effect=effect,
        low=effect - half,
        high=effect + half,
        var_rows=variance,
        var_baseline=0.0,
        var_candidate=0.0,
        df=df,
    )


def _apart(first: Sequence[str], second: Sequence[str]) -> bool:
    """True where both name their runs and have none in common; unnamed runs may be the same."""
    return bool(first) and bool(second) and not set(first) & set(second)


def _percent(p: float) -> str:
    if p < 0.001:
        return "under 0.1 %"
    return f"{100 * p:.1f} %" if p < 0.1 else f"{100 * p:.0f} %"


def _amount(value: float, c: Comparison) -> str:
    return f"{100 * value:.3g} {'%' if c.scale == 'relative' else 'points'}"


def _signed(value: float, c: Comparison) -> str:
    return f"{100 * value:+.1f} {'%' if c.scale == 'relative' else 'points'}"
