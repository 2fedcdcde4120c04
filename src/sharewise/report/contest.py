"""The contest: learning curves, every arm with the budget it had, and what validation rows said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sharewise.records import Arm, Phase, Role, RunRecord, Status
from sharewise.report import curves as drawings
from sharewise.report import words
from sharewise.report.blocks import Block, Cell, Figure, Fold, Grid, Legend, LegendItem, Section, Table, paragraph, say
from sharewise.report.load import StudyRecords
from sharewise.report.remarks import diverged, equal_tuning, trials_per_arm
from sharewise.report.rows import MANY, TaskRow

ROLES = {
    Role.CANDIDATE: "shares",
    Role.ALONE: "same architecture, each task alone",
    Role.ALTERNATIVE: "single-task model of another kind",
    Role.TRANSFER: "starts from weights that others trained",
}
"""What an arm is, for a reader."""

_PHASES = {Phase.TUNE: "tuning", Phase.SELECT: "selection", Phase.CONFIRM: "confirmation"}

# --- learning curves --------------------------------------------------------------------------------------


def curves(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """Small multiples: for each task the loss of the shared model and of the same architecture alone."""
    shared_arm, alone_arm = records.confirmed, records.alone
    if shared_arm is None:
        shared_arm = next((a.name for a in records.arms.values() if a.role is Role.CANDIDATE), None)
    phase = _latest_phase(records.runs, {shared_arm, alone_arm})
    if phase is None:
        return None
    faint = len(rows) <= MANY
    by_task = {arm: _by_task(records.runs, arm, phase) for arm in (alone_arm, shared_arm) if arm is not None}
    figures = []
    for row in rows:
        alone = drawings.tracks(by_task.get(alone_arm or "", {}).get(row.name, []), row.name)
        shared = drawings.tracks(by_task.get(shared_arm or "", {}).get(row.name, []), row.name)
        if alone or shared:
            drawing = drawings.learning_curves(row.name, alone, shared, faint=faint)
            figures.append(Figure(drawing, row.name, f"runs/ (phase {phase.value})"))
    if not figures:
        return None
    lead = (
        f"Loss by epoch in the {_PHASES[phase]} runs: the shared model ({shared_arm}) against the same architecture "
        f"alone ({alone_arm}). Marks are set at each run's best epoch; the steep first epochs are cut off."
    )
    lead += " Faint lines are single runs, strong ones their mean." if faint else " Lines are means over runs."
    grid = Grid(tuple(figures))
    legend = Legend(tuple(LegendItem(drawing, text) for drawing, text in drawings.swatches()))
    fold = Fold(f"Learning curves of {words.plural(len(figures), 'task')}", (grid,))
    blocks: tuple[Block, ...] = (legend, grid if faint else fold)
    return Section("curves", "Learning curves", lead, blocks)


def _latest_phase(runs: Iterable[RunRecord], arms: set[str | None]) -> Phase | None:
    seen = {run.phase for run in runs if run.arm in arms and run.curves}
    return next((phase for phase in (Phase.CONFIRM, Phase.SELECT, Phase.TUNE) if phase in seen), None)


def _by_task(runs: Iterable[RunRecord], arm: str, phase: Phase) -> dict[str, list[RunRecord]]:
    found: dict[str, list[RunRecord]] = {}
    for run in runs:
        if run.arm == arm and run.phase is phase and run.status is Status.DONE:
            for task in run.curves:
                found.setdefault(task, []).append(run)
    return found


# --- arms and budget --------------------------------------------------------------------------------------


def arms(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """Every contestant with the budget it had, and its validation scores."""
    if not records.runs:
        return None
    # The runs of sampled groups belong to no arm: the section on the search counts them.
    contesting = (run.arm for run in records.runs if run.phase is not Phase.SEARCH)
    names = list(dict.fromkeys([*records.arms, *contesting]))
    trials = trials_per_arm(records.runs)
    head = (
        "Arm",
        "What it is",
        "Trials a model",
        "Tuning runs",
        "Selection runs",
        "Confirmation runs",
        "Not done",
        "Seconds",
        "Parameters",
    )
    table = Table("Arms and their budget", head, tuple(_arm_row(records, name, trials) for name in names), "cards")
    blocks: list[Block] = [*paragraph([equal_tuning(records, rows), diverged(records, rows)]), table]
    scores = _validation_table(records, rows, names)
    if scores is not None:
        text = (
            "Validation score of each arm; the best of a task is set in bold. Nothing is claimed from these: they "
            "choose what the test rows then confirm."
        )
        inside: tuple[Block, ...] = (*paragraph([say("validation", text, "runs/")]), scores)
        blocks += (
            inside if len(rows) <= MANY else (Fold(f"Validation scores of {words.plural(len(rows), 'task')}", inside),)
        )
    return Section(
        "arms", "Arms and their budget", "Each contestant, with what it was allowed to spend.", tuple(blocks)
    )


def _arm_row(records: StudyRecords, name: str, trials: dict[str, tuple[int, int]]) -> tuple[Cell, ...]:
    arm = records.arms.get(name)
    runs = [run for run in records.runs if run.arm == name]
    low, high = trials.get(name, (0, 0))
    by_phase = [sum(run.phase is phase for run in runs) for phase in (Phase.TUNE, Phase.SELECT, Phase.CONFIRM)]
    sizes = sorted({run.n_parameters for run in runs if run.n_parameters})
    size = (
        ""
        if not sizes
        else words.count(sizes[0])
        if len(sizes) == 1
        else f"{words.count(sizes[0])} to {words.count(sizes[-1])}"
    )
    source = f"runs/ (arm {name})"
    kind = [Cell(str(low) if low == high else f"{low} to {high}", source=source, kind="count")]
    kind += [Cell(words.count(n), source=source, kind="count") for n in by_phase]
    bad = sum(run.status not in (Status.DONE, Status.DROPPED) for run in runs)
    kind.append(Cell(words.count(bad), source=source, kind="count"))
    kind.append(Cell(words.seconds(sum(run.seconds for run in runs)), source=source, kind="count"))
    kind.append(Cell(size or words.MISSING, source=source, kind="count"))
    return (Cell(name, kind="task"), _what(arm, runs), *kind)


def _what(arm: Arm | None, runs: Iterable[RunRecord]) -> Cell:
    if arm is None:
        return Cell(words.MISSING)
    groups = [group for group in arm.plan.groups if len(group.tasks) > 1]
    note = words.plural(len(arm.plan.groups), "model")
    if arm.role is Role.CANDIDATE and groups:
        note += f", the largest for {max(len(g.tasks) for g in groups)} tasks"
    measured: dict[str, list[float]] = {}
    for run in runs:
        for what, value in run.sharing.items():
            measured.setdefault(what, []).append(value)
    note += "".join(f", {what} {sum(v) / len(v):.2f} of 1" for what, v in measured.items())
    return Cell(arm.model, f"{ROLES[arm.role]} · {note}", "design.json#/arms")


def _validation_table(records: StudyRecords, rows: Sequence[TaskRow], names: Sequence[str]) -> Table | None:
    better = {row.name: row.metric is None or row.metric.bigger_is_better for row in rows}
    scores = {name: _validation(records.runs, name, better) for name in names}
    shown = [name for name in names if scores[name]]
    if not shown:
        return None
    made = []
    for row in rows:
        values = {name: scores[name][row.name] for name in shown if row.name in scores[name]}
        pick = max if better[row.name] else min
        best = pick(values, key=lambda name: values[name][0]) if values and row.metric is not None else None
        cells = [Cell(row.name, row.metric_label, kind="task")]
        for name in shown:
            if name not in values:
                cells.append(Cell(words.MISSING))
                continue
            value, origin = values[name]
            kind = "best" if best is not None and words.score(value) == words.score(values[best][0]) else ""
            cells.append(Cell(words.score(value), kind, f"runs/ (arm {name}, {origin})", kind=kind))
        made.append(tuple(cells))
    return Table("Validation score of each arm", ("Task", *shown), tuple(made), "scroll")


def _validation(runs: Iterable[RunRecord], arm: str, better: Mapping[str, bool]) -> dict[str, tuple[float, str]]:
    """Validation score by task with what it is: the mean over the selecting runs, or the best tuning trial."""
    tuned: dict[str, dict[int, float]] = {}
    selected: dict[str, list[tuple[int, float]]] = {}
    for run in runs:
        if run.arm != arm or run.status is not Status.DONE:
            continue
        for task, value in run.validation.items():
            if value is None or task not in better:
                continue
            if run.phase is Phase.TUNE:
                tuned.setdefault(task, {})[run.trial] = value
            elif run.phase is Phase.SELECT:
                selected.setdefault(task, []).append((run.trial, value))
    found = {}
    for task, trials in tuned.items():
        pick = max if better[task] else min
        found[task] = (pick(trials.values()), f"best of {words.plural(len(trials), 'tuning trial')}")
    for task, repeats in selected.items():
        # The winning trial's tuning run is one more run of the same parameters.
        values = [value for _, value in repeats] + [
            tuned.get(task, {})[t] for t in {t for t, _ in repeats} if t in tuned.get(task, {})
        ]
        found[task] = (sum(values) / len(values), f"mean of {words.plural(len(values), 'run')} of the winning trial")
    return found
