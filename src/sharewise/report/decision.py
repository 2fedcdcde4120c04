"""The decision document: what a senior engineer asks before signing, answered from records by rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sharewise.report import case, challenges, instead, remarks, searched, sentences, upkeep, words
from sharewise.report.blocks import Block, Cell, Fold, Question, Reference, References, Section, Table
from sharewise.report.load import StudyRecords
from sharewise.report.pointers import Pointers
from sharewise.report.rows import MANY, TaskRow
from sharewise.report.sentences import Sentence

_SOURCES_SHOWN = 6
_ROWS_SHOWN = 6
"""The page folds longer tables, so that what it says can be read in one go."""


@dataclass(frozen=True)
class Answered:
    """A question with the sentences that answer it, a command to run, and a table of numbers."""

    title: str
    sentences: tuple[Sentence, ...]
    command: str = ""
    after: tuple[Sentence, ...] = ()
    table: Table | None = None


def document(records: StudyRecords, rows: Sequence[TaskRow]) -> tuple[Answered, ...]:
    """The questions in order; none while nothing is decided, and without those that the records cannot answer."""
    if not rows or any(row.decision is None for row in rows):
        return ()
    made = (
        _answered(
            "Should these tasks share, and why these?",
            sentences.headline(records, rows),
            *case.sharing(records, rows),
            *_alone(records, rows),
            challenges.who_answers(records, rows),
            remarks.shipping(records, rows) if case.contested(records) else None,
            case.contest(records, rows),
            searched.origin(records, rows),
            searched.kinship(records, rows),
        ),
        _answered(
            "What is the evidence that sharing helps?",
            remarks.protocol(records, rows),
            remarks.runs_made(records, rows),
            _tuning(records, rows),
            remarks.reading(records, rows),
            case.tally(records, rows),
            case.clearest(records, rows),
            sentences.pooled(records, rows),
            case.spread(records, rows),
            remarks.isolated(records, rows),
            case.rivals(records, rows),
        )
        if any(row.verdict for row in rows)
        else None,
        _answered(
            "How was negative transfer looked for, and what was found?",
            case.meaning(records, rows),
            case.search(records, rows),
            case.found_harm(records, rows),
            case.listed(records, rows),
            case.gate(records, rows),
            case.least_favourable(records, rows),
            case.precision(records, rows),
            sentences.settling(records, rows),
        ),
        _answered(
            "What could be done instead of sharing?",
            instead.tried(records, rows),
            instead.ensemble(records, rows),
            instead.against_ensemble(records, rows),
            challenges.averaged(records, rows),
            table=instead.ensemble_table(records),
        ),
        _answered(
            "Would it be better to learn other tasks first?",
            challenges.how(records, rows),
            challenges.found(records, rows),
            challenges.taken(records, rows),
            table=challenges.table(records),
        ),
        _answered(
            "How were loss weights chosen, and how much did it matter?",
            upkeep.weighting(records, rows),
            upkeep.measured_weights(records, rows),
            upkeep.weights_mattered(records, rows),
        ),
        _regression(records, rows),
        _answered(
            "What does it cost?",
            upkeep.cost(records, rows),
            upkeep.study_cost(records, rows),
            table=_cost_table(records),
        ),
        _answered("Would a retrain decide the same?", *upkeep.retrains(records, rows), upkeep.paired(records, rows)),
        _answered(
            "Can its certainty be taken at its word?",
            upkeep.what_is_measured(records, rows),
            upkeep.calibrated(records, rows),
            table=_calibration_table(records),
        ),
        _answered("What was not tested?", *upkeep.untested(records, rows)),
    )
    return tuple(one for one in made if one is not None)


def _alone(records: StudyRecords, rows: Sequence[TaskRow]) -> list[Sentence | None]:
    one_by_one = case.staying_alone(records, rows)
    return [*one_by_one] if one_by_one else [sentences.staying(records, rows)]


def _tuning(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What the runs say of tuning, where it is more than the protocol has said."""
    said = remarks.equal_tuning(records, rows)
    return None if said is None or remarks.tuned_as_designed(records) else said


def _regression(records: StudyRecords, rows: Sequence[TaskRow]) -> Answered | None:
    command = upkeep.roll_back_command(records, rows)
    after = [upkeep.after_command(records, rows), upkeep.not_sharing(records, rows)] if command else []
    given = tuple(sentence for sentence in after if sentence is not None)
    first = tuple(upkeep.roll_back(records, rows))
    return Answered("What to do when a task regresses?", first, command, given) if first else None


def _answered(title: str, *said: Sentence | None, table: Table | None = None) -> Answered | None:
    found = tuple(sentence for sentence in said if sentence is not None)
    return Answered(title, found, table=table) if found else None


