"""The case for a plan, in sentences: why these tasks share, what shows that it helps, how harm was looked for.

Rules as in `sentences`: each says no more than the records it names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sharewise.records import Comparison, Role
from sharewise.report import sentences, words
from sharewise.report.instead import ENSEMBLE
from sharewise.report.load import StudyRecords
from sharewise.report.rows import State, TaskRow, of_state
from sharewise.report.sentences import Sentence

FEW = 6
"""Up to so many tasks are spoken of one by one."""


# --- should these tasks share, and why these --------------------------------------------------------------


def sharing(records: StudyRecords, rows: Sequence[TaskRow]) -> list[Sentence]:
    """Why each task that shares does: what is expected of it, and at what risk."""
    found = [row for row in rows if row.shares and _expected(row)]
    if len(found) > FEW:
        return [_sharing_all(found)]
    made = []
    for row in found:
        d, c = row.decision, _comparison(row)
        assert d is not None
        text = (
            f"{row.name} shares: given the effects of all tasks its score is expected to change by "
            f"{words.change(d.expected_gain, c.scale)} (plus is better), and harm beyond "
            f"{words.amount(c.margin, c.scale)} "
            f"has a probability of {words.percent(d.probability_harm)}."
        )
        at = (f"{row.decision_at}/expected_gain", f"{row.decision_at}/probability_harm")
        made.append(Sentence("sharing", text, (*at, f"{row.verdict_at}/comparison/margin")))
    return made


def _sharing_all(rows: Sequence[TaskRow]) -> Sentence:
    spans = []
    for scale, members in _by_scale(rows).items():
        gains = [row.decision.expected_gain for row in members if row.decision is not None]
        known = [gain for gain in gains if gain is not None]
        spans.append(f"between {words.change(min(known), scale)} and {words.change(max(known), scale)}")
    risk = max(row.decision.probability_harm or 0.0 for row in rows if row.decision is not None)
    most = words.percent(risk)
    most = most if most.startswith("under") else f"at most {most}"
    text = (
        f"The scores of the {words.count(len(rows))} tasks that share are expected to change by {words.parts(spans)} "
        f"(plus is better); harm beyond the margin has a probability of {most} for each."
    )
    return Sentence("sharing all", text, tuple(row.decision_at for row in rows))


def staying_alone(records: StudyRecords, rows: Sequence[TaskRow]) -> list[Sentence]:
    """Why each task that stays alone does, in the words of its route; nothing where they are many."""
    alone = [row for row in rows if not row.shares and row.decision is not None and row.decision.reason]
    if len(alone) > FEW or not contested(records):
        return []
    return [
        Sentence("route", f"{row.name}: {_clause(row.decision.reason)}", (f"{row.decision_at}/reason",))
        for row in alone
        if row.decision is not None
    ]


def contested(records: StudyRecords) -> bool:
    """Whether any plan that shares was there to be tried; else the headline has said why not."""
    return any(arm.role is Role.CANDIDATE for arm in records.arms.values())


def _clause(reason: str) -> str:
    """A route's reason as it follows a colon, with the minus sign of this page."""
    return (reason[:1].lower() + reason[1:]).replace(" -", f" {words.MINUS}")


