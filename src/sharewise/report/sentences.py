"""The answer in words: every sentence comes from a rule, and carries the records it rests on.

A rule is a function of the records that returns a `Sentence`, or None where it has nothing to say. A sentence says
no more than its sources: "no harm" only where every verdict says so, "not shown to be harmed" otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sharewise.records import Decision, Role
from sharewise.report import words
from sharewise.report.load import StudyRecords
from sharewise.report.rows import (
    Cure,
    State,
    TaskRow,
    of_state,
    set_aside,
    shared_models,
    task_rows,
    trained_with,
)


@dataclass(frozen=True)
class Sentence:
    """A statement, the rule that made it, and JSON pointers to the records it rests on."""

    rule: str
    text: str
    sources: tuple[str, ...]


Rule = Callable[[StudyRecords, Sequence[TaskRow]], Sentence | None]


def answer(records: StudyRecords) -> tuple[Sentence, ...]:
    """The answer, first what to do in one sentence, then what it rests on and what stays open."""
    rows = task_rows(records)
    made = [headline(records, rows), *(rule(records, rows) for rule in _SUPPORT)]
    return tuple(sentence for sentence in made if sentence is not None)


# --- what to do -------------------------------------------------------------------------------------------


def headline(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence:
    """What to do, in one sentence."""
    if not rows:
        return _no_tasks(records)
    if not all(row.decision for row in rows):
        return _unfinished(records, rows)
    if len(rows) == 1:
        return _one_task(rows[0])
    if any(row.shares for row in rows):
        return _share(records, rows)
    return _share_nothing(records, rows)


def _no_tasks(records: StudyRecords) -> Sentence:
    aside = set_aside(records)
    if aside:
        text = f"No task could be studied: {words.all_of(len(aside))} {_were(len(aside))} set aside."
        return Sentence("no tasks", text, tuple(f"data.json#/set_aside/{i}" for i in range(len(aside))))
    return Sentence("no records", "No answer yet: the study has written no task down.", ("design.json#",))


def _were(n: int) -> str:
    return "one was" if n == 1 else "were"


def _unfinished(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence:
    open_ = [row for row in rows if row.decision is None]
    sources = [row.decision_at for row in rows if row.decision]
    if sources:
        n = len(open_)
        text = (
            f"No full answer yet: {words.plural(n, 'task')} of {len(rows)} {words.verb(n, 'has', 'have')} no decision."
        )
        return Sentence("unfinished", text, tuple(sources))
    done = len(records.runs)
    planned = 0 if records.design is None else records.design.planned_runs + records.design.further_runs
    if done and done < planned:
        progress = (
            f"{words.count(done)} of at most {words.plural(planned, 'run')} {words.verb(done, 'has', 'have')} ended"
        )
    elif done:
        progress = f"{words.plural(done, 'run')} {words.verb(done, 'has', 'have')} ended, and nothing is decided"
    else:
        progress = "no run has ended"
    return Sentence(
        "unfinished", f"No answer yet: {progress}.", ("runs/", "design.json#/planned_runs", "design.json#/further_runs")
    )


def _one_task(row: TaskRow) -> Sentence:
    text = f"There is nothing to share: the study has one task, and {_answerer(row.decision)} answers it."
    return Sentence("one task", text, (row.decision_at,))


def _answerer(decision: Decision | None) -> str:
    return "its single-task model" if decision is None else f"its single-task model ({decision.arm})"


def _share(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence:
    sharing = [row for row in rows if row.shares]
    models = shared_models(records, rows)
    n, k = len(rows), len(sharing)
    where = "in one model" if len(models) == 1 else f"in {in_models(len(models))}"
    if k == n:
        text = f"Share {words.all_of(n)} tasks {where}." if n == 2 else f"Share all {words.count(n)} tasks {where}."
    elif k == 1:
        text = f"Let the shared model answer 1 of {words.plural(n, 'task')}; {_rest(records, rows)}."
    else:
        text = f"Share {words.count(k)} of {words.plural(n, 'task')} {where}; {_rest(records, rows)}."
    return Sentence("share", text, tuple(row.decision_at for row in rows))


def in_models(n: int) -> str:
    """A number of models in words."""
    return "one model" if n == 1 else f"{words.in_words(n)} models"


def _rest(records: StudyRecords, rows: Sequence[TaskRow]) -> str:
    """What becomes of the tasks that do not share."""
    alone = [row for row in rows if not row.shares]
    one = [row for row in alone if in_pool(records, row)]
    n, k = len(alone) - len(one), len(one)
    stay = [f"{words.count(n)} {words.verb(n, 'stays', 'stay')} alone{_started(records, alone)}"] if n else []
    return words.parts([*([f"{_pools(one)} {words.count(k)}"] if k else []), *stay])


def _pools(rows: Sequence[TaskRow], do: tuple[str, str] = ("answers", "answer")) -> str:
    """The pooled models that answer some tasks, with their verb: one a family, more where 'apart' cuts it."""
    n = len({row.decision.group for row in rows if row.decision is not None})
    return f"{words.in_words(n)} pooled {words.verb(n, 'model', 'models')} {words.verb(n, *do)}"


def transferred(records: StudyRecords, row: TaskRow) -> bool:
    """Whether a task is answered by a network of its own that started from other tasks' weights."""
    arm = None if row.decision is None else records.arms.get(row.decision.arm)
    return arm is not None and arm.role is Role.TRANSFER