# --- as a section of the page -----------------------------------------------------------------------------


def section(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """The document as the page's first section: every sentence leads to the numbers it rests on."""
    answered = document(records, rows)
    if not answered:
        return None
    pointers = Pointers(records)
    blocks: list[Block] = []
    references: list[Reference] = []

    def numbered(sentence: Sentence) -> tuple[Sentence, int]:
        shown = [(source, pointers.shown(source)) for source in sentence.sources[:_SOURCES_SHOWN]]
        more = len(sentence.sources) - len(shown)
        references.append(Reference(len(references) + 1, tuple(shown), more))
        return sentence, len(references)

    for one in answered:
        first, after = (tuple(numbered(s) for s in some) for some in (one.sentences, one.after))
        tables: tuple[Block, ...] = () if one.table is None else (one.table,)
        if one.table is not None and len(one.table.rows) > _ROWS_SHOWN:
            tables = (Fold(f"{one.table.caption}: {words.plural(len(one.table.rows), 'row')}", tables),)
        blocks.append(Question(one.title, first, one.command, after, tables))
    blocks.append(Fold("The numbers behind each sentence", (References(tuple(references)),)))
    lead = (
        "What one asks before signing, answered from the records of this run. The small number after a sentence "
        "leads to "
        "the records it rests on. The same text, to be kept with the code, is in decision.md."
    )
    return Section("decision", "The decision", lead, tuple(blocks))


# --- its tables -------------------------------------------------------------------------------------------


def _cost_table(records: StudyRecords) -> Table | None:
    found = upkeep.costs(records)
    if found is None:
        return None
    plan, alone = found
    lines = (
        ("Models to run", words.count(plan.n_models), words.count(alone.n_models), "n_models"),
        (
            "Training all of them once",
            words.seconds(plan.train_seconds),
            words.seconds(alone.train_seconds),
            "train_seconds",
        ),
        ("Answering one row", words.latency(plan.seconds_one), words.latency(alone.seconds_one), "seconds_one"),
        (
            f"Answering {words.plural(plan.n_many, 'validation row')}",
            words.latency(plan.seconds_many),
            words.latency(alone.seconds_many),
            "seconds_many",
        ),
        ("Parameters of the nets", words.count(plan.n_parameters), words.count(alone.n_parameters), "n_parameters"),
        ("Size of the model files", words.size(plan.n_bytes), words.size(alone.n_bytes), "n_bytes"),
    )
    at = {c.plan: i for i, c in enumerate(records.cost)}
    made = tuple(
        (
            Cell(name, kind="task"),
            Cell(one, source=f"cost.json#/{at['shipped']}/{key}", kind="count"),
            Cell(other, source=f"cost.json#/{at['single']}/{key}", kind="count"),
        )
        for name, one, other, key in lines
    )
    return Table("Cost of the plan", ("Cost", "This plan", "Every task alone"), made, "scroll")


def _calibration_table(records: StudyRecords) -> Table | None:
    by_task: dict[str, list[int]] = {}
    for i, c in enumerate(records.calibration):
        by_task.setdefault(c.task, []).append(i)
    made = []
    for task, found in _worst_calibrated(records, by_task).items():
        own = next((i for i in found if records.calibration[i].answers), None)
        other = next((i for i in found if not records.calibration[i].answers), None)
        rows = records.calibration[found[0]].n_rows
        made.append(
            (Cell(task, words.plural(rows, "test row"), kind="task"), _certain(records, own), _certain(records, other))
        )
    head = ("Task", "The model that answers", "The other one")
    some = f": the {len(made)} of {len(by_task)} tasks that are furthest off" if len(made) < len(by_task) else ""
    return Table(f"Calibration on test rows{some}", head, tuple(made)) if made else None


def _worst_calibrated(records: StudyRecords, by_task: dict[str, list[int]]) -> dict[str, list[int]]:
    """Of very many tasks those whose certainty is furthest off, the worst first; otherwise all, in their order."""
    if len(by_task) <= MANY:
        return by_task

    def off(task: str) -> float:
        found = [records.calibration[i] for i in by_task[task]]
        return max((c.ece or 0.0, abs((c.coverage or 0.9) - 0.9))[c.ece is None] for c in found)

    return {task: by_task[task] for task in sorted(by_task, key=off, reverse=True)[:MANY]}


def _certain(records: StudyRecords, index: int | None) -> Cell:
    if index is None:
        return Cell(words.MISSING)
    c = records.calibration[index]
    arm = "shared model" if c.arm == records.confirmed else c.arm
    return Cell(arm, upkeep.certainty(c), f"calibration.json#/{index}")
