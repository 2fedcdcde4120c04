"""Who answers each task: a decision under risk.

Verdicts are for people and err on either side at a fixed rate; what ships weighs the chance of harm against the gain.
The evidence is the test rows', opened once by runs with fresh seeds. Validation rows chose the single models' trials,
checkpoints and kinds, and flatter them for it: on 139 small tasks the mean change read -4 points there and +10 points
on test rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sharewise.records import Comparison, Decision, Outcome
from sharewise.study.judge import judge, p_no_harm
from sharewise.study.posterior import Belief, beliefs

MOST_RISK = 0.05
"""Greatest probability of harm beyond the margin at which a task may share, by the task's own evidence alone; and the
most that these probabilities under the pooled posterior may add up to over all tasks that share."""


@dataclass(frozen=True)
class Option:
    """The two ways to answer one task: a shared model and the best single-task alternative, compared on test
    rows (candidate = shared, baseline = single). Without a comparison, `missing` says why there is none."""

    task: str
    shared_arm: str
    shared_group: str
    single_arm: str
    single_group: str
    comparison: Comparison | None
    missing: str = ""


def choose(options: Sequence[Option], *, prefer_fewer_models: bool = False) -> list[Decision]:
    """A route per task, in the order given.

    A task shares when P(theta < -margin) <= 5 % and either E(theta) > 0 or `prefer_fewer_models`, under the posterior
    that pools all the tasks' effects (see `beliefs`), and when it clears the margin by its own rows and runs too:
    P(t_df < -(theta + margin) / SE) <= 5 % (see `judge.p_no_harm`). The posterior alone would let nine tasks that gain
    carry a tenth that is harmed a little beyond the margin; with its own key turned too, a task harmed beyond the
    margin is shipped in at most 5 % of studies, whatever the others are like. Of those tasks, the least likely harmed
    share first, as long as their posterior probabilities of harm add up to at most 5 %, which bounds the probability
    that the study ships any harmed task as far as the tasks are like one another as `beliefs` has it. Otherwise, and
    where nothing could be compared or the verdict is harm, its best single model answers.
    """
    believed = _by_task([o.comparison for o in options if o.comparison is not None])
    routed = [_own_key(option, _route(option, believed.get(option.task), prefer_fewer_models)) for option in options]
    return _within_study(options, routed)


def _within_study(options: Sequence[Option], decisions: Sequence[Decision]) -> list[Decision]:
    """The decisions with the riskiest shared tasks sent back to single until the study as a whole is safe."""
    made, spent = list(decisions), 0.0
    risks = [(d.probability_harm or 0.0, i) for i, d in enumerate(decisions) if d.shared]
    for risk, i in sorted(risks):
        spent += risk
        if spent > MOST_RISK:
            reason = f"its probability of harm, {percent(risk)}, would bring that of any harmed task in this study to"
            made[i] = _back(options[i], decisions[i], f"{reason} {percent(spent)}, more than 5 %.")
    return made


def _back(option: Option, decision: Decision, reason: str) -> Decision:
    told = f"Its single-task model answers, because {reason}"
    return replace(decision, arm=option.single_arm, group=option.single_group, shared=False, reason=told)


def _own_key(option: Option, decision: Decision) -> Decision:
    """A shared task goes back to single where its own evidence is harm, or leaves harm too probable."""
    c = option.comparison
    if not decision.shared or c is None:
        return decision
    reason = ""
    if judge(c).outcome is Outcome.HARM:
        reason = f"its rows confirm harm: {signed(c.effect, c)} [{signed(c.low, c)}, {signed(c.high, c)}]."
    elif (own := p_no_harm(c)) > MOST_RISK:
        told = f"{amount(c.margin, c)} a probability of {percent(own)}"
        reason = f"its own rows and runs leave harm beyond {told}, more than 5 %."
    return _back(option, decision, reason) if reason else decision


def _by_task(comparisons: Sequence[Comparison]) -> dict[str, Belief]:
    return {belief.task: belief for belief in beliefs(comparisons)}


def _route(option: Option, belief: Belief | None, prefer_fewer_models: bool) -> Decision:
    c = option.comparison
    if belief is None or c is None:
        why = option.missing or "there is nothing to compare"
        return _single(option, None, f"Its single-task model answers, because {why}.")
    risk, gain = belief.probability_harm, belief.expected_gain
    told = f"harm beyond {amount(c.margin, c)} has probability {percent(risk)}"
    if risk > MOST_RISK:
        return _single(option, belief, f"Its single-task model answers, because {told}, more than 5 %.")
    if gain <= 0 and not prefer_fewer_models:
        expected = f"the expected change is {signed(gain, c)}"
        return _single(option, belief, f"Its single-task model answers, because nothing is gained: {expected}.")
    reason = f"Shared: {told}, and the expected change is {signed(gain, c)}"
    reason += "; fewer models are preferred." if gain <= 0 else "."
    return Decision(option.task, option.shared_arm, option.shared_group, True, risk, gain, reason)


def _single(option: Option, belief: Belief | None, reason: str) -> Decision:
    risk = None if belief is None else belief.probability_harm
    gain = None if belief is None else belief.expected_gain
    return Decision(option.task, option.single_arm, option.single_group, False, risk, gain, reason)


def percent(p: float) -> str:
    """A probability in words."""
    if p < 0.001:
        return "under 0.1 %"
    return f"{100 * p:.1f} %" if p < 0.1 else f"{100 * p:.0f} %"


def amount(value: float, c: Comparison) -> str:
    """A size of change on the comparison's scale."""
    return f"{100 * value:.3g} {'%' if c.scale == 'relative' else 'points'}"


def signed(value: float, c: Comparison) -> str:
    """A change on the comparison's scale."""
    return f"{100 * value:+.1f} {'%' if c.scale == 'relative' else 'points'}".replace("-", "−")
