"""The contract of every audit check in the catalogue: silent where nothing is wrong, deterministic, reads only, and
finds what is planted, with complete findings whose rows exist."""

from __future__ import annotations

import math
import re
from dataclasses import fields, is_dataclass

import numpy as np
import pyarrow as pa
import pytest
from audit_defects import KINDS, Kind
from audit_tables import every

from sharewise.audit import run
from sharewise.audit.checks import CATALOGUE
from sharewise.audit.result import AuditReport
from sharewise.records import Finding, Severity, to_json

CHECKS = sorted(CATALOGUE)
NUMBER = re.compile(r"\d")


def audited(name: str, check: str) -> AuditReport:
    case = every()[name]
    return run(case.table, case.schema, case.split, checks=[check])


@pytest.mark.parametrize("check", CHECKS)
def test_silent_on_clean_tables(check: str) -> None:
    for name in every():
        report = audited(name, check)
        assert report.failed == ()
        assert [f.message for f in report.findings] == [], name


@pytest.mark.parametrize("check", CHECKS)
def test_is_a_frozen_dataclass_whose_fields_are_thresholds(check: str) -> None:
    kind = CATALOGUE.load(check)
    assert is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    for field in fields(kind):
        assert isinstance(field.default, int | float)
        # Every threshold is named in the docstring, with its value or where it comes from.
        assert f"`{field.name}`" in (kind.__doc__ or ""), field.name
    assert CATALOGUE.parameters(check) is not None


@pytest.mark.parametrize("check", CHECKS)
def test_some_defect_is_planted_for_it(check: str) -> None:
    assert any(kind.check == check for kind in KINDS)


def planted(kind: Kind, name: str) -> tuple[AuditReport, AuditReport] | None:
    """The audit of the planted table and of its twin planted again, or None where it does not fit the table."""
    case = kind.plant(every()[name], kind.strengths[-1], np.random.default_rng(3))
    if case is None:
        return None
    before = pa.concat_tables([case.table])
    first = run(case.table, case.schema, case.split, checks=[kind.check])
    assert case.table.equals(before), "the check changed the table"
    second = run(case.table, case.schema, case.split, checks=[kind.check])
    assert first.failed == ()
    assert any(not case.touched or case.touched & {*f.tasks, *f.columns} for f in first.findings), name
    for finding in first.findings:
        complete(finding, first, case.table, case.schema.row_id)
    return first, second


def complete(finding: Finding, report: AuditReport, table: pa.Table, row_id: str | None) -> None:
    """Severity, message with a number, why, remedy, measure and threshold; names and rows that exist."""
    assert finding.severity in Severity
    assert finding.message.endswith(".")
    assert finding.why.endswith(".")
    assert finding.remedy
    assert not finding.remedy.endswith(".")
    assert finding.measured is not None
    assert math.isfinite(finding.measured)
    assert finding.threshold is not None
    assert set(finding.columns) <= set(table.column_names)
    ids = set(table.column(row_id).to_pylist()) if row_id else set()
    assert set(finding.rows) <= ids
    assert len(finding.rows) == min(finding.n_rows, 200)
    assert report.rows is not None
    of_finding = report.rows.filter(pa.compute.equal(report.rows["finding"], report.findings.index(finding)))
    assert of_finding.num_rows == finding.n_rows
    assert of_finding["row_id"].to_pylist()[:200] == list(finding.rows)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_finds_what_is_planted(kind: Kind) -> None:
    results = [r for r in (planted(kind, name) for name in every()) if r is not None]
    assert results, "no synthetic table fits this kind"
    for first, second in results:
        assert to_json(first.findings) == to_json(second.findings)
        assert first.rows is not None
        assert first.rows.equals(second.rows)
