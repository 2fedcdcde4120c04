"""Run directories that are damaged, or another version's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import ConfigError
from sharewise.study import session
from sharewise.study.study import Study


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here is what is in a directory: twenty steps a run."""
    monkeypatch.setattr(session, "recipe_for", lambda schema, epochs: {"epochs": epochs, "min_steps": 20})


def study(*names: str) -> Study:
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 2))
    y = x @ random.normal(size=(2, 2)) + random.normal(size=(60, 2))
    table = pa.table({"x0": x[:, 0], "x1": x[:, 1], "y": y[:, 0], "z": y[:, 1]})
    tasks = [{"name": name, "kind": "regression"} for name in names or ("y", "z")]
    small = {"name": "hard", "width": 2, "depth": 1}
    budget = {"level": "quick", "trials": 1, "epochs": 1, "seeds": 2}
    return Study(table, tasks, inputs=["x0", "x1"], alternatives=("linear",), architecture=small, budget=budget)


def test_damaged_records_are_made_again_and_what_no_study_can_clear_is_said(tmp_path: Path) -> None:
    log: list[str] = []
    study().run(tmp_path / "run", workers=1, log=log.append)
    assert any(line.startswith("No verdict can clear a task here. With ") and "are needed" in line for line in log)
    before = (tmp_path / "run" / "decisions.json").read_bytes()
    records = sorted((tmp_path / "run" / "runs").glob("*.json"))
    records[0].write_text('{"run_id": "x"')
    Path(tmp_path / "run" / "runs" / json.loads(records[-1].read_text())["predictions"]).unlink()
    log.clear()
    study().run(tmp_path / "run", workers=1, log=log.append)
    assert any(line.startswith("2 run records are damaged") for line in log)
    assert (tmp_path / "run" / "decisions.json").read_bytes() == before


def test_of_one_task_no_verdict_is_promised_or_denied(tmp_path: Path) -> None:
    log: list[str] = []
    study("y").run(tmp_path / "run", workers=1, log=log.append)
    assert not any("verdict" in line for line in log)


def test_a_directory_of_another_version_is_told_by_its_version(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "design.json").write_text('{"version": "9.9"}')
    with pytest.raises(ConfigError, match=r"was written by 9\.9, and this is"):
        study().run(out, workers=1)