def contest(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """How the plan was chosen among those that were tried."""
    promise = {} if records.summary is None else records.summary.promises
    if records.confirmed is None or not promise:
        return None
    if len(promise) == 1:
        text = f"One plan that shares was tried: '{records.confirmed}'{_meant(records)}."
        return Sentence("only plan", text, ("summary.json#/promises", "summary.json#/selected"))
    ranked = sorted(promise, key=lambda name: -promise[name])
    listed = words.listing((f"{_plus(promise[name])} for '{name}'" for name in ranked), limit=5)
    text = (
        f"Of {words.in_words(len(ranked))} plans that share, '{records.confirmed}' was chosen on validation rows, by "
        f"the expected mean change over all tasks against their best single-task models, in margins: {listed}."
    )
    return Sentence("contest", text, ("summary.json#/promises", "summary.json#/selected"))


def _meant(records: StudyRecords) -> str:
    """What the confirmed plan is, where one group says it all."""
    arm = records.arms.get(records.confirmed or "")
    if arm is None or len(arm.plan.groups) > 1:
        return ""
    return f", one model for {words.all_of(len(arm.plan.tasks))} tasks"


def _plus(value: float) -> str:
    return f"{value:+.2f}".replace("-", words.MINUS)


# --- the evidence that sharing helps ----------------------------------------------------------------------


def tally(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What the verdicts say, counted."""
    judged = [row for row in rows if row.verdict is not None]
    if not judged:
        return None
    n = len(judged)
    better, harmed = of_state(judged, State.BETTER), of_state(judged, State.HARM)
    fine, open_ = of_state(judged, State.SAFE, State.WORSE), of_state(judged, State.UNDECIDED)
    if n == 1:
        text = (
            f"On its test rows, against the best single-task model, the verdict for {judged[0].name} is: "
            f"{judged[0].state.value}."
        )
        return Sentence("tally", text, (judged[0].verdict_at,))
    text = (
        f"On test rows, against the best single-task model of each of {words.plural(n, 'task')}, sharing is better for "
        f"{words.some_of(len(better))}, does no harm beyond the margin to {words.some_of(len(fine))}, harms "
        f"{words.some_of(len(harmed))}, and leaves {words.some_of(len(open_))} open."
    )
    return Sentence("tally", text, tuple(row.verdict_at for row in judged))


def clearest(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """The gain whose interval is farthest from zero, in the metric's own unit."""
    better = of_state(rows, State.BETTER)
    if not better:
        return None
    row = max(better, key=lambda r: _comparison(r).low / _comparison(r).margin)
    c = _comparison(row)
    text = (
        f"The clearest gain is {row.name}: {row.metric_label} {words.score(c.candidate_score)} with the shared model "
        f"against {words.score(c.baseline_score)} with {c.baseline}, a change of {words.change(c.effect, c.scale)} "
        f"{words.interval(c.low, c.high, c.scale)} over {words.plural(c.n_rows, 'test row')}."
    )
    return Sentence("clearest gain", text, (f"{row.verdict_at}/comparison",))


def spread(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """How much tasks differ around the pooled mean."""
    effects = [] if records.summary is None else list(enumerate(records.summary.pooled))
    if not effects:
        return None
    i, effect = next(((i, e) for i, e in effects if e.family is None), effects[0])
    text = (
        f"From task to task it varies around that with a standard deviation of about "
        f"{_size(effect.between_sd, effect.scale)}."
    )
    return Sentence("spread", text, (f"summary.json#/pooled/{i}/between_sd",))


def rivals(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Which single-task models sharing was measured against."""
    judged = [row for row in rows if row.verdict is not None]
    if not judged:
        return None
    by_arm = Counter(_comparison(row).baseline for row in judged)
    of = {len(judged): f"all {words.in_words(len(judged))}" if len(judged) > 2 else "both"}
    named = [f"{_kind(records, arm)} for {of.get(n) or words.in_words(n)}" for arm, n in by_arm.most_common()]
    noun = "The best single-task model, chosen on validation rows, is"
    text = f"{noun} {words.parts(named)}." if len(judged) > 1 else f"{noun} {_kind(records, next(iter(by_arm)))}."
    return Sentence("rivals", text, tuple(f"{row.verdict_at}/comparison/baseline" for row in judged))


def _kind(records: StudyRecords, arm: str) -> str:
    """An arm's name with what it is."""
    found = records.arms.get(arm)
    return arm if found is None or found.model.lower() == arm.lower() else f"{arm} ({found.model})"


# --- how negative transfer was looked for -----------------------------------------------------------------


def meaning(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What counts as harm here."""
    judged = [row for row in rows if row.verdict is not None]
    if not judged:
        return None
    margins = sorted({(c.margin, c.scale) for row in judged for c in [_comparison(row)]})
    told = words.listing((words.amount(margin, scale) for margin, scale in margins), limit=5)
    which = "its margin of" if len(margins) == 1 else "its margin, one of"
    text = (
        f"Negative transfer means here that the shared model's score is worse than that of the task's best single-task "
        f"model by more than {which} {told}."
    )
    return Sentence("meaning", text, tuple(f"{row.verdict_at}/comparison/margin" for row in judged))


def search(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """How it was tested for."""
    judged = [row for row in rows if row.verdict is not None]
    if not judged or records.design is None:
        return None
    error = words.percent((1 - records.design.level) / 2)
    each = "Each task was" if len(judged) > 1 else "The task was"
    text = (
        f"{each} tested for it on test rows that no choice had seen, with an interval that counts the luck of the runs "
        f"and of the rows; a claim of harm, or of no harm, is wrong in about {error} of studies."
    )
    return Sentence("search", text, ("design.json#/level",))


def found_harm(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Where it was found, and whether any of it ships."""
    judged = [row for row in rows if row.verdict is not None]
    if not judged:
        return None
    harmed = of_state(judged, State.HARM)
    if not harmed:
        text = "It was found in no task."
        return Sentence("found", text, tuple(row.verdict_at for row in judged))
    ships = [row for row in harmed if row.shares]
    end = (
        f"Of these, {words.listing(row.name for row in ships)} {words.verb(len(ships), 'ships', 'ship')} shared."
        if ships
        else f"{'It is' if len(harmed) == 1 else 'All are'} answered by {_own(records, harmed)}, so that none of the "
        "harm ships."
    )
    names = words.listing((row.name for row in harmed), limit=8)
    text = f"It was found in {words.count(len(harmed))} of {words.plural(len(judged), 'task')}: {names}. {end}"
    return Sentence("found", text, tuple(at for row in harmed for at in (row.verdict_at, row.decision_at)))


def _own(records: StudyRecords, alone: Sequence[TaskRow]) -> str:
    """The models that answer tasks which do not share."""
    n = len(alone)
    if all(row.decision is not None and row.decision.arm == ENSEMBLE for row in alone):
        return f"the mean of {words.verb(n, 'its', 'their')} single-task runs"
    if any(sentences.transferred(records, row) for row in alone):
        return words.verb(n, "a network of its own that started from other tasks' weights", "models of their own")
    if any(row.decision is not None and row.decision.arm == ENSEMBLE for row in alone):
        return "models of their own"
    return f"{words.verb(n, 'its', 'their')} single-task {words.verb(n, 'model', 'models')}"


def listed(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Which of the harmed tasks may be named together (Holm)."""
    harmed = of_state(rows, State.HARM)
    if records.summary is None or records.summary.gate is None or len(harmed) < 2:
        return None
    names = records.summary.harmed
    error = words.percent(0.05 if records.design is None else (1 - records.design.level) / 2)
    if len(names) == len(harmed):
        text = f"The list as a whole holds: the chance that any name on it is wrong is at most {error} (Holm)."
    elif names:
        text = (
            f"As a list, with a chance of at most {error} that any name on it is wrong (Holm), "
            f"{words.listing(names, limit=8)} {words.verb(len(names), 'stands', 'stand')}."
        )
    else:
        text = f"As a list, with a chance of at most {error} that any name on it is wrong (Holm), none of them stands."
    return Sentence("listed together", text, ("summary.json#/harmed",))


def gate(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Whether one may say that no task is harmed."""
    found = None if records.summary is None else records.summary.gate
    if found is None or len([row for row in rows if row.verdict is not None]) < 2:
        return None
    answer = "may be said of the plan as it was trained" if found.passed else "cannot be said of the plan as trained"
    text = f"“No task is harmed” {answer}: {found.sentence[0].lower()}{found.sentence[1:]}"
    return Sentence("gate", text, ("summary.json#/gate",))


def least_favourable(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """The worst change of any task, shared or not."""
    judged = [row for row in rows if row.verdict is not None]
    if not judged:
        return None
    row = min(judged, key=lambda r: _comparison(r).effect / _comparison(r).margin)
    c = _comparison(row)
    who = "the shared model" if row.shares else _own(records, [row])
    text = (
        f"The worst change of any task is {words.change(c.effect, c.scale)} {words.interval(c.low, c.high, c.scale)}, "
        f"for {row.name}, which {who} answers."
    )
    if len(judged) == 1:
        text = (
            f"Its change is {words.change(c.effect, c.scale)} {words.interval(c.low, c.high, c.scale)}; {who} answers."
        )
    return Sentence("worst of all", text, (f"{row.verdict_at}/comparison", f"{row.decision_at}/shared"))


def precision(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Whether the study could have seen a harm of the margin's size."""
    judged = [row for row in rows if row.verdict is not None]
    if not judged:
        return None
    open_ = of_state(judged, State.UNDECIDED)
    spans = []
    for scale, members in _by_scale(judged).items():
        reaches = [_reach(_comparison(row)) for row in members]
        low, high = _size(min(reaches), scale), _size(max(reaches), scale)
        spans.append(f"{low}" if len(members) == 1 else f"{low} to {high}")
    subject = "The interval reaches" if len(judged) == 1 else "The intervals reach"
    hidden = "no verdict is open, so that no harm of the size of the margin can hide"
    if open_:
        where = _some(len(open_), len(judged))
        hidden = f"harm of the size of the margin can still hide where the verdict is open, in {where}"
    text = f"{subject} {words.parts(spans)} below the change; {hidden}."
    return Sentence("precision", text, tuple(f"{row.verdict_at}/comparison/low" for row in judged))


def _reach(c: Comparison) -> float:
    return c.effect - c.low


def _size(value: float, scale: str) -> str:
    """A size without a sign, to a tenth."""
    return words.change(value, scale).lstrip("+")


def _some(k: int, n: int) -> str:
    return "it" if n == 1 else "all of them" if k == n else f"{words.count(k)} of {words.plural(n, 'task')}"


def _comparison(row: TaskRow) -> Comparison:
    assert row.verdict is not None
    return row.verdict.comparison


def _expected(row: TaskRow) -> bool:
    d = row.decision
    return d is not None and d.expected_gain is not None and d.probability_harm is not None and row.verdict is not None


def _by_scale(rows: Iterable[TaskRow]) -> dict[str, list[TaskRow]]:
    found: dict[str, list[TaskRow]] = {}
    for row in rows:
        found.setdefault(_comparison(row).scale, []).append(row)
    return found
