"""How the answer was reached and where every number comes from: protocol, versions, hashes, runs, files."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.records import Phase, Status
from sharewise.report import remarks, words
from sharewise.report.blocks import (
    Block,
    Cell,
    Code,
    Fact,
    Facts,
    Fold,
    Notice,
    Notices,
    Section,
    Table,
    paragraph,
    say,
)
from sharewise.report.load import FILES, SEARCHED, SIDELINES, StudyRecords
from sharewise.report.rows import TaskRow

_RUNS_SHOWN = 200


def subtitle(records: StudyRecords) -> str:
    """What was studied, in a line."""
    said = []
    if records.design is not None:
        said.append(f"{records.design.budget} study")
    if records.data is not None:
        said.append(records.data.source.rstrip("/").split("/")[-1])
        said.append(words.plural(records.data.n_rows, "row"))
    if records.design is not None:
        said.append(words.plural(len(records.design.tasks), "task"))
    if records.summary is not None:
        said.append(f"finished {records.summary.finished[:16].replace('T', ' ')}")
    return " · ".join(said)


def missing(records: StudyRecords) -> tuple[Notices, ...]:
    """What is not in the run directory, and so not on the page."""
    lacking = [item for item in records.missing if item.file not in SIDELINES]
    if not lacking:
        return ()
    lines = [(item.file, f"{item.fact}: {_holds(item.file)}") for item in lacking[:12]]
    if len(lacking) > 12:
        lines.append(("", f"and {words.count(len(lacking) - 12)} more"))
    return (Notices((Notice("warning", "This report is incomplete", tuple(lines)),)),)


def _holds(file: str) -> str:
    return FILES.get(file, "one trained model's record" if file.startswith("runs/") else "")


# --- method and provenance --------------------------------------------------------------------------------


def method(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """How the answer was reached, from what the design froze."""
    rules = (
        remarks.protocol,
        remarks.runs_made,
        remarks.chosen,
        remarks.luck,
        remarks.shipping,
        remarks.logarithms,
        remarks.scope,
    )
    made = paragraph([rule(records, rows) for rule in rules])
    return Section("method", "How it is decided", "", made) if made else None


def provenance(records: StudyRecords, rows: Sequence[TaskRow]) -> Section:
    """Run directory, versions, hashes, and the runs behind every comparison."""
    blocks: list[Block] = [Facts(tuple(_facts(records)))]
    links = tuple(_evidence_row(records, row) for row in rows if row.verdict is not None)
    if links:
        table = Table(
            "Records behind each verdict", ("Task", "Verdict", "Single-task runs", "Shared runs", "Decision"), links
        )
        blocks.append(Fold("The records behind each verdict", (table,)))
    if records.runs:
        blocks.append(_runs_fold(records))
    if records.digests:
        made = tuple(
            (Cell(name, kind="task"), Cell((FILES | SEARCHED).get(name, "")), Cell(digest, kind="hash"))
            for name, digest in records.digests.items()
        )
        blocks.append(
            Fold("Record files and their SHA-256", (Table("Record files", ("File", "Holds", "SHA-256"), made),))
        )
    if records.study_file:
        blocks.append(Fold("The study file", (Code(records.study_file, "study.yaml with every default filled in"),)))
    lead = (
        "Hover over a number, or see below, for the record it comes from: a file of the run directory and a JSON "
        f"pointer into it (verdicts.json#/0/comparison: the first verdict's comparison). Run directory: {records.name}."
    )
    return Section("provenance", "Where every number comes from", lead, tuple(blocks))


def _facts(records: StudyRecords) -> list[Fact]:
    made = []
    s, d = records.summary, records.design
    if records.data is not None:
        made.append(Fact("Data SHA-256", records.data.data_hash, "data.json#/data_hash"))
    if s is not None:
        made.append(Fact("Design SHA-256", s.design_digest, "summary.json#/design_digest"))
        made.append(
            Fact(
                "Versions",
                ", ".join(f"{name} {version}" for name, version in s.versions.items()),
                "summary.json#/versions",
            )
        )
        made.append(
            Fact(
                "Machine",
                f"{s.platform}, {s.device}, {words.plural(s.workers, 'worker')} of {words.plural(s.threads, 'thread')}",
                "summary.json#/platform",
            )
        )
        made.append(Fact("Time", f"{s.started} to {s.finished}, {words.seconds(s.seconds)}", "summary.json#/seconds"))
        made += [Fact("Note", note, f"summary.json#/notes/{i}") for i, note in enumerate(s.notes)]
        if s.bundle is not None:
            made.append(
                Fact("Use it", f"sharewise predict {records.name}/{s.bundle} TABLE -o OUT", "summary.json#/bundle")
            )
    if d is not None:
        made.append(Fact("Root seed", str(d.seed), "design.json#/seed"))
    made += [Fact("Not on record", f"{m.file}: {m.fact}", m.file) for m in records.missing if m.file in SIDELINES]
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
    ids = list(named) or [
        r.run_id for r in records.runs if r.phase is Phase.CONFIRM and r.arm == arm and task in r.tasks
    ]
    return words.ids(ids) or words.MISSING


def _runs_fold(records: StudyRecords) -> Fold:
    order = {Phase.CONFIRM: 0, Phase.SELECT: 1, Phase.TUNE: 2, Phase.SEARCH: 3, Phase.PRETRAIN: 4}
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
        rest = words.count(len(runs) - len(made))
        text = f"The first {words.count(len(made))}, confirmation runs first; the other {rest} are in runs/."
        blocks += paragraph([say("runs", text, "runs/")])
    head = ("Run", "Arm and group", "Phase", "Seed", "Epochs", "Seconds", "Parameters")
    blocks.append(Table("Runs", head, made))
    return Fold(f"All runs ({words.count(len(runs))})", tuple(blocks))


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
