"""What else could answer each task, and whether it took it over: transfer and ensembles, in sentences and a table."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.records import Challenge, Role
from sharewise.report import words
from sharewise.report.blocks import Cell, Table
from sharewise.report.instead import ENSEMBLE, change_of
from sharewise.report.load import StudyRecords
from sharewise.report.rows import MANY, State, TaskRow, state_of
from sharewise.report.sentences import Sentence

TRANSFER = "transfer"
FEW = 6


def of_kind(records: StudyRecords, kind: str) -> list[tuple[int, Challenge]]:
    """The challenges of one kind with their places in the file."""
    return [(i, c) for i, c in enumerate(records.challenges) if c.kind == kind]


def how(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What was transferred, and under which protocol."""
    if records.design is None or not of_kind(records, TRANSFER):
        return None
    arms = [(i, a) for i, a in enumerate(records.design.arms) if a.role is Role.TRANSFER]
    named = words.listing((f"'{a.name}' (to {words.listing(a.plan.tasks, limit=4)})" for _, a in arms), limit=4)
    trials = words.plural(arms[0][1].trials, "trial") if arms else ""
    text = (
        f"Each task's own network was also started from weights that other tasks had trained: {named}. Every such arm "
        f"had {trials}, like any other, and every run of it a pretraining with a seed of its own; validation rows "
        f"chose one transfer a task, which test rows then judged."
    )
    return Sentence("transfer tried", text, tuple(f"design.json#/arms/{i}" for i, _ in arms))


def found(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """The verdicts of transfer against each task's best single-task model that starts afresh."""
    judged = [(i, c) for i, c in of_kind(records, TRANSFER) if c.verdict is not None]
    if not judged:
        return None
    states = [state_of(c.verdict) for _, c in judged if c.verdict is not None]
    if len(judged) == 1:
        _, only = judged[0]
        text = (
            f"Against the best single-task model that starts afresh, the verdict for {only.task} is: {states[0].value}."
        )
    else:
        safe = states.count(State.SAFE) + states.count(State.WORSE)
        text = (
            f"Against the best single-task model that starts afresh, of {words.plural(len(judged), 'task')} transfer "
            f"is better for {words.some_of(states.count(State.BETTER))}, does no harm beyond the margin to "
            f"{words.some_of(safe)}, harms {words.some_of(states.count(State.HARM))}, and leaves "
            f"{words.some_of(states.count(State.UNDECIDED))} open."
        )
    return Sentence("transfer found", text, tuple(f"challenges.json#/{i}" for i, _ in judged))


def taken(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Which tasks a transferred network answers."""
    mine = of_kind(records, TRANSFER)
    won = [(i, c) for i, c in mine if c.answers]
    if not mine:
        return None
    if not won:
        text = "It takes over no task: none earned its place from the model that answers it."
        return Sentence("transfer lost", text, tuple(f"challenges.json#/{i}" for i, _ in mine))
    told = words.listing((f"{c.task} ('{c.arm}' instead of '{c.incumbent}')" for _, c in won), limit=FEW)
    text = f"It answers {told}; the best model that starts afresh ships beside it, to go back to."
    return Sentence("transfer answers", text, tuple(f"challenges.json#/{i}" for i, _ in won))


def averaged(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Which tasks their ensembles answer, where these may ship."""
    mine = of_kind(records, ENSEMBLE)
    if not mine:
        return None
    won = [(i, c) for i, c in mine if c.answers]
    if not won:
        text = (
            "Ensembles may ship in this study, and none does: none is shown to be better than the model that answers."
        )
        return Sentence("no ensemble", text, tuple(f"challenges.json#/{i}" for i, _ in mine))
    told = words.listing((f"{c.task} ({words.count(c.n_models)} models)" for _, c in won), limit=FEW)
    text = (
        f"Shown to be better than the model that would answer, the ensemble ships for {told}; the other "
        f"{words.some_of(len(mine) - len(won))} did not show it."
    )
    if len(won) == len(mine):
        text = f"Shown to be better than the model that would answer, the ensemble ships for {told}."
    return Sentence("ensembles ship", text, tuple(f"challenges.json#/{i}" for i, _ in won))


def who_answers(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """One sentence for the answer on top: tasks that neither a shared nor a fresh single model answers."""
    won = [(i, c) for i, c in enumerate(records.challenges) if c.answers]
    if not won:
        return None
    by_kind = {kind: [c.task for _, c in won if c.kind == kind] for kind in dict.fromkeys(c.kind for _, c in won)}
    clauses = []
    for kind, tasks in by_kind.items():
        n, names = len(tasks), words.listing(tasks, limit=FEW)
        does = words.verb(n, "is", "are")
        if kind == TRANSFER:
            what = f"by {words.verb(n, 'a network', 'networks')} that started from other tasks' weights"
        else:
            what = f"by the mean of {words.verb(n, 'its', 'their')} single-task runs"
        clauses.append(f"{names} {does} answered {what}")
    return Sentence("taken over", f"{words.parts(clauses)}.", tuple(f"challenges.json#/{i}" for i, _ in won))


def table(records: StudyRecords) -> Table | None:
    """One row a task: the best model from scratch, the transferred one against it, and who answers and why."""
    every = [(i, c) for i, c in of_kind(records, TRANSFER) if c.verdict is not None]
    shown = every if len(every) <= MANY else sorted(every, key=lambda ic: -abs(_effect(ic[1])))[:MANY]
    made = []
    for i, c in shown:
        if c.verdict is None:
            continue
        compared, at = c.verdict.comparison, f"challenges.json#/{i}"
        made.append(
            (
                Cell(c.task, kind="task"),
                Cell(
                    words.score(compared.baseline_score), compared.baseline, f"{at}/verdict/comparison/baseline_score"
                ),
                Cell(
                    words.score(compared.candidate_score),
                    f"{c.arm}: {change_of(compared)}",
                    f"{at}/verdict/comparison/candidate_score",
                ),
                Cell(state_of(c.verdict).value, source=f"{at}/verdict/outcome"),
                Cell(c.arm if c.answers else c.incumbent, c.reason, f"{at}/reason"),
            )
        )
    head = ("Task", "Best model from scratch", "Transferred", "Verdict", "Who answers")
    some = f": the {len(shown)} of {len(every)} tasks that it changes most" if len(shown) < len(every) else ""
    return Table(f"Transfer{some}", head, tuple(made)) if made else None


def _effect(c: Challenge) -> float:
    return 0.0 if c.verdict is None else c.verdict.comparison.effect
