"""`sharewise audit`: find what is wrong with the data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sharewise.audit import AuditReport
    from sharewise.audit.run import Progress
    from sharewise.audit.subject import Subject


@click.command("audit", short_help="Find what is wrong with the data before anything is trained.")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Folder for audit.json, audit_details.json and "
              "audit_rows.parquet [default: nothing is written].")  # fmt: skip
@click.option("--report", "page", type=click.Path(path_type=Path), help="Write a page with small plots, as audit.html.")
@click.option("--rows", type=click.Path(path_type=Path), help="Write all rows worth a look to a .csv or .parquet file.")
@click.option("--quick", is_flag=True, help="Leave out the checks that fit models.")
@click.option("--check", "-c", "checks", multiple=True, help="Run this check only (may be given several times).")
@click.option("--fail-on", type=click.Choice(["error", "warning"]), help="Exit with 3 on a finding this bad or worse.")
@click.option("--fix", help="Comma-separated fixes to apply to a copy of the table, as drop-duplicates,group-split.")
@click.option("--fixed", type=click.Path(path_type=Path), help="Where the mended table goes [default: beside the "
              "table, as NAME.fixed.parquet]; NAME.fixes.json beside it lists every change.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON instead of text.")
@click.option("--quiet", "-q", is_flag=True, help="Nothing on stderr but errors.")
def command(
    study: Path,
    out: Path | None,
    page: Path | None,
    rows: Path | None,
    quick: bool,
    checks: tuple[str, ...],
    fail_on: str | None,
    fix: str | None,
    fixed: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Audit the table of STUDY, a study.yaml (or a table that describes itself): leakage, contradicting and noisy
    labels, skew in time, imbalance, form.

    The table itself is never changed; --fix writes a new one.
    """
    from sharewise.audit import run
    from sharewise.audit.files import check_targets, rows_format, write, write_rows

    _known(checks, fix)
    if rows is not None:
        rows_format(rows)
    subject = _subject(study)
    check_targets([study, Path(subject.path)], out, [path for path in (page, rows) if path is not None])
    report = run(
        subject.table,
        subject.schema,
        subject.split,
        suppress=subject.suppress,
        seed=subject.seed,
        level="quick" if quick else "full",
        checks=checks or None,
        plugins=subject.plugins,
        progress=None if quiet else _progress,
    )
    if out is not None:
        write(report, out)
    if rows is not None:
        write_rows(report, rows)
    if page is not None:
        _page(report, subject, page)
    _print(report, as_json)
    if fix is not None:
        _fix(subject, _names(fix), fixed, quiet)
    _gate(report, fail_on)


def _page(report: AuditReport, subject: Subject, path: Path) -> None:
    from sharewise.report.audit_page import write_audit

    write_audit(Path(subject.path).name, report.findings, report.without_findings(), path)


def _subject(path: Path) -> Subject:
    from sharewise.audit.result import Suppression
    from sharewise.audit.subject import of_table, subject
    from sharewise.tables.formats import file_format

    if file_format(str(path)) is not None:
        return of_table(path)
    from sharewise.study.file import load
    from sharewise.tables.read import read

    said = load(path)
    table = read(said.data_path)
    wishes = tuple(Suppression(s.check, s.reason, s.tasks, s.columns) for s in said.audit.suppress)
    declared = said.declaration(table)
    return subject(said.data_path, table, declared, said.split_spec(), wishes, said.audit.plugins, said.seed)


def _known(checks: tuple[str, ...], fix: str | None) -> None:
    """Names are checked before the table is read."""
    from sharewise.audit.checks import CATALOGUE
    from sharewise.audit.fix import FIXES
    from sharewise.errors import ConfigError, Problem, nearest

    wrong = [
        Problem("A check must be known", f"'{n}' is not", nearest(n, CATALOGUE)) for n in checks if n not in CATALOGUE
    ]
    wrong += [Problem("A fix must be known", f"'{n}' is not", nearest(n, FIXES)) for n in _names(fix) if n not in FIXES]
    if wrong:
        raise ConfigError(wrong)


def _names(said: str | None) -> list[str]:
    return [name.strip() for name in (said or "").split(",") if name.strip()]


def _progress(step: Progress) -> None:
    if sys.stderr.isatty():
        print(f"\r[{step.done + 1}/{step.total}] {step.check:<24}", end="", file=sys.stderr, flush=True)
        if step.done + 1 == step.total:
            print("\r" + " " * 40 + "\r", end="", file=sys.stderr, flush=True)


def _print(report: AuditReport, as_json: bool) -> None:
    from sharewise.audit.summary import lines
    from sharewise.records import to_json

    if as_json:
        print(to_json(report.findings), end="")
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for style, text in lines(report, min(console.width, 110)):
        console.print(text, style=style or None, markup=False)


def _fix(subject: Subject, fixes: list[str], target: Path | None, quiet: bool) -> None:
    from sharewise.audit.fix import mend, write
    from sharewise.audit.run import view_of
    from sharewise.records import to_json, write_atomic

    table, changes = mend(view_of(subject.table, subject.schema, subject.split, seed=subject.seed), fixes)
    source = Path(subject.path)
    path = target or source.with_name(f"{source.stem}.fixed.parquet")
    write(table, path, subject.path)
    write_atomic(path.with_suffix(".fixes.json"), to_json({"source": subject.path, "changes": list(changes)}))
    for change in changes:
        print(f"{change.fix}: {change.sentence}")
    if not quiet:
        print(f"Wrote {path} ({table.num_rows:,} rows) and {path.stem}.fixes.json.", file=sys.stderr)


def _gate(report: AuditReport, fail_on: str | None) -> None:
    from sharewise.errors import GateError
    from sharewise.records import Severity

    worst = report.worst()
    bad = {"error": (Severity.ERROR,), "warning": (Severity.ERROR, Severity.WARNING)}.get(fail_on or "", ())
    if worst in bad:
        failed = f" and {len(report.failed)} failed checks" if report.failed else ""
        n = sum(report.count(s) for s in bad)
        raise GateError(f"--fail-on {fail_on}: the audit has {n} findings this bad or worse{failed}.")
