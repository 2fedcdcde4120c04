"""Who else could answer a task: a further model against the one that sharing's contest left, once that is decided.

Sharing is judged against single-task models that start afresh, so that a verdict says what sharing does and nothing
else. A transferred network is a third way: one network a task like theirs, trained with other tasks' labels like the
shared model. It takes a task over where it earns that place from whoever holds it, by the rule by which a task shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sharewise.records import Calibration, Challenge, Comparison, Decision, Outcome, to_json, write_atomic
from sharewise.study.calibration import calibration
from sharewise.study.compare import Pair
from sharewise.study.decide import MOST_RISK, amount, percent, signed
from sharewise.study.ensemble import ENSEMBLE
from sharewise.study.judge import judge, p_no_harm
from sharewise.study.posterior import Belief, beliefs
from sharewise.study.run import Conductor, Findings
from sharewise.study.transfer import Transfers
from sharewise.tasks import TaskKind

TRANSFER = "transfer"


@dataclass(frozen=True)
class Challenger:
    """Who challenges for one task: an arm, and its comparisons with the task's best single-task model (`alone`) and
    with whoever answers now (`against`); where there is none, `missing` says why. One that is `dearer` to serve than
    who answers now must be shown better, not merely be likely to be."""

    task: str
    kind: str
    arm: str
    group: str
    n_models: int
    alone: Comparison | None
    against: Comparison | None
    missing: str = ""
    dearer: bool = False


def settle(
    challengers: Sequence[Challenger], decisions: Sequence[Decision], tried: Mapping[str, Mapping[str, float]]
) -> list[Challenge]:
    """Whether each challenger takes its task over from the arm that answers now.

    It does where harm beyond the margin has probability at most 5 % under the posterior that pools all challengers of a
    kind, and by the task's own rows and runs alone, and the expected change is positive: the rule of `decide.choose`.
    One that takes more models than who answers now needs more: its whole interval above zero. Ties go to who is there.
    """
    now = {d.task: d for d in decisions}
    believed = {b.task: b for b in beliefs([c.against for c in challengers if c.against is not None])}
    made = []
    for one in challengers:
        belief = believed.get(one.task)
        objection = _objection(one, belief)
        made.append(
            Challenge(
                task=one.task,
                kind=one.kind,
                arm=one.arm,
                group=one.group,
                incumbent=now[one.task].arm,
                verdict=None if one.alone is None else judge(one.alone),
                against=one.against,
                probability_harm=None if belief is None else belief.probability_harm,
                expected_gain=None if belief is None else belief.expected_gain,
                n_models=one.n_models,
                answers=not objection,
                reason=objection or _merit(one.against, belief),
                tried=dict(tried.get(one.task, {})),
            )
        )
    return made


def _objection(one: Challenger, belief: Belief | None) -> str:
    """Why a challenger does not answer, as a clause; empty where nothing speaks against it."""
    c = one.against
    if c is None or belief is None:
        return one.missing or "it could not be compared on test rows"
    if belief.probability_harm > MOST_RISK:
        return f"{_risk(c, belief)}, more than 5 %"
    if belief.expected_gain <= 0:
        return f"nothing is gained over '{c.baseline}': the expected change is {signed(belief.expected_gain, c)}"
    if judge(c).outcome is Outcome.HARM:
        return f"its rows confirm harm against '{c.baseline}'"
    if one.dearer and c.low <= 0:
        change = f"{signed(c.effect, c)} [{signed(c.low, c)}, {signed(c.high, c)}]"
        return f"it takes a further model and is not shown to be better than '{c.baseline}': {change}"
    own = p_no_harm(c)
    if own > MOST_RISK:
        left = f"its own rows and runs leave harm against '{c.baseline}' a probability of {percent(own)}"
        return f"{left}, more than 5 %"
    return ""


def _merit(c: Comparison | None, belief: Belief | None) -> str:
    """Why a challenger answers, as a clause."""
    assert c is not None
    assert belief is not None
    return f"{_risk(c, belief)}, and the expected change is {signed(belief.expected_gain, c)}"


def _risk(c: Comparison, belief: Belief) -> str:
    return (
        f"harm beyond {amount(c.margin, c)} against '{c.baseline}' has probability {percent(belief.probability_harm)}"
    )


def taken_over(decisions: Sequence[Decision], challenges: Sequence[Challenge]) -> tuple[Decision, ...]:
    """The decisions with every task that a challenger won in its hands."""
    won = {c.task: c for c in challenges if c.answers}
    made = []
    for decision in decisions:
        found = won.get(decision.task)
        if found is None:
            made.append(decision)
            continue
        reason = f"'{found.arm}' took it over from '{found.incumbent}': {found.reason}."
        made.append(
            Decision(found.task, found.arm, found.group, False, found.probability_harm, found.expected_gain, reason)
        )
    return tuple(made)


def with_transfers(conductor: Conductor, findings: Findings, transfers: Transfers) -> Findings:
    """The findings after every task's transfer has been judged on the test rows."""
    now = {decision.task: decision for decision in findings.decisions}
    alone, why = conductor.compared(
        [
            conductor.pair(t, findings.singles[t], arm, findings.confirmation, "test")
            for t, arm in transfers.chosen.items()
        ]
    )
    by_task = {c.task: c for c in alone}
    others = {t: arm for t, arm in transfers.chosen.items() if now[t].arm != findings.singles[t]}
    against, why_not = conductor.compared(
        [conductor.pair(t, now[t].arm, arm, findings.confirmation, "test") for t, arm in others.items()]
    )
    held = {t: c for t, c in by_task.items() if t not in others} | {c.task: c for c in against}
    challengers = [
        Challenger(
            t,
            TRANSFER,
            arm,
            conductor.home(arm, t),
            1,
            by_task.get(t),
            held.get(t),
            why_not.get(t) or why.get(t, ""),
            dearer=now[t].shared,
        )
        for t, arm in transfers.chosen.items()
    ]
    challenges = settle(challengers, findings.decisions, transfers.gains)
    decisions = taken_over(findings.decisions, challenges)
    measured = conductor.calibrations(decisions, findings.singles, findings.confirmation, findings.selected)
    return replace(findings, decisions=decisions, calibration=measured, challenges=(*findings.challenges, *challenges))


