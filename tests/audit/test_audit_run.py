"""Running an audit: failures, suppressions, plug-ins, fixes, files and the summary."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sharewise.audit import Suppression, run
from sharewise.audit.checks.base import Check
from sharewise.audit.files import write
from sharewise.audit.fix import FIXES, mend
from sharewise.audit.fix import write as write_table
from sharewise.audit.result import CheckResult, Found, Listed
from sharewise.audit.run import view_of
from sharewise.audit.summary import headline, lines
from sharewise.audit.view import AuditView
from sharewise.errors import ConfigError, DataError
from sharewise.records import Finding, Severity, from_json
from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tables.split import Split
from sharewise.tasks import Task, TaskKind, TaskSet

N = 400
SCHEMA = Schema(
    (Input("a", InputKind.NUMERIC), Input("b", InputKind.NUMERIC), Input("town", InputKind.CATEGORICAL)),
    TaskSet((Task("won", TaskKind.BINARY, ("won",), "auroc", classes=("no", "yes")),)),
    "id",
)
SPLIT = Split(np.arange(240), np.arange(240, 300), np.arange(300, N))


def table() -> pa.Table:
    """Forty test rows copied into train (four with another label), a constant input, a town in two spellings."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=N)
    won = np.where(a + rng.normal(size=N) > 0, "yes", "no")
    town = rng.choice(["Oslo", "Rome"], N).astype(object)
    a[:40], won[:40], town[:40] = a[300:340], won[300:340], town[300:340]
    won[:4] = np.where(won[:4] == "yes", "no", "yes")
    town[100:110] = "OSLO"
    return pa.table(
        {"id": [f"r{i}" for i in range(N)], "a": a, "b": np.ones(N), "town": town.tolist(), "won": won.tolist()}
    )


@dataclass(frozen=True)
class Broken(Check):
    """A check that raises."""

    def run(self, view: AuditView) -> CheckResult:
        """Raises."""
        raise ZeroDivisionError("by design")


def test_a_failing_check_is_reported_and_the_others_go_on() -> None:
    report = run(table(), SCHEMA, SPLIT, level="quick", plugins=[f"{__name__}:Broken"])
    assert [f.check for f in report.failed] == [f"{__name__}:Broken"]
    assert "ZeroDivisionError: by design" in report.failed[0].error
    assert {f.check for f in report.findings} >= {"split_duplicates", "constant_columns", "category_variants"}


def test_unknown_checks_and_parameters_are_refused() -> None:
    with pytest.raises(KeyError, match="must be known"):
        run(table(), SCHEMA, SPLIT, checks=["split_duplicate"])
    with pytest.raises(TypeError, match="must be known"):
        run(table(), SCHEMA, SPLIT, checks={"split_duplicates": {"share": 1}})


def test_a_threshold_can_be_set() -> None:
    strict = run(table(), SCHEMA, SPLIT, checks={"split_duplicates": {"max_share": 0.9}})
    assert all(f.severity is not Severity.ERROR for f in strict.findings)


def test_suppressed_findings_are_moved_with_their_reason() -> None:
    wishes = [
        Suppression("constant_columns", "filled next year", columns=("b",)),
        Suppression("split_time", "no such finding"),
    ]
    report = run(table(), SCHEMA, SPLIT, level="quick", suppress=wishes)
    assert [(s.finding.check, s.reason) for s in report.suppressed] == [("constant_columns", "filled next year")]
    assert "constant_columns" not in {f.check for f in report.findings}
    assert report.unused_suppressions == (wishes[1],)
    text = "\n".join(t for _, t in lines(report))
    assert "filled next year" in text
    assert "covers no finding" in text


def test_files_hold_the_findings_and_every_row(tmp_path: Path) -> None:
    report = run(table(), SCHEMA, SPLIT, level="quick")
    write(report, tmp_path)
    findings = from_json(tuple[Finding, ...], (tmp_path / "audit.json").read_bytes())
    assert findings == report.findings
    rows = pq.read_table(tmp_path / "audit_rows.parquet")
    assert rows.num_rows == sum(f.n_rows for f in findings)
    details = json.loads((tmp_path / "audit_details.json").read_text())
    assert details["details"]["task_volumes"]["labels"]["won"] == [240, 60, 100]
    assert headline(report).startswith("Audit of 400 rows and 5 columns: 1 error, ")


