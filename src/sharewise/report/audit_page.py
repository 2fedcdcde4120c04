"""An audit as a page of its own, for those who audit a table and train nothing."""

from __future__ import annotations

from pathlib import Path

from sharewise.records import AuditDetails, Finding, Severity, write_atomic
from sharewise.report import findings as section
from sharewise.report import words
from sharewise.report.blocks import Block, Tile, Tiles, say
from sharewise.report.html import to_html
from sharewise.report.load import StudyRecords
from sharewise.report.pages import Page
from sharewise.report.sentences import Sentence


def write_audit(name: str, findings: tuple[Finding, ...], details: AuditDetails, path: Path) -> None:
    """Write the audit of table `name` as one self-contained HTML file; whole or not at all."""
    html = render_audit(name, findings, details)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, html)


def render_audit(name: str, findings: tuple[Finding, ...], details: AuditDetails) -> str:
    """The audit of table `name` as one self-contained HTML document; everything from the data is escaped."""
    records = StudyRecords(name, audit=findings, audit_details=details)
    made = section.audit(records, ())
    size = f"{words.plural(details.n_rows, 'row')} · {words.plural(details.n_columns, 'column')}"
    page = Page(
        title=name,
        subtitle=f"audit · {size} · {words.plural(len(details.checks), 'check')}",
        answer=tuple(_answer(findings, details)),
        hero=_tiles(findings, details),
        sections=() if made is None else (made,),
    )
    return to_html(page)


def _answer(findings: tuple[Finding, ...], details: AuditDetails) -> list[Sentence]:
    errors, warnings = (sum(f.severity is s for f in findings) for s in (Severity.ERROR, Severity.WARNING))
    if errors:
        head = f"{words.plural(errors, 'error')} and {words.plural(warnings, 'warning')}: mend the data first."
    elif warnings:
        head = f"No error and {words.plural(warnings, 'warning')}: look before training."
    else:
        head = "Nothing stands in the way of training."
    made = [say("headline", head, "audit.json")]
    tasks = dict.fromkeys(t for f in findings if f.severity is Severity.ERROR for t in f.tasks)
    if tasks:
        made.append(say("tasks", f"Errors concern {words.listing(tasks, 6)}.", "audit.json"))
    if details.failed:
        text = f"{words.plural(len(details.failed), 'check')} failed, and may have missed something."
        made.append(say("failed", text, "audit_details.json#/failed"))
    return made


def _tiles(findings: tuple[Finding, ...], details: AuditDetails) -> tuple[Block, ...]:
    def tile(severity: Severity, label: str, kind: str = "") -> Tile:
        n = sum(f.severity is severity for f in findings)
        return Tile(words.count(n), label, "audit.json", kind if n else "")

    hidden = len(details.suppressed)
    return (
        Tiles(
            (
                tile(Severity.ERROR, "errors: what depends on it cannot be trusted", "harm"),
                tile(Severity.WARNING, "warnings: someone should look"),
                tile(Severity.INFO, "notes for the record"),
                Tile(words.count(hidden), "suppressed, with reasons", "audit_details.json#/suppressed"),
                Tile(words.count(len(details.not_computable)), "not computable", "audit_details.json#/not_computable"),
            )
        ),
    )
