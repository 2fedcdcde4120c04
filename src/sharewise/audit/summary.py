"""An audit in the terminal: the worst first, then what was suppressed, failed or could not be computed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from sharewise.audit.result import AuditReport
from sharewise.records import Finding, Severity

_MARK = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "info"}
_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "dim"}
MAX_IDS = 5


def headline(report: AuditReport) -> str:
    """How much was found, in one sentence."""
    counts = [
        f"{report.count(s)} {_MARK[s]}{'s' * (report.count(s) != 1 and s is not Severity.INFO)}" for s in Severity
    ]
    return f"Audit of {report.n_rows:,} rows and {report.n_columns} columns: {', '.join(counts)}."


def lines(report: AuditReport, width: int = 100) -> Iterator[tuple[str, str]]:
    """(style, text) line by line; styles are those of rich, empty for plain text."""
    yield "bold", headline(report)
    for finding in report.findings:
        yield from _finding(finding, width)
    for hidden in report.suppressed:
        text = f"suppressed  {hidden.finding.check}: {hidden.finding.message} Reason given: {hidden.reason}"
        yield from (("dim", part) for part in textwrap.wrap(text, width, subsequent_indent=" " * 12))
    for wish in report.unused_suppressions:
        yield "yellow", f"unused      the suppression of {wish.check} ({wish.reason}) covers no finding"
    for failure in report.failed:
        yield "bold red", f"failed      {failure.check}: {failure.error}"
    if report.not_computable:
        yield "dim", f"{len(report.not_computable)} things could not be computed; audit_details.json lists them."


def _finding(finding: Finding, width: int) -> Iterator[tuple[str, str]]:
    indent = " " * 12
    head = f"{_MARK[finding.severity]:<10}  {finding.check}: {finding.message}"
    yield from ((_STYLE[finding.severity], part) for part in textwrap.wrap(head, width, subsequent_indent=indent))
    if finding.severity is Severity.INFO:
        return
    yield from (
        ("", part) for part in textwrap.wrap(finding.why, width, initial_indent=indent, subsequent_indent=indent)
    )
    remedy = f"{finding.remedy[:1].upper()}{finding.remedy[1:]}."
    yield from (("", part) for part in textwrap.wrap(remedy, width, initial_indent=indent, subsequent_indent=indent))
    if finding.rows:
        more = f" and {finding.n_rows - MAX_IDS:,} more" if finding.n_rows > MAX_IDS else ""
        yield "dim", f"{indent}Rows {', '.join(finding.rows[:MAX_IDS])}{more}."
