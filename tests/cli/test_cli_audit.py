"""`sharewise audit` from the command line: what it prints and writes, its gate, its fixes, its errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sharewise.cli import answer

STUDY = """\
data: {path: table.parquet, id: id}
split: {column: part}
inputs: {a: numeric, town: categorical, fixed: numeric}
tasks:
  - {name: won, kind: binary, positive: 1}
  - {name: load, kind: regression}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    a = rng.normal(size=600)
    a[:30] = a[500:530]
    town = rng.choice(["Oslo", "Rome"], 600)
    town[:30] = town[500:530]
    table = {
        "id": [f"r{i}" for i in range(600)],
        "part": np.repeat(["train", "validation", "test"], [400, 100, 100]),
        "a": a,
        "town": town,
        "fixed": np.ones(600),
        "won": (a + rng.normal(size=600) > 0).astype(int),
        "load": a + rng.normal(size=600),
    }
    pq.write_table(pa.table(table), tmp_path / "table.parquet")
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    return tmp_path / "study.yaml"


def test_prints_the_worst_first_and_writes_three_files(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(["audit", str(study), "--quick", "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Audit of 600 rows and 7 columns: 3 errors, ")
    assert text.index("error       split_duplicates: 30 test rows (30.00%)") < text.index("constant_columns")
    assert "Rows r500, r501, r502, r503, r504 and 25 more." in text
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"audit.json", "audit_details.json", "audit_rows.parquet"}


def test_a_page_and_all_rows_are_written_on_request(study: Path, tmp_path: Path) -> None:
    page, rows = tmp_path / "audit.html", tmp_path / "rows.csv"
    assert answer(["audit", str(study), "--quick", "-q", "--report", str(page), "--rows", str(rows)]) == 0
    assert "30 test rows (30.00%)" in page.read_text(encoding="utf-8")
    assert "<title>table.parquet: 3 errors and" in page.read_text(encoding="utf-8")
    assert rows.read_text(encoding="utf-8").startswith('"finding","check","severity","tasks","row","row_id"\n')


def test_rows_of_another_format_are_refused_before_the_table_is_read(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.parquet").unlink()
    assert answer(["audit", str(study), "--rows", str(tmp_path / "rows.xlsx")]) == 2
    assert "End it in .csv or .parquet" in capsys.readouterr().err


def test_nothing_that_is_read_is_written_over(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (tmp_path / "table.parquet").read_bytes()
    args = ["--rows", str(tmp_path / "table.parquet"), "--report", str(study), "--out", str(study)]
    assert answer(["audit", str(study), "--quick", "-q", *args]) == 2
    said = capsys.readouterr().err
    assert said.count("never changes what it reads") == 2
    assert "is a file" in said
    assert (tmp_path / "table.parquet").read_bytes() == before
    assert (
        answer(["audit", str(study), "-c", "constant_columns", "-q", "--report", str(tmp_path / "new" / "a.html")]) == 0
    )
    assert (tmp_path / "new" / "a.html").exists()


def test_json_is_the_list_of_findings(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["audit", str(study), "--json", "-c", "constant_columns"]) == 0
    (finding,) = json.loads(capsys.readouterr().out)
    assert finding["columns"] == ["fixed"]


@pytest.mark.parametrize(
    ("check", "level", "code"),
    [("constant_columns", "error", 0), ("constant_columns", "warning", 3), ("split_duplicates", "error", 3)],
)
def test_gate(study: Path, check: str, level: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["audit", str(study), "-c", check, "--fail-on", level]) == code
    assert ("--fail-on" in capsys.readouterr().err) == (code == 3)


def test_suppressions_of_the_study_are_shown_with_their_reason(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wish = "audit: {suppress: [{check: constant_columns, reason: measured from May on, columns: [fixed]}]}\n"
    study.write_text(STUDY + wish, encoding="utf-8")
    assert answer(["audit", str(study), "-c", "constant_columns", "--fail-on", "warning"]) == 0
    assert "Reason given: measured from May on" in capsys.readouterr().out.replace("\n            ", " ")


def test_a_suppression_needs_a_reason(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(STUDY + "audit: {suppress: [{check: constant_columns}]}\n", encoding="utf-8")
    assert answer(["audit", str(study)]) == 2
    assert "reason" in capsys.readouterr().err


def test_fix_writes_a_new_table_and_a_list_of_changes(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / "table.parquet").read_bytes()
    assert answer(["audit", str(study), "--quick", "--fix", "group-split,drop-constant", "-q"]) == 0
    assert (tmp_path / "table.parquet").read_bytes() == before
    mended = pq.read_table(tmp_path / "table.fixed.parquet")
    assert mended.num_rows == 600
    assert "fixed" not in mended.column_names
    changes = json.loads((tmp_path / "table.fixed.fixes.json").read_text())["changes"]
    assert [c["fix"] for c in changes] == ["group-split", "drop-constant"]
    assert "group-split: " in capsys.readouterr().out
    # A second time the file is there already, and nothing is overwritten.
    assert answer(["audit", str(study), "--quick", "--fix", "drop-constant", "-q"]) == 2
    assert "must not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--fix", "drop-duplicate"], "A fix must be known; however, 'drop-duplicate' is not. Did you mean"),
        (["-c", "constant_column"], "A check must be known; however, 'constant_column' is not. Did you mean"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(
    study: Path, args: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(["audit", str(study), "--quick", *args]) == 2
    assert text in capsys.readouterr().err


def test_a_table_that_does_not_describe_itself_needs_a_study(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(["audit", str(tmp_path / "table.parquet")]) == 2
    assert "sharewise init" in capsys.readouterr().err
