"""From a table to verdicts, a report, a bundle and predictions, by the command line alone."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.csv as pc
import pytest
from spoken import Command


def test_init_run_report_predict(study: Path, sharewise: Command, tmp_path: Path) -> None:
    made = tmp_path / "made.yaml"
    done = sharewise("init", tmp_path / "plants.parquet", "--task", "height", "--task", "weight", "-o", made)
    assert done.returncode == 0, done.stderr
    assert "height" in made.read_text()

    done = sharewise("run", study, "--out", tmp_path / "run", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "height" in done.stdout
    assert "have at least one label, and every one of them is used" in done.stderr
    run = tmp_path / "run"
    names = {"design.json", "data.json", "audit.json", "comparisons.json", "verdicts.json", "decisions.json"}
    assert names | {"summary.json", "report.html", "bundle", "runs", "models"} <= {p.name for p in run.iterdir()}
    verdicts = json.loads((run / "verdicts.json").read_text())
    assert [v["task"] for v in verdicts] == ["height", "weight", "sick"]
    assert "<html" in (run / "report.html").read_text()

    again = sharewise("run", study, "--out", run, "--workers", 1)
    assert again.returncode == 0, again.stderr
    assert json.loads((run / "verdicts.json").read_text()) == verdicts

    (run / "report.html").unlink()
    assert sharewise("report", run).returncode == 0
    assert (run / "report.html").exists()

    out = tmp_path / "answers.csv"
    done = sharewise("predict", run / "bundle", tmp_path / "plants.csv", "-o", out)
    assert done.returncode == 0, done.stderr
    answers = pc.read_csv(out)
    assert answers.num_rows == 240
    assert {"plant", "sick__proba_yes"} <= set(answers.column_names)


@pytest.mark.slow
def test_another_design_in_the_same_directory_is_refused(study: Path, sharewise: Command, tmp_path: Path) -> None:
    assert sharewise("run", study, "--out", tmp_path / "run", "--workers", 1).returncode == 0
    study.write_text(study.read_text() + "seed: 1\n")
    done = sharewise("run", study, "--out", tmp_path / "run", "--workers", 1)
    assert done.returncode == 2
    assert "A run directory belongs to one design" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_with_other_files_is_refused(study: Path, sharewise: Command, tmp_path: Path) -> None:
    other = tmp_path / "precious"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    done = sharewise("run", study, "--out", other)
    assert done.returncode == 2
    assert "holds other files" in done.stderr
    assert [p.name for p in other.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(study: Path, sharewise: Command, tmp_path: Path) -> None:
    for workers in (1, 2):
        done = sharewise("run", study, "--out", tmp_path / f"run{workers}", "--workers", workers)
        assert done.returncode == 0, done.stderr
    first, second = ((tmp_path / f"run{n}" / "verdicts.json").read_bytes() for n in (1, 2))
    assert first == second


@pytest.mark.slow
def test_a_gate_that_is_not_met_exits_with_3(study: Path, sharewise: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = sharewise("run", study, "--out", run, "--workers", 1, "--fail-on", "harm")
    harmed = [v["task"] for v in json.loads((run / "verdicts.json").read_text()) if v["outcome"] == "harm"]
    assert done.returncode == (3 if harmed else 0)
    for task in harmed:
        assert task in done.stderr


@pytest.mark.slow
def test_demo(sharewise: Command, tmp_path: Path) -> None:
    done = sharewise("demo", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    verdicts = {v["task"]: v for v in json.loads((tmp_path / "demo/run/verdicts.json").read_text())}
    assert verdicts["coin"]["label"] != "better", "a coin toss must not be claimed to gain"
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for task, verdict in verdicts.items():
        row = next(line for line in readme.splitlines() if line.startswith(f"| {task} ("))
        assert verdict["label"] in row, f"the README says otherwise of {task}"
    assert "The bundle's answers" in done.stdout