def with_ensembles(conductor: Conductor, findings: Findings) -> Findings:
    """The findings after every task's ensemble of single-task runs has been judged on the same test rows.

    It takes as many models as it has runs, so that it must be shown better than who answers now. Tags of tokens are
    codes, which have no mean.
    """
    pairs = _averaged(conductor, findings)
    against, why = conductor.compared(list(pairs.values()))
    alone = {c.task: c for c in findings.ensembles if c.candidate == ENSEMBLE}
    # Against a task's best single-task model the ensemble has been compared: one question, one interval.
    fresh = {t for t, pair in pairs.items() if pair.baseline_name == findings.singles[t]}
    held = {c.task: c for c in against} | {t: c for t, c in alone.items() if t in fresh}
    challengers = [
        Challenger(
            task,
            ENSEMBLE,
            ENSEMBLE,
            f"{ENSEMBLE}:{conductor.home(findings.singles[task], task)}",
            len(pair.candidate_runs),
            alone.get(task),
            held.get(task),
            why.get(task, ""),
            dearer=True,
        )
        for task, pair in pairs.items()
    ]
    challenges = settle(challengers, findings.decisions, {})
    decisions = taken_over(findings.decisions, challenges)
    measured = conductor.calibrations(decisions, findings.singles, findings.confirmation, findings.selected)
    own = [_calibration(conductor, findings, c.task, pairs[c.task]) for c in challenges if c.answers]
    return replace(
        findings,
        decisions=decisions,
        calibration=(*measured, *(made for made in own if made is not None)),
        challenges=(*findings.challenges, *challenges),
    )


def _averaged(conductor: Conductor, findings: Findings) -> dict[str, Pair]:
    """By task, who answers now and, as its candidate, the mean of its best single-task arm's runs; where there are two.

    The mean is one object, the one that would ship, so that its side of the interval has no run luck.
    """
    now = {decision.task: decision for decision in findings.decisions}
    made = {}
    for task in conductor.judged:
        pair = conductor.pair(task.name, findings.singles[task.name], now[task.name].arm, findings.confirmation, "test")
        if len(pair.baseline) < 2 or task.kind is TaskKind.TOKEN_TAGGING:
            continue
        made[task.name] = replace(
            pair,
            baseline_name=pair.candidate_name,
            baseline=pair.candidate,
            baseline_runs=pair.candidate_runs,
            baseline_deterministic=pair.candidate_deterministic,
            candidate_name=ENSEMBLE,
            candidate=[np.mean(np.stack(pair.baseline), axis=0)],
            candidate_runs=pair.baseline_runs,
            candidate_deterministic=True,
        )
    return made


def _calibration(conductor: Conductor, findings: Findings, task: str, pair: Pair) -> Calibration | None:
    """How far an ensemble's certainty can be taken at its word."""
    single = findings.singles[task]
    before = conductor.pair(task, single, single, findings.confirmation, "validation").baseline
    validation = conductor.prepared.truth(task, "validation")
    mean = [np.mean(np.stack(before), axis=0)]
    test = (pair.truth, pair.present)
    return calibration(conductor.tasks[task], ENSEMBLE, True, test, list(pair.candidate), validation, mean)


def write(conductor: Conductor, findings: Findings) -> None:
    """`challenges.json`, where there was any."""
    if findings.challenges:
        write_atomic(conductor.directory / "challenges.json", to_json(findings.challenges))