def _started(records: StudyRecords, alone: Sequence[TaskRow]) -> str:
    k = sum(transferred(records, row) for row in alone)
    some = "" if k == len(alone) == 1 else f"{words.count(k)} of them " if k < len(alone) else "each "
    return f", {some}started from other tasks' weights" if k else ""


def in_pool(records: StudyRecords, row: TaskRow) -> bool:
    """Whether a task is answered by one model of another kind that answers other tasks too."""
    arm = None if row.decision is None or row.shares else records.arms.get(row.decision.arm)
    if arm is None or arm.role is not Role.ALTERNATIVE:
        return False
    return any(row.name in group.tasks and len(group.tasks) > 1 for group in arm.plan.groups)


def _share_nothing(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence:
    held = [row for row in rows if in_pool(records, row)]
    n, k, pools = len(rows), len(held), _pools(held, ("answer", "answer"))
    keep = f"Keep {words.all_of(n)} tasks alone" if n == 2 else f"Keep all {words.count(n)} tasks alone"
    if k == n:
        keep = f"Let {pools} {words.all_of(n)} tasks and share no network"
    elif k:
        keep = f"Let {pools} {words.count(k)} of {words.plural(n, 'task')} and keep the others alone"
    keep += _started(records, rows)
    states = {row.state for row in rows}
    harmed, better = of_state(rows, State.HARM), of_state(rows, State.BETTER)
    if states == {State.NONE} and not any(arm.role is Role.CANDIDATE for arm in records.arms.values()):
        text = f"{keep}: no two of them read an input in common, so none can share a model."
    elif states == {State.NONE}:
        text = f"{keep}: no shared plan earned a test on validation rows."
    elif states == {State.UNDECIDED}:
        text = f"{keep} for now: the evidence is not enough to clear sharing of harm for any of them."
    elif states == {State.UNDECIDED, State.NONE}:
        text = f"{keep} for now: the evidence is not enough to clear sharing of harm for any that the plan shares."
    elif len(harmed) == n:
        text = f"{keep}: sharing harms {'both' if n == 2 else 'every one of them'}."
    elif harmed and not better:
        text = f"{keep}: sharing harms {words.count(len(harmed))} and is better for none."
    elif better:
        text = f"{keep}: sharing did not earn its place, though it is better for {words.count(len(better))}."
    elif State.UNDECIDED in states:
        text = f"{keep}: no gain from sharing is shown."
    else:
        text = f"{keep}: there is nothing to gain from sharing."
    sources = [row.decision_at for row in rows] + [row.verdict_at for row in rows if row.verdict]
    return Sentence("share nothing", text, tuple(sources))


# --- what it rests on -------------------------------------------------------------------------------------


def resume(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """How to go on with an unfinished study."""
    if rows and all(row.decision for row in rows):
        return None
    if not rows and set_aside(records):
        return None
    text = "Run the same command again: it goes on after the last finished run, to the same answer."
    return Sentence("resume", text, ("runs/",))


def shipped(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What the evidence says about the tasks that share."""
    sharing = [row for row in rows if row.shares]
    if not sharing or not all(row.decision for row in rows):
        return None
    harmed, better = of_state(sharing, State.HARM), of_state(sharing, State.BETTER)
    unsure = of_state(sharing, State.UNDECIDED, State.NONE)
    sources = tuple(row.verdict_at or row.decision_at for row in sharing)
    if harmed:
        names, n = words.listing(row.name for row in harmed), len(harmed)
        ship, it = words.verb(n, "ships", "ship"), words.verb(n, "it", "them")
        text = f"Warning: {names} {ship} shared although sharing harms {it}."
        return Sentence("shipped harm", text, sources)
    if unsure:
        text = f"No shipped task is shown to be harmed{_better(better, sharing)}; {_unsure(unsure, sharing)}."
        return Sentence("shipped unproven", text, sources)
    text = f"No shipped task is harmed{_better(better, sharing)}."
    return Sentence("shipped safe", text, sources)


def _better(better: Sequence[TaskRow], sharing: Sequence[TaskRow]) -> str:
    k, n = len(better), len(sharing)
    if k == 0:
        return ""
    than = f"than {words.verb(k, 'its', 'their')} best single-task {words.verb(k, 'model', 'models')}"
    if k == n:
        subject = {1: "it is", 2: "both are"}.get(k, f"all {words.count(k)} are")
    else:
        subject = f"{words.count(k)} {words.verb(k, 'is', 'are')}"
    return f"; {subject} better {than}"


def _unsure(unsure: Sequence[TaskRow], sharing: Sequence[TaskRow]) -> str:
    k, n = len(unsure), len(sharing)
    which = {1: "its verdict is", 2: "both verdicts are"}.get(n, f"all {words.count(n)} verdicts are")
    if k < n:
        which = f"{words.plural(k, 'verdict is', 'verdicts are')}"
    risks = [row.decision.probability_harm for row in unsure if row.decision is not None]
    known = [risk for risk in risks if risk is not None]
    if len(known) < k:
        return f"{which} open"
    bound = "with" if k == 1 else "each with at most"
    return f"{which} open, {bound} {words.percent(max(known))} probability of harm"


def staying(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Why the others stay alone; where all do and for one reason, the headline has said it."""
    alone = [row for row in rows if not row.shares]
    if not alone or len(rows) == 1 or not all(row.decision for row in rows):
        return None
    if len(alone) == len(rows) and len({row.state for row in alone}) == 1:
        return None
    harmed, unsure = of_state(alone, State.HARM), of_state(alone, State.UNDECIDED)
    outdone = [row for row in of_state(alone, State.BETTER, State.SAFE, State.WORSE) if _outdone(records, row)]
    idle = [row for row in of_state(alone, State.BETTER, State.SAFE, State.WORSE) if row not in outdone]
    untried = of_state(alone, State.NONE)
    n, clauses = len(alone), []
    if harmed:
        clauses.append(f"sharing would harm {_count(harmed, n, 'every one')}")
    if unsure:
        clauses.append(f"the evidence is not enough to clear {_count(unsure, n, 'any')}")
    if idle:
        clauses.append(f"sharing would do no harm but does not earn its place for {_count(idle, n, 'any')}")
    if outdone:
        clauses.append(f"sharing earned its place, but transfer took over {_count(outdone, n, 'every one')}")
    if untried:
        clauses.append(f"the chosen plan trains {_count(untried, n, 'every one')} alone")
    stay = "stay alone" if not any(in_pool(records, row) for row in alone) else "do not share"
    if len(alone) == 1:
        one = "stays alone" if stay == "stay alone" else "does not share"
        text = f"Of the one that {one}: {clauses[0] if outdone else _single_reason(alone[0])}."
    else:
        text = f"Of the {words.count(n)} that {stay}: {words.parts(clauses)}."
    return Sentence("staying", text, tuple(row.verdict_at or row.decision_at for row in alone))


def _outdone(records: StudyRecords, row: TaskRow) -> bool:
    """Whether transfer took a task over from a shared model."""
    past = [records.arms.get(c.incumbent) for c in records.challenges if c.task == row.name and c.answers]
    return any(arm is not None and arm.role is Role.CANDIDATE for arm in past)


def _count(some: Sequence[TaskRow], n: int, all_: str) -> str:
    return all_ if len(some) == n else words.count(len(some))


def _single_reason(row: TaskRow) -> str:
    match row.state:
        case State.HARM:
            return "sharing would harm it"
        case State.UNDECIDED:
            return "the evidence is not enough"
        case State.NONE:
            return "the chosen plan trains it alone"
        case _:
            return "sharing would do no harm, but does not earn its place"


def trained(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Where a shared model was trained with more tasks than it answers."""
    wider = [
        (key, members, trained_with(records, *key))
        for key, members in shared_models(records, rows).items()
        if len(trained_with(records, *key)) > len(members)
    ]
    if not wider:
        return None
    if len(wider) == 1 and len(shared_models(records, rows)) == 1:
        ((_, members, partners),) = wider
        n, some = len(partners), words.count(len(members))
        every = words.all_of(n) if n == len(rows) else words.count(n)
        text = f"The shared model was trained with {every} tasks and answers {some} of them."
    else:
        text = (
            f"{words.plural(len(wider), 'shared model was', 'shared models were')} trained with more tasks than "
            f"{words.verb(len(wider), 'it answers', 'they answer')}."
        )
    return Sentence("trained with more", text, tuple(row.decision_at for _, members, _ in wider for row in members))


def worst(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """The least favourable change among the tasks that share."""
    sharing = [row for row in rows if row.shares and row.verdict is not None]
    if len(sharing) < 2:
        return None
    row = min(sharing, key=lambda r: r.verdict.comparison.effect if r.verdict else 0.0)
    assert row.verdict is not None
    c = row.verdict.comparison
    text = (
        f"The least favourable change among the tasks that share is {words.change(c.effect, c.scale)} "
        f"{words.interval(c.low, c.high, c.scale)}, for {row.name} ({_level(records)} interval)."
    )
    return Sentence("worst", text, (f"{row.verdict_at}/comparison",))


def settling(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What would settle the open verdicts."""
    open_ = [row for row in rows if row.cure is not None]
    if not open_:
        return None
    by = {cure: [row for row in open_ if row.cure is cure] for cure in Cure}
    n = len(open_)
    if n == 1:
        text = {
            Cure.RUNS: "More runs would settle the one open verdict.",
            Cure.ROWS: "Only more test rows would settle the one open verdict.",
            Cure.NEITHER: "Neither more runs nor more test rows alone can settle the one open verdict.",
        }[next(cure for cure in Cure if by[cure])]
    else:
        clauses = []
        if by[Cure.RUNS]:
            clauses.append(f"more runs would settle {words.count(len(by[Cure.RUNS]))}")
        if by[Cure.ROWS]:
            clauses.append(f"only more test rows would settle {words.count(len(by[Cure.ROWS]))}")
        if by[Cure.NEITHER]:
            clauses.append(f"neither runs nor test rows alone can settle {words.count(len(by[Cure.NEITHER]))}")
        text = f"Of the {words.count(n)} open verdicts, {words.parts(clauses)}."
        for cure, start in _OF_ALL.items():
            if len(by[cure]) == n:
                text = f"{start} the {words.count(n)} open verdicts."
    return Sentence("settling", text, tuple(f"{row.verdict_at}/receipt" for row in open_))


_OF_ALL = {
    Cure.RUNS: "More runs would settle",
    Cure.ROWS: "Only more test rows would settle",
    Cure.NEITHER: "Neither more runs nor more test rows alone can settle any of",
}
"""What is said where one thing would settle every open verdict."""


def left_out(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Tasks that were set aside before the first run."""
    aside = set_aside(records)
    if not aside:
        return None
    sources = tuple(f"data.json#/set_aside/{i}" for i in range(len(aside)))
    if len(aside) == 1:
        text = f"Set aside before the study: {aside[0].task}, which {_bare(aside[0].reason)}."
        return Sentence("set aside", text, sources)
    names = words.listing(item.task for item in aside)
    return Sentence("set aside", f"{words.count(len(aside))} tasks were set aside before the study: {names}.", sources)


def _bare(sentence: str) -> str:
    return sentence.rstrip(". ")


def pooled(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """The effect of sharing over all tasks taken together."""
    if records.summary is None:
        return None
    for i, effect in enumerate(records.summary.pooled):
        if effect.family is None or len(records.summary.pooled) == 1:
            n = effect.n_tasks
            over = words.all_of(n) if n >= len(rows) else f"the {words.count(n)} of {words.count(len(rows))}"
            which = "tasks together" if n >= len(rows) else "tasks that can be taken together"
            text = (
                f"Over {over} {which}, sharing changes the score of a typical task by "
                f"{words.change(effect.mean, effect.scale)} {words.interval(effect.low, effect.high, effect.scale)} "
                f"({_level(records)} interval)."
            )
            return Sentence("pooled", text, (f"summary.json#/pooled/{i}",))
    return None


def _level(records: StudyRecords) -> str:
    return words.percent(0.9 if records.design is None else records.design.level)


_SUPPORT: tuple[Rule, ...] = (resume, shipped, worst, trained, staying, pooled, settling, left_out)
