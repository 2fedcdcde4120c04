"""What the audit found: the findings, small plots of what it measured, the rows to look at, and what it did not say."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.records import AuditDetails, Finding, Severity, Suppression
from sharewise.report import words
from sharewise.report.audit_blocks import drawn
from sharewise.report.blocks import (
    Block,
    Cell,
    Code,
    Fold,
    Heading,
    Notice,
    Notices,
    Section,
    Table,
    paragraph,
    say,
)
from sharewise.report.load import StudyRecords
from sharewise.report.rows import TaskRow

_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
_SHOWN = 12
"""Findings that stand open; the rest is folded."""

EXPORT = """\
import pyarrow.parquet as parquet
rows = parquet.read_table("audit_rows.parquet", filters=[("check", "=", "label_noise")])
rows.to_pandas().to_csv("suspicious.csv")"""


def audit(records: StudyRecords, rows: Sequence[TaskRow]) -> Section | None:
    """What the audit found in the data, the worst first, with its plots and all that it did not say."""
    aside = () if records.data is None else records.data.set_aside
    details = records.audit_details
    if not records.audit and not aside and details is None:
        return None
    made = [
        Notice("warning", f"Set aside: {item.task}", (("Why", f"it {item.reason}"),), f"data.json#/set_aside/{i}")
        for i, item in enumerate(aside)
    ]
    blocks = [
        *_notices(made, records.audit),
        *_suppressed(details),
        *drawn(details, alone=records.data is None),
        *_rows(records.audit),
        *_unsaid(details),
    ]
    return Section("audit", "What the audit found", "Findings about the data that bear on sharing.", tuple(blocks))


# --- findings ---------------------------------------------------------------------------------------------


def _notices(first: Sequence[Notice], findings: Sequence[Finding]) -> list[Block]:
    order = sorted(range(len(findings)), key=lambda i: (_RANK[findings[i].severity], i))
    every = [*first, *(_notice(findings[i], f"audit.json#/{i}") for i in order)]
    if not every:
        return list(paragraph([say("audit", "No check found anything to say about the data.", "audit.json")]))
    blocks: list[Block] = [Notices(tuple(every[:_SHOWN]))]
    rest = every[_SHOWN:]
    if rest:
        blocks.append(Fold(words.plural(len(rest), "more finding"), (Notices(tuple(rest)),)))
    return blocks


def _notice(finding: Finding, source: str) -> Notice:
    lines = [("Why it matters", finding.why), ("What to do", finding.remedy)]
    if finding.tasks:
        lines.append((words.verb(len(finding.tasks), "Task", "Tasks"), words.listing(finding.tasks, 6)))
    if finding.measured is not None:
        bound = "" if finding.threshold is None else f"; threshold {words.score(finding.threshold)}"
        lines.append(("Measured", f"{words.score(finding.measured)}{bound}"))
    return Notice(finding.severity.value, finding.message, tuple(line for line in lines if line[1]), source)


# --- suppressed -------------------------------------------------------------------------------------------


def _suppressed(details: AuditDetails | None) -> list[Block]:
    """What the study file asks not to hear of, each with the reason given; and wishes that cover nothing."""
    if details is None or not (details.suppressed or details.unused_suppressions):
        return []
    at = "audit_details.json#"
    made = [
        (
            Cell(hidden.finding.message, hidden.finding.severity.value, f"{at}/suppressed/{i}/finding", kind="task"),
            Cell(hidden.finding.check, kind="ids"),
            Cell(hidden.reason, source=f"{at}/suppressed/{i}/reason"),
        )
        for i, hidden in enumerate(details.suppressed)
    ]
    made += [
        (
            Cell("Nothing: no such finding was made", "remove the wish, or mend its names", kind="task"),
            Cell(_wish(wish), kind="ids"),
            Cell(wish.reason, source=f"{at}/unused_suppressions/{i}/reason"),
        )
        for i, wish in enumerate(details.unused_suppressions)
    ]
    head = ("Suppressed finding", "Check", "Reason given")
    return [Heading("Suppressed in the study file"), Table("Suppressed findings", head, tuple(made))]


def _wish(wish: Suppression) -> str:
    return ", ".join([wish.check, *wish.tasks, *wish.columns])


# --- rows -------------------------------------------------------------------------------------------------


def _rows(findings: Sequence[Finding]) -> list[Block]:
    """Findings that name rows: how many, the first of them, and how all of them are had."""
    named = [(i, f) for i, f in enumerate(findings) if f.n_rows]
    if not named:
        return []
    made = tuple(
        (
            Cell(f.check, words.listing(f.tasks, 3), f"audit.json#/{i}", kind="task"),
            Cell(words.count(f.n_rows), source=f"audit.json#/{i}/n_rows", kind="count"),
            Cell(_some(f.rows, f.n_rows), source=f"audit.json#/{i}/rows", kind="ids"),
        )
        for i, f in named
    )
    told = say(
        "rows",
        "All of them, the worst first, are in audit_rows.parquet beside audit.json, one line for each finding and row; "
        "`sharewise audit STUDY --rows FILE.csv` writes them as a table that any tool opens.",
    )
    table = Table("Rows to look at", ("Finding", "Rows", "The first of them"), made)
    return [Heading("Rows to look at"), table, *paragraph([told]), Code(EXPORT, "Reading the rows of one check")]


def _some(ids: Sequence[str], total: int, shown: int = 6) -> str:
    more = f" and {words.count(total - shown)} more" if total > shown else ""
    return f"{', '.join(ids[:shown])}{more}"


# --- what was not said ------------------------------------------------------------------------------------


def _unsaid(details: AuditDetails | None) -> list[Block]:
    """Checks that failed, things that could not be computed, and checks that were left out."""
    if details is None:
        return []
    at = "audit_details.json#"
    blocks: list[Block] = []
    if details.failed:
        failed = [
            Notice("error", f"The check '{f.check}' failed", (("Error", f.error),), f"{at}/failed/{i}")
            for i, f in enumerate(details.failed)
        ]
        blocks += [Heading("Checks that failed"), Notices(tuple(failed))]
    if details.level == "quick":
        text = (
            "This was the quick level: the checks that fit models (label noise, near duplicates, annotators, absent "
            "labels) did not run. `sharewise audit STUDY` runs them all."
        )
        blocks += paragraph([say("level", text, f"{at}/level")])
    if details.not_computable:
        made = tuple(
            (Cell(item.check, kind="task"), Cell(item.reason, source=f"{at}/not_computable/{i}"))
            for i, item in enumerate(details.not_computable)
        )
        title = f"{words.plural(len(made), 'thing')} that could not be computed"
        blocks.append(Fold(title, (Table("Not computable", ("Check", "Why"), made),)))
    return blocks
