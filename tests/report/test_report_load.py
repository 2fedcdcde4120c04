"""Reading a run directory back, finished or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import report_synthetic as synthetic

from sharewise.errors import DataError
from sharewise.records import SetAside
from sharewise.report import load, render, write
from sharewise.report.load import FILES
from sharewise.report.sentences import answer


def test_what_was_written_is_read_back_equal(tmp_path: Path) -> None:
    records = synthetic.study(synthetic.FOUR, aside=(SetAside("rare", "has no label"),))
    found = load(synthetic.write(records, tmp_path / "runs-trial"))
    assert found.missing == ()
    by_id = {run.run_id: run for run in records.runs}
    assert {run.run_id: run for run in found.runs} == by_id
    assert replace(found, runs=records.runs, digests={}) == records
    assert set(found.digests) == {name for name in FILES if name != "runs/"}
    assert all(len(digest) == 64 for digest in found.digests.values())


@pytest.mark.parametrize("file", [name for name in FILES if name != "runs/"])
@pytest.mark.parametrize("damage", ["absent", "empty", "truncated", "another", "binary"])
def test_any_file_may_be_missing_or_damaged(file: str, damage: str, tmp_path: Path) -> None:
    path = synthetic.write(synthetic.study(synthetic.FOUR[:2], light=True), tmp_path / "run") / file
    content = path.read_bytes()
    match damage:
        case "absent":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(content[: len(content) // 2])
        case "another":
            path.write_text('{"nothing": ["of", "use"]}', encoding="utf-8")
        case "binary":
            path.write_bytes(b"\xff\xfe\x00" + content)
    records = load(tmp_path / "run")
    free_text = file == "study.yaml" and damage in ("empty", "truncated", "another")
    assert [item.file for item in records.missing] == ([] if free_text else [file])
    assert "\n" not in "".join(item.fact for item in records.missing)
    html = render(records)
    assert free_text or file in html
    assert answer(records)


@pytest.mark.parametrize("runs", [0, 1, 60])
def test_an_interrupted_run(runs: int, tmp_path: Path) -> None:
    path = synthetic.write(synthetic.interrupted(synthetic.study(synthetic.FOUR), runs), tmp_path / "run")
    records = load(path)
    assert len(records.runs) == runs
    assert "No answer yet" in render(records)
    assert "This report is incomplete" in render(records)
    assert write(path) == path / "report.html"


def test_a_truncated_run_record_is_named_and_left_out(tmp_path: Path) -> None:
    path = synthetic.write(synthetic.study(synthetic.FOUR), tmp_path / "run")
    victim = sorted((path / "runs").glob("*.json"))[3]
    victim.write_bytes(victim.read_bytes()[:40])
    records = load(path)
    assert [item.file for item in records.missing] == [f"runs/{victim.name}"]
    assert len(records.runs) == 155


def test_hidden_leftovers_of_a_killed_writer_are_ignored(tmp_path: Path) -> None:
    path = synthetic.write(synthetic.study(synthetic.FOUR), tmp_path / "run")
    (path / "runs" / ".confirm.json.abc123").write_text("{", encoding="utf-8")
    assert load(path).missing == ()


def test_no_run_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no") as caught:
        load(tmp_path / "absent")
    assert caught.value.exit_code == 2
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="is a file"):
        load(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has none of design"):
        load(tmp_path / "empty")


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = synthetic.write(synthetic.study(synthetic.FOUR), tmp_path / "run")
    write(path)
    before = sorted(p.name for p in path.iterdir())
    first = (path / "report.html").read_bytes()
    write(path)
    assert (path / "report.html").read_bytes() == first
    assert sorted(p.name for p in path.iterdir()) == before
    assert write(path, tmp_path / "elsewhere.html").read_bytes() == first
