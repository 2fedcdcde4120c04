"""What one could do instead of sharing, in sentences and a table: alternatives under the same protocol."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.records import Comparison, Role
from sharewise.report import words
from sharewise.report.blocks import Cell, Table
from sharewise.report.load import StudyRecords
from sharewise.report.rows import MANY, TaskRow
from sharewise.report.sentences import Sentence

ENSEMBLE = "ensemble"


def tried(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Which other kinds of model were trained under the same protocol."""
    if records.design is None:
        return None
    others = [(i, arm) for i, arm in enumerate(records.design.arms) if arm.role is Role.ALTERNATIVE]
    if not others:
        return None
    named = words.parts(
        [f"{arm.name} ({arm.model})" if arm.model.lower() != arm.name else arm.model for _, arm in others]
    )
    text = f"Beside the nets, with equal trials and judged on the same rows: {named}."
    return Sentence("alternatives tried", text, tuple(f"design.json#/arms/{i}" for i, _ in others))


def ensemble(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What the mean of the single-task runs would bring over one of them."""
    found = [(i, c) for i, c in enumerate(records.ensembles) if c.candidate == ENSEMBLE]
    if not found:
        return None
    n, better = len(found), sum(c.low > 0 for _, c in found)
    runs = [c.n_baseline_runs for _, c in found]
    if len(set(runs)) == 1:
        mean = f"The mean of the {words.count(runs[0])} single-task runs that are paid for already, at "
        mean += f"{words.count(runs[0])} times the latency of one"
    else:
        mean = "The mean of a task's single-task runs that are paid for already "
        mean += f"({words.by_number(runs, 'task')}), at as many times the latency of one"
    if n == 1:
        verdict = f"{'better' if better else 'not shown to be better'} than one run for {found[0][1].task}"
    else:
        verdict = f"better than one run for {words.some_of(better)} of {words.plural(n, 'task')}"
    text = f"{mean}, is {verdict}."
    return Sentence("ensemble", text, tuple(f"ensembles.json#/{i}" for i, _ in found))


def against_ensemble(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Whether sharing still pays against the ensembles."""
    found = [(i, c) for i, c in enumerate(records.ensembles) if c.baseline == ENSEMBLE]
    if not found:
        return None
    shared = {row.name for row in rows if row.shares}
    mine = [(i, c) for i, c in found if c.task in shared]
    if mine:
        lost = [c.task for _, c in mine if c.high < 0]
        held = sum(c.low > 0 for _, c in mine)
        end = f"; {words.listing(lost, limit=6)} would be answered better by {_its(lost)} ensemble" if lost else ""
        which = f"{words.some_of(held)} of the {words.count(len(mine))} tasks"
        if held == len(mine) == len(shared):
            which = f"{words.all_of(held)} tasks"
        text = f"Against these ensembles, sharing is still better for {which} that share{end}."
        if len(mine) == 1:
            only, said = mine[0][1].task, "is still" if held else "is not shown to be"
            which = f"{only}, the task that shares" if len(shared) == 1 else only
            text = f"Against its ensemble, sharing {said} better for {which}{end}."
        return Sentence("against ensembles", text, tuple(f"ensembles.json#/{i}" for i, _ in mine))
    held = sum(c.low > 0 for _, c in found)
    of = words.plural(len(found), "task")
    text = f"Against these ensembles, sharing would be better for {words.some_of(held)} of {of}."
    return Sentence("against ensembles", text, tuple(f"ensembles.json#/{i}" for i, _ in found))


def _its(names: Sequence[str]) -> str:
    return words.verb(len(names), "its", "their")


def ensemble_table(records: StudyRecords) -> Table | None:
    """One row a task: one run, the ensemble, and the shared model against the ensemble."""
    made = []
    versus = {c.task: (i, c) for i, c in enumerate(records.ensembles) if c.baseline == ENSEMBLE}
    every = [(i, c) for i, c in enumerate(records.ensembles) if c.candidate == ENSEMBLE]
    shown = every if len(every) <= MANY else sorted(every, key=lambda ic: -abs(ic[1].effect))[:MANY]
    for i, c in shown:
        other = versus.get(c.task)
        made.append(
            (
                Cell(c.task, f"{c.baseline}, {words.plural(c.n_baseline_runs, 'run')}", kind="task"),
                Cell(words.score(c.baseline_score), source=f"ensembles.json#/{i}/baseline_score"),
                Cell(words.score(c.candidate_score), change_of(c), f"ensembles.json#/{i}/candidate_score"),
                Cell(words.MISSING)
                if other is None
                else Cell(
                    words.score(other[1].candidate_score),
                    change_of(other[1]),
                    f"ensembles.json#/{other[0]}/candidate_score",
                ),
            )
        )
    head = ("Task", "One run alone", "Ensemble, against one run", "Shared, against the ensemble")
    some = f": the {len(shown)} of {len(every)} tasks that they change most" if len(shown) < len(every) else ""
    return Table(f"The ensembles of single-task runs{some}", head, tuple(made)) if made else None


def change_of(c: Comparison) -> str:
    """A change with its interval."""
    return f"{words.change(c.effect, c.scale)} {words.interval(c.low, c.high, c.scale)}"