def test_the_other_levels_hold_what_quick_finds() -> None:
    quick = run(table(), SCHEMA, SPLIT, level="quick")
    full = run(table(), SCHEMA, SPLIT)
    assert set(quick.findings) <= set(full.findings)
    assert set(quick.checks) < set(full.checks)


@dataclass(frozen=True)
class Unsound(Check):
    """A check whose result no report could be made of."""

    how: str = "nothing"

    def run(self, view: AuditView) -> CheckResult:
        """What it was told to return."""
        rows = np.array([N + 7])
        found = Found(Severity.INFO, "Odd.", "Why.", "look", 1.0, 0.0, rows=rows)
        results = {
            "nothing": None,
            "rows": CheckResult((found,)),
            "listed": CheckResult(listed=(Listed((), -rows),)),
            "details": CheckResult(details={"a": object()}),
        }
        return results[self.how]  # type: ignore[return-value]


@pytest.mark.parametrize("how", ["nothing", "rows", "listed", "details"])
def test_a_check_that_returns_nonsense_has_failed_and_the_others_go_on(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unsound.__init__, "__defaults__", (how,))
    name = f"{__name__}:Unsound"
    report = run(table(), SCHEMA, SPLIT, checks=["constant_columns"], plugins=[name])
    assert [f.check for f in report.failed] == [name]
    assert [f.check for f in report.findings] == ["constant_columns"]
    write(report, tmp_path)


def test_plugins_that_cannot_be_made_are_told_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        run(table(), SCHEMA, SPLIT, plugins=["nowhere.at_all:Thing", "json:JSONDecoder", "json:Nothing", "odd"])
    assert [p.fact.split("'")[1] for p in caught.value.problems] == [
        "nowhere.at_all:Thing", "json:JSONDecoder", "json:Nothing", "odd",
    ]  # fmt: skip
    assert "No module named 'nowhere'" in str(caught.value)


def mended(*names: str) -> tuple[pa.Table, dict[str, int]]:
    new, changes = mend(view_of(table(), SCHEMA, SPLIT), names)
    return new, {c.fix: c.n_rows for c in changes}


def test_fixes_do_what_they_say() -> None:
    new, changes = mended("drop-duplicates")
    assert changes == {"drop-duplicates": 36}
    assert new.num_rows == N - 36
    new, changes = mended("blank-conflicts")
    assert changes == {"blank-conflicts": 8}
    assert new["won"].null_count == 8
    new, changes = mended("merge-spellings")
    assert changes == {"merge-spellings": 10}
    assert set(new["town"].to_pylist()) == {"Oslo", "Rome"}
    new, _ = mended("drop-constant")
    assert new.column_names == ["id", "a", "town", "won"]


def test_group_split_leaves_no_copy_across_and_drops_no_row() -> None:
    new, changes = mended("group-split")
    assert new.num_rows == N
    assert 0 < changes["group-split"] <= 80
    parts = {}
    for row in new.to_pylist():
        parts.setdefault((row["a"], row["town"]), set()).add(row["split"])
    assert all(len(p) == 1 for p in parts.values())


def test_a_mended_table_has_no_such_findings_left() -> None:
    new, _ = mended(*FIXES)
    part = np.array(new["split"].to_pylist())
    split = Split(*(np.flatnonzero(part == p) for p in ("train", "validation", "test")))
    inputs = tuple(i for i in SCHEMA.inputs if i.name != "b")
    report = run(new, Schema(inputs, SCHEMA.tasks, "id"), split)
    left = {f.check for f in report.findings}
    assert not left & {
        "split_duplicates",
        "label_conflicts",
        "category_variants",
        "constant_columns",
        "near_duplicates",
    }


def test_fixes_are_refused_where_they_would_overwrite(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="A fix must be known"):
        mended("drop-duplicate")
    path = tmp_path / "t.parquet"
    write_table(table(), path, "elsewhere")
    assert pq.read_table(path).equals(table())
    with pytest.raises(DataError, match="must not exist"):
        write_table(table(), path, str(path))
    with pytest.raises(DataError, match=r"is \.parquet, \.csv or \.arrow"):
        write_table(table(), tmp_path / "t.xlsx", "elsewhere")
