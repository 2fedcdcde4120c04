"""What the answer rests on: learning curves, arms and budget, data, audit, method, and where every number comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sharewise.records import Arm, Finding, Phase, Role, RunRecord, Severity, Status, TaskData
from sharewise.report import curves as drawings
from sharewise.report import words
from sharewise.report.blocks import (
    Block,
    Cell,
    Code,
    Fact,
    Facts,
    Figure,
    Fold,
    Grid,
    Notice,
    Notices,
    Section,
    Table,
    paragraph,
    say,
)
from sharewise.report.load import FILES, StudyRecords
from sharewise.report.rows import MANY, TaskRow
from sharewise.report.sentences import Sentence, diverged, equal_tuning, trials_per_arm

ROLES = {
    Role.CANDIDATE: "shares",
    Role.ALONE: "same architecture, each task alone",
    Role.ALTERNATIVE: "single-task model of another kind",
}
"""What an arm is, for a reader."""

_RUNS_SHOWN = 200
_CELLS = 40


def subtitle(records: StudyRecords) -> str:
    """What was studied, in a line."""
    said = []
    if records.design is not None:
        said.append(f"{records.design.budget} study")
    if records.data is not None:
        said.append(records.data.source)
        said.append(words.plural(records.data.n_rows, "row"))
    if records.design is not None:
        said.append(words.plural(len(records.design.tasks), "task"))
    if records.summary is not None:
        said.append(f"finished {records.summary.finished[:16].replace('T', ' ')}")
    return " · ".join(said)


def missing(records: StudyRecords) -> tuple[Notices, ...]:
    """What is not in the run directory, and so not on the page."""
    if not records.missing:
        return ()
    lines = [(item.file, f"{item.fact}: {_holds(item.file)}") for item in records.missing[:12]]
    if len(records.missing) > 12:
        lines.append(("", f"and {words.count(len(records.missing) - 12)} more"))
    return (Notices((Notice("warning", "This report is incomplete", tuple(lines)),)),)


def _holds(file: str) -> str:
    return FILES.get(file, "one trained model's record" if file.startswith("runs/") else "")


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
        f"Loss by epoch of the {phase.value} runs: validation solid, train dashed; ● shared ({shared_arm}), ■ alone ({alone_arm}), "
        f"set at each run's best epoch."
    )
    lead += " Faint lines are single runs, strong ones their mean." if faint else " Lines are means over runs."
    grid = Grid(tuple(figures))
    blocks: tuple[Block, ...] = (grid,) if faint else (Fold(f"Learning curves of {words.plural(len(figures), 'task')}", (grid,)),)
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
    names = list(dict.fromkeys([*records.arms, *(run.arm for run in records.runs)]))
    trials = trials_per_arm(records.runs)
    head = ("Arm", "What it is", "Trials a model", "Tuning runs", "Selection runs", "Confirmation runs", "Not done", "Seconds", "Parameters")
    table = Table("Arms and their budget", head, tuple(_arm_row(records, name, trials) for name in names), "cards")
    blocks: list[Block] = [*paragraph([equal_tuning(records, rows), diverged(records, rows)]), table]
    scores = _validation_table(records, rows, names)
    if scores is not None:
        note = say(
            "validation", "Mean validation score of each arm; the best of a task is set in bold. Nothing is claimed from these: "
            "they chose what the test rows then confirmed.", "runs/",
        )  # fmt: skip
        inside = (*paragraph([note]), scores)
        blocks += inside if len(rows) <= MANY else (Fold(f"Validation scores of {words.plural(len(rows), 'task')}", inside),)
    return Section("arms", "Arms and their budget", "Each contestant, with what it was allowed to spend.", tuple(blocks))


def _arm_row(records: StudyRecords, name: str, trials: dict[str, tuple[int, int]]) -> tuple[Cell, ...]:
    arm = records.arms.get(name)
    runs = [run for run in records.runs if run.arm == name]
    low, high = trials.get(name, (0, 0))
    by_phase = [sum(run.phase is phase for run in runs) for phase in (Phase.TUNE, Phase.SELECT, Phase.CONFIRM)]
    sizes = sorted({run.n_parameters for run in runs if run.n_parameters})
    size = "" if not sizes else words.count(sizes[0]) if len(sizes) == 1 else f"{words.count(sizes[0])} to {words.count(sizes[-1])}"
    source = f"runs/ (arm {name})"
    kind = [Cell(str(low) if low == high else f"{low} to {high}", source=source, kind="count")]
    kind += [Cell(words.count(n), source=source, kind="count") for n in by_phase]
    bad = sum(run.status is not Status.DONE for run in runs)
    kind.append(Cell(words.count(bad), source=source, kind="count"))
    kind.append(Cell(words.seconds(sum(run.seconds for run in runs)), source=source, kind="count"))
    kind.append(Cell(size or words.MISSING, source=source, kind="count"))
    return (Cell(name, kind="task"), _what(arm), *kind)


def _what(arm: Arm | None) -> Cell:
    if arm is None:
        return Cell(words.MISSING)
    groups = [group for group in arm.plan.groups if len(group.tasks) > 1]
    note = words.plural(len(arm.plan.groups), "model")
    if arm.role is Role.CANDIDATE and groups:
        note += f", the largest for {max(len(g.tasks) for g in groups)} tasks"
    return Cell(arm.model, f"{ROLES[arm.role]} · {note}", "design.json#/arms")


def _validation_table(records: StudyRecords, rows: Sequence[TaskRow], names: Sequence[str]) -> Table | None:
    means = {name: _validation(records.runs, name) for name in names}
    shown = [name for name in names if means[name]]
    if not shown:
        return None
    made = []
    for row in rows:
        values = {name: means[name][row.name] for name in shown if row.name in means[name]}
        sign = 1.0 if row.metric is None or row.metric.bigger_is_better else -1.0
        best = max(values, key=lambda name: sign * values[name][0]) if values and row.metric is not None else None
        cells = [Cell(row.name, row.metric_label, kind="task")]
        for name in shown:
            if name not in values:
                cells.append(Cell(words.MISSING))
                continue
            mean, n, phase = values[name]
            source = f"runs/ (arm {name}, phase {phase}, {words.plural(n, 'run')})"
            cells.append(Cell(words.score(mean), "best" if name == best else "", source, kind="best" if name == best else ""))
        made.append(tuple(cells))
    return Table("Validation score of each arm", ("Task", *shown), tuple(made), "scroll")


def _validation(runs: Iterable[RunRecord], arm: str) -> dict[str, tuple[float, int, str]]:
    """Mean validation score by task, number of runs and phase: of the selection runs, or of the latest phase there is."""
    found: dict[str, dict[Phase, list[float]]] = {}
    for run in runs:
        if run.arm == arm and run.status is Status.DONE:
            for task, value in run.validation.items():
                if value is not None:
                    found.setdefault(task, {}).setdefault(run.phase, []).append(value)
    made = {}
    for task, by_phase in found.items():
        phase = next(p for p in (Phase.SELECT, Phase.CONFIRM, Phase.TUNE) if p in by_phase)
        values = by_phase[phase]
        made[task] = (sum(values) / len(values), len(values), phase.value)
    return made


# --- data -------------------------------------------------------------------------------------------------


def data(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """Rows, split, labels of each task and their overlap."""
    d = records.data
    if d is None:
        return None
    inputs = words.listing([f"{words.count(n)} {kind}" for kind, n in d.inputs.items()], 8)
    used = d.n_rows - d.n_unlabelled
    facts = [
        Fact("Table", d.source, "data.json#/source"),
        Fact("Rows", f"{words.count(d.n_rows)}, of which {words.count(used)} with at least one label", "data.json#/n_rows"),
        Fact("Split", f"{words.count(d.rows.train)} train, {words.count(d.rows.validation)} validation, {words.count(d.rows.test)} test; {d.split}", "data.json#/rows"),
        Fact("Inputs", inputs or "none on record", "data.json#/inputs"),
    ]
    if d.n_entities is not None:
        facts.append(Fact("Entities", f"{words.count(d.n_entities)}; rows of one entity count once in a verdict", "data.json#/n_entities"))
    facts += [Fact("Note", note, f"data.json#/notes/{i}") for i, note in enumerate(d.notes)]
    blocks: list[Block] = [Facts(tuple(facts))]
    labels = Table("Labels of each task", ("Task", "Labelled rows", "Train / validation / test", "Classes or values"),
                   tuple(_label_row(row, d.n_rows) for row in rows if row.data is not None))  # fmt: skip
    if labels.rows:
        blocks.append(labels if len(rows) <= MANY else Fold(f"Labels of {words.plural(len(rows), 'task')}", (labels,)))
    blocks += _overlap(records)
    return Section("data", "Data and labels", "The table as the study saw it.", tuple(blocks))


def _label_row(row: TaskRow, n_rows: int) -> tuple[Cell, ...]:
    assert row.data is not None
    n = row.data.labelled
    kind = "" if row.task is None else row.task.kind.value
    share = words.percent(n.total / n_rows) if n_rows else ""
    return (
        Cell(row.name, kind, kind="task"),
        Cell(f"{words.count(n.total)}, {share}", source=f"{row.data_at}/labelled", drawing=drawings.coverage_bar(row.name, n, n_rows), kind="bar"),
        Cell(f"{words.count(n.train)} / {words.count(n.validation)} / {words.count(n.test)}", source=f"{row.data_at}/labelled"),
        Cell(_values(row.data), source=row.data_at, kind="values"),
    )


def _values(data: TaskData) -> str:
    if data.spread is not None:
        s = data.spread
        return (
            f"median {words.score(s.median)}, from {words.score(s.minimum)} to {words.score(s.maximum)}; "
            f"mean {words.score(s.mean)}, SD {words.score(s.std)}"
        )
    total = data.labelled.total
    largest = sorted(data.classes, key=lambda c: -c.rows.total)[:4]
    shown = [f"{c.label} {words.percent(c.rows.total / total)}" for c in largest if total]
    if data.n_classes > len(shown) and shown:
        shown.append(f"{words.count(data.n_classes - len(shown))} more")
    return ", ".join(shown) or words.MISSING


def _overlap(records: StudyRecords) -> list[Block]:
    d = records.data
    if d is None or len(d.tasks) < 2:
        return []
    n = len(d.tasks)
    if len(d.overlap) != n or any(len(line) != n for line in d.overlap):
        return list(paragraph([say("overlap", "No two tasks share a labelled row by construction.", "data.json#/overlap")]) if not d.overlap else ())
    pairs = sorted(d.overlap[i][j] for i in range(n) for j in range(i))
    empty = sum(value == 0 for value in pairs)
    text = (
        f"Of {words.plural(len(pairs), 'pair')} of tasks, {words.count(empty) if empty else 'none'} "
        f"{words.verb(empty, 'has', 'have') if empty else 'has'} no row labelled for both; the median pair has {words.count(pairs[len(pairs) // 2])}."
    )
    blocks: list[Block] = list(paragraph([say("overlap", text, "data.json#/overlap")]))
    if n <= _CELLS and pairs[-1] > 0:
        names = [task.task for task in d.tasks]
        caption = "Rows labelled for both of two tasks; the darker, the larger their share of the task with fewer labels."
        blocks.append(Figure(drawings.overlap_map(names, d.overlap), caption, "data.json#/overlap", scroll=True))
    return blocks


# --- audit ------------------------------------------------------------------------------------------------

_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def audit(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """What the audit found in the data, the worst first."""
    aside = () if records.data is None else records.data.set_aside
    if not records.audit and not aside:
        return None
    made = [Notice("warning", f"Set aside: {item.task}", (("Why", item.reason),), f"data.json#/set_aside/{i}") for i, item in enumerate(aside)]
    order = sorted(range(len(records.audit)), key=lambda i: (_RANK[records.audit[i].severity], i))
    found = [_notice(records.audit[i], f"audit.json#/{i}") for i in order]
    blocks: list[Block] = [Notices(tuple([*made, *found][:12]))]
    rest = [*made, *found][12:]
    if rest:
        blocks.append(Fold(f"{words.plural(len(rest), 'more finding')}", (Notices(tuple(rest)),)))
    return Section("audit", "What the audit found", "Findings about the data that bear on sharing.", tuple(blocks))


def _notice(finding: Finding, source: str) -> Notice:
    lines = [("Why it matters", finding.why), ("What to do", finding.remedy)]
    if finding.tasks:
        lines.append((words.verb(len(finding.tasks), "Task", "Tasks"), words.listing(finding.tasks, 6)))
    if finding.measured is not None:
        bound = "" if finding.threshold is None else f"; threshold {words.score(finding.threshold)}"
        lines.append(("Measured", f"{words.score(finding.measured)}{bound}"))
    return Notice(finding.severity.value, finding.message, tuple(line for line in lines if line[1]), source)


# --- method and provenance --------------------------------------------------------------------------------


def method(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """How the answer was reached, from what the design froze."""
    d = records.design
    if d is None:
        return None
    side = words.percent((1 - d.level) / 2)
    at = "design.json#"
    steps: list[Sentence] = [
        say("protocol", f"Each arm was tuned with {words.plural(d.tuning_runs, 'trial')} a model and compared on validation rows "
            f"({words.plural(d.selection_runs, 'run')} each); the chosen plan and its baselines were then retrained with "
            f"{words.plural(d.confirmation_runs, 'fresh seed')}, and the test rows opened once.", f"{at}/tuning_runs", f"{at}/selection_runs", f"{at}/confirmation_runs"),
        say("interval", f"Intervals are two-sided at {words.percent(d.level)} ({side} a side) and count both kinds of luck: that of the runs "
            f"and that of the test rows.", f"{at}/level"),
        say("rule", f"A task shares only where harm beyond its margin has a probability of at most {words.percent(d.max_probability_harm)} "
            f"given the effects of all tasks, and {'the plan has fewer models or the task gains' if d.prefer_fewer_models else 'a gain is expected'}; "
            f"a harm confirmed on test rows always goes back to its single-task model.", f"{at}/max_probability_harm", f"{at}/prefer_fewer_models"),
        say("scope", "The claims hold for this training set and for test rows like these; another training set may differ.", f"{at}/seed"),
    ]  # fmt: skip
    if any(metric.effect == "log_ratio" for metric in d.metrics):
        named = words.listing([m.label for m in d.metrics if m.effect == "log_ratio"])
        steps.append(say("log ratio", f"For {named} the change is the logarithm of the ratio of the two scores.", f"{at}/metrics"))
    if records.summary is not None and records.summary.selection_reason:
        steps.insert(1, say("selection", records.summary.selection_reason, "summary.json#/selection_reason"))
    return Section("method", "How this was decided", "", paragraph(steps))


def provenance(records: StudyRecords, rows: Sequence[TaskRow]) -> Section:
    """Run directory, versions, hashes, and the runs behind every comparison."""
    blocks: list[Block] = [Facts(tuple(_facts(records)))]
    links = tuple(_evidence_row(records, row) for row in rows if row.verdict is not None)
    if links:
        table = Table("Records behind each verdict", ("Task", "Verdict", "Single-task runs", "Shared runs", "Decision"), links)
        blocks.append(Fold("The records behind each verdict", (table,)))
    if records.runs:
        blocks.append(_runs_fold(records))
    if records.digests:
        made = tuple((Cell(name, kind="task"), Cell(FILES.get(name, "")), Cell(digest, kind="hash")) for name, digest in records.digests.items())
        blocks.append(Fold("Record files and their SHA-256", (Table("Record files", ("File", "Holds", "SHA-256"), made),)))
    if records.study_file:
        blocks.append(Fold("The study file", (Code(records.study_file, "study.yaml with every default filled in"),)))
    lead = (
        "Hover over a number, or see below, for the record it comes from: a file of the run directory and a JSON pointer into it "
        f"(“verdicts.json#/0/comparison” is the first verdict's comparison). Run directory: {records.name}."
    )
    return Section("provenance", "Where every number comes from", lead, tuple(blocks))


def _facts(records: StudyRecords) -> list[Fact]:
    made = []
    s, d = records.summary, records.design
    if records.data is not None:
        made.append(Fact("Data SHA-256", records.data.data_hash, "data.json#/data_hash"))
    if s is not None:
        made.append(Fact("Design SHA-256", s.design_digest, "summary.json#/design_digest"))
        made.append(Fact("Versions", ", ".join(f"{name} {version}" for name, version in s.versions.items()), "summary.json#/versions"))
        made.append(Fact("Machine", f"{s.platform}, {s.device}, {words.plural(s.workers, 'worker')} of {words.plural(s.threads, 'thread')}", "summary.json#/platform"))
        made.append(Fact("Time", f"{s.started} to {s.finished}, {words.seconds(s.seconds)}", "summary.json#/seconds"))
        made += [Fact("Note", note, f"summary.json#/notes/{i}") for i, note in enumerate(s.notes)]
        if s.bundle is not None:
            made.append(Fact("Use it", f"sharewise predict {records.name}/{s.bundle} TABLE -o OUT", "summary.json#/bundle"))
    if d is not None:
        made.append(Fact("Root seed", str(d.seed), "design.json#/seed"))
    return made


def _evidence_row(records: StudyRecords, row: TaskRow) -> tuple[Cell, ...]:
    assert row.verdict is not None
    c = row.verdict.comparison
    return (
        Cell(row.name, kind="task"),
        Cell(row.verdict_at),
        Cell(_ids(records, c.baseline_runs, c.baseline, row.name), kind="ids"),
        Cell(_ids(records, c.candidate_runs, c.candidate, row.name), kind="ids"),
        Cell(row.decision_at),
    )


def _ids(records: StudyRecords, named: Sequence[str], arm: str, task: str) -> str:
    ids = list(named) or [r.run_id for r in records.runs if r.phase is Phase.CONFIRM and r.arm == arm and task in r.tasks]
    return ", ".join(ids) or words.MISSING


def _runs_fold(records: StudyRecords) -> Fold:
    order = {Phase.CONFIRM: 0, Phase.SELECT: 1, Phase.TUNE: 2}
    runs = sorted(records.runs, key=lambda run: (order[run.phase], run.arm, run.group, run.trial, run.seed))
    made = tuple(
        (
            Cell(run.run_id, run.message, f"runs/{run.run_id}.json", kind="task"),
            Cell(f"{run.arm}, {run.group}" if run.group != run.arm else run.arm),
            Cell(run.phase.value, "" if run.status is Status.DONE else run.status.value),
            Cell(str(run.seed), kind="ids"),
            Cell(words.count(run.epochs), kind="count"),
            Cell(words.seconds(run.seconds), kind="count"),
            Cell(", ".join(f"{key} {_short(value)}" for key, value in run.params.items()), kind="ids"),
        )
        for run in runs[:_RUNS_SHOWN]
    )
    blocks: list[Block] = []
    if len(runs) > len(made):
        text = f"The first {words.count(len(made))}, confirmation runs first; the other {words.count(len(runs) - len(made))} are in runs/."
        blocks += paragraph([say("runs", text, "runs/")])
    head = ("Run", "Arm and group", "Phase", "Seed", "Epochs", "Seconds", "Parameters")
    blocks.append(Table("Runs", head, made))
    return Fold(f"All runs ({words.count(len(runs))})", tuple(blocks))


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
