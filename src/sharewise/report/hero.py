"""The top of the page under the answer: key numbers, and who answers what."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.report import figures, words
from sharewise.report.blocks import Chip, Team, Teams, Tile, Tiles
from sharewise.report.load import StudyRecords
from sharewise.report.rows import State, TaskRow, of_state, set_aside, shared_models, trained_with
from sharewise.report.sentences import in_models

CHIPS = 12
"""A model with more tasks than this shows its verdicts, counted: the names are in the table below."""


def tiles(records: StudyRecords, rows: Sequence[TaskRow]) -> tuple[Tiles, ...]:
    """Key numbers, once everything is decided."""
    if not rows or not all(row.decision for row in rows):
        return ()
    sharing = [row for row in rows if row.shares]
    harmed = len(of_state(sharing, State.HARM))
    better, worse, open_ = (len(of_state(rows, state)) for state in (State.BETTER, State.HARM, State.UNDECIDED))
    models = len({row.decision.group for row in rows if row.decision is not None})
    saved = f" instead of {words.count(len(rows))}" if models < len(rows) else ""
    made = [
        Tile(
            f"{len(sharing)} of {len(rows)}", words.verb(len(sharing), "task shares", "tasks share"), "decisions.json"
        ),
        Tile(words.count(harmed), "shipped with harm", "verdicts.json", "harm" if harmed else ""),
        Tile(f"{words.count(better)} / {words.count(worse)}", "better / harmed when shared", "verdicts.json"),
        Tile(words.count(open_), words.verb(open_, "open verdict", "open verdicts"), "verdicts.json"),
        Tile(words.count(models), words.verb(models, "model to run", "models to run") + saved, "decisions.json"),
    ]
    if records.runs:
        spent = words.seconds(records.spent)
        made.append(Tile(spent, f"of processor time for {words.plural(len(records.runs), 'run')}", "runs/"))
    return (Tiles(tuple(made)),)


def teams(records: StudyRecords, rows: Sequence[TaskRow]) -> tuple[Teams, ...]:
    """The plan that ships: each shared model with the tasks it answers, then the rest."""
    if not rows or not all(row.decision for row in rows):
        return ()
    made = []
    for (arm, group), members in shared_models(records, rows).items():
        extra = len(trained_with(records, arm, group)) - len(members)
        model = records.arms[arm].model if arm in records.arms else arm
        note = model + (f", trained with {words.plural(extra, 'more task')}" if extra > 0 else "")
        title = f"One shared model answers {words.plural(len(members), 'task')}"
        made.append(Team(title, note, _chips(members), "shared"))
    alone = [row for row in rows if not row.shares]
    if alone:
        title = f"{words.plural(len(alone), 'task')} on {words.verb(len(alone), 'its', 'their')} own"
        n_models = len({row.decision.group for row in alone if row.decision is not None})
        note = (
            f"{in_models(n_models)}, each task's the best on validation rows"
            if len(alone) > 1
            else "one model, the best on validation rows"
        )
        if any(c.answers for c in records.challenges):
            note += ", or what took it over"
        made.append(Team(title, note, _chips(alone), "alone"))
    aside = set_aside(records)
    if aside:
        chips = tuple(Chip(item.task, item.reason, source=f"data.json#/set_aside/{i}") for i, item in enumerate(aside))
        made.append(Team(f"{words.plural(len(aside), 'task')} set aside", "not studied", chips, "aside"))
    return (Teams(tuple(made)),)


def _chips(rows: Sequence[TaskRow]) -> tuple[Chip, ...]:
    """A chip for each task, or with many tasks for each verdict."""
    if len(rows) > CHIPS:
        counts = [(state, of_state(rows, state)) for state in State]
        return tuple(
            Chip(words.count(len(found)), state.value, figures.mark(state), "verdicts.json")
            for state, found in counts
            if found
        )
    return tuple(
        Chip(
            row.name,
            "" if row.shares or row.decision is None else row.decision.arm,
            figures.mark(row.state),
            row.decision_at,
        )
        for row in rows
    )
