"""Searches that measure no group: what gradients suggest is trained, and told as a hypothesis."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sharewise.grouping import CATALOGUE
from sharewise.grouping.base import Measured
from sharewise.grouping.constraints import Constraints
from sharewise.grouping.find import find
from sharewise.records import GroupingRecord, Phase, RunRecord, from_json
from sharewise.study.study import Study


@pytest.mark.parametrize("name", ["cosine", "lookahead"])
def test_two_kindred_sets_are_suggested(name: str) -> None:
    scores = np.where(np.arange(6)[:, None] % 2 == np.arange(6) % 2, 0.4, -0.1) + 0.01 * np.arange(6)
    method = CATALOGUE.build(name)
    found = find(method, method.fit(Measured.of([], 6), scores), Constraints(), risk=1.0, room=9, seed=0).proposal
    assert found is not None
    assert set(found.shared) == {(0, 2, 4), (1, 3, 5)}


def study(method: str) -> Study:
    """Two pairs of tasks, each pair the same function of inputs of its own."""
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 4))
    columns = {f"x{i}": x[:, i] for i in range(4)}
    for k in range(4):
        columns[f"y{k}"] = np.sin(2 * x[:, k % 2]) + 0.1 * random.normal(size=400)
    return Study(
        pa.table(columns),
        [{"name": f"y{k}", "kind": "regression"} for k in range(4)],
        search={"method": method},
        alternatives=(),
        architecture={"name": "hard", "width": 16, "depth": 1},
        budget={"level": "quick", "trials": 1, "epochs": 8, "seeds": 2},
    )


@pytest.mark.parametrize(("method", "groups"), [("cosine", 0), ("lookahead", 1)])
def test_it_is_said_beforehand_what_is_trained(method: str, groups: int, tmp_path: Path) -> None:
    record = study(method).session(tmp_path).design()[0].record.search
    assert record is not None
    assert len(record.groups) == groups


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cosine", "lookahead"])
def test_a_study_trains_what_was_suggested_and_calls_it_a_hypothesis(method: str, tmp_path: Path) -> None:
    log: list[str] = []
    study(method).run(tmp_path, workers=1, log=log.append)
    record = from_json(GroupingRecord, (tmp_path / "grouping.json").read_bytes())
    if not record.suggested:
        assert "clear and gain every task" in record.reason
        return
    scores = np.array([[np.nan if v is None else v for v in row] for row in record.suggested])
    kin = np.arange(4)[:, None] % 2 == np.arange(4) % 2
    off = ~np.eye(4, dtype=bool)
    assert np.nanmean(scores[kin & off]) > np.nanmean(scores[~kin])
    assert {frozenset(g) for g in record.plans[0].groups} == {frozenset({"y0", "y2"}), frozenset({"y1", "y3"})}
    runs = [from_json(RunRecord, p.read_bytes()) for p in (tmp_path / "runs").glob("*.json")]
    searched = [r for r in runs if r.phase is Phase.SEARCH]
    assert len(searched) == (1 if method == "lookahead" else 0)
    assert any(r.arm == "found" for r in runs)
    assert any("a hypothesis, no measured gain" in line for line in log)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Who might help whom" in page
    assert "Hypotheses." in page
    assert json.loads((tmp_path / "plans.json").read_text())
