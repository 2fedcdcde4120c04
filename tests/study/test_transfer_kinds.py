"""Transfer and ensembles beside everything else that a study may say: each runs to its bundle and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sharewise.bundle import Bundle
from sharewise.study import session
from sharewise.study.study import Study

BUDGET = {"level": "quick", "trials": 1, "seeds": 2, "epochs": 3}
Y, Z, K, FINE = "y", "z", "k", {"name": "fine", "parent": "k"}
BOTH = {"pretrained": True, "pairs": [["k", "fine"], ["fine", "k"]]}
CASES: dict[str, dict[str, Any]] = {
    "groups": {
        "tasks": [{"name": Y, "by": "g"}, {"name": Z}],
        "transfer": {"pretrained": True, "pairs": [[Z, Y], ["y@g1", Z]]},
    },
    "a helper": {
        "tasks": [Y, Z, {"name": "h", "auxiliary": True}],
        "transfer": {"pretrained": True, "pairs": [["h", Z]]},
    },
    "coarse and fine": {"tasks": [K, FINE, Y], "transfer": BOTH},
    "a lower layer": {"tasks": [Y, {"name": Z, "at_layer": 1}], "transfer": "auto"},
    "some inputs": {
        "tasks": [{"name": Y, "inputs": ["x0", "x1"]}, {"name": Z, "inputs": ["x1", "x2"]}],
        "transfer": {"pretrained": True, "pairs": [[Y, Z]]},
    },
    "experts": {"tasks": [Y, Z, K], "architecture": "mmoe", "transfer": "auto"},
    "levels of experts": {"tasks": [Y, Z, K], "architecture": "ple", "transfer": "auto"},
    "learnt weights": {"tasks": [Y, Z, K], "balance": {"weighting": "uncertainty"}, "transfer": "auto"},
    "checkpoints by task": {"tasks": [Y, Z, K], "balance": {"checkpoint": "task"}, "transfer": "auto"},
    "a search": {"tasks": [Y, Z, K, "h"], "search": "surrogate", "transfer": "auto", "ship_ensembles": True},
    "pooled ensembles": {"tasks": [{"name": Y, "by": "g"}], "alternatives": ["pooled"], "ship_ensembles": True},
    "a chain": {
        "tasks": [K, {"name": "k2", "column": "k"}, Y], "alternatives": ["chain"], "ship_ensembles": True,
        "transfer": "auto",
    },
    "asked trials": {
        "tasks": [Y, Z], "tuning": {"sampler": "tpe", "pruner": "halving"}, "transfer": "auto",
        "budget": {**BUDGET, "trials": 3},
    },
}  # fmt: skip


def table(n: int = 240) -> pa.Table:
    """Numbers, of which one has few labels, a class and a finer one, groups of rows, and a helper."""
    random = np.random.default_rng(0)
    x = random.normal(size=(n, 4))
    y = x @ random.normal(size=4)
    coarse = np.where(y > 0, "p", "q")
    return pa.table(
        {
            **{f"x{i}": x[:, i] for i in range(4)},
            "y": y,
            "z": pa.array(2 * y + random.normal(size=n), mask=random.random(n) < 0.6),
            "k": coarse,
            "fine": np.where(y > 0, np.where(x[:, 0] > 0, "p1", "p2"), np.where(x[:, 1] > 0, "q1", "q2")),
            "h": y + random.normal(size=n),
            "g": np.array([f"g{i}" for i in random.integers(0, 3, n)]),
            "part": np.array(["train", "train", "validation", "test"])[np.arange(n) % 4],
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_it_runs_to_a_bundle_that_answers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "recipe_for", lambda schema, epochs: {"epochs": epochs, "min_steps": 20})
    said = {"split": {"column": "part"}, "inputs": [f"x{i}" for i in range(4)], "budget": BUDGET, **CASES[name]}
    Study(table(), **{"alternatives": ["linear"], "search": "off", **said}).run(tmp_path / "run", workers=1)
    runs = [json.loads(path.read_text()) for path in (tmp_path / "run" / "runs").glob("*.json")]
    assert not [run["message"] for run in runs if run["status"] == "failed"]
    if "transfer" in said:
        assert [run for run in runs if run["source"]]
    challenges = json.loads((tmp_path / "run" / "challenges.json").read_text())
    assert challenges
    assert all(c["against"] is not None for c in challenges)
    answers = Bundle.load(tmp_path / "run" / "bundle").predict(table())
    assert answers.num_rows == 240
