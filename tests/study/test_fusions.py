"""Whole studies of mixed inputs by every fusion: what was judged is what the bundle answers, cells missing or not."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sharewise.bundle import Bundle
from sharewise.report.load import load
from sharewise.study import Study
from sharewise.study.file import StudyFile
from sharewise.study.work import read_predictions

N = 200
WORDS = {0: ["awful", "sour", "dull"], 1: ["fine", "sweet", "lovely"]}


def table() -> pa.Table:
    """Pixels, words, ids and numbers, a fifth of each missing; the last 60 rows are the test rows."""
    draw = np.random.default_rng(0)
    mood, light, x = draw.integers(0, 2, N), draw.integers(0, 200, N), draw.normal(size=N)
    hole = draw.random((4, N)) < 0.2
    shots = [(v + draw.integers(0, 40, 64)).astype(np.uint8).tobytes() for v in light]
    columns = {
        "shot": pa.array([None if h else s for h, s in zip(hole[0], shots, strict=True)], pa.binary(64)),
        "note": pa.array(
            [None if h else " ".join(draw.choice(WORDS[m], 3)) for h, m in zip(hole[1], mood, strict=True)]
        ),
        "user": pa.array([None if h else f"u{i % 15}" for i, h in enumerate(hole[2])]),
        "x": pa.array(x, mask=hole[3]),
        "mood": mood,
        "light": x + light / 100.0,
        "split": ["train"] * 100 + ["validation"] * 40 + ["test"] * 60,
    }
    return pa.table(columns)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", ["attention", "gated"])
def test_what_was_judged_is_what_the_bundle_answers(fusion: str, tmp_path: Path) -> None:
    data = table()
    study = Study(
        data,
        [
            {"name": "mood", "kind": "binary", "inputs": ["note", "user", "shot"]},
            {"name": "light", "kind": "regression"},
        ],
        inputs=[
            {"name": "shot", "kind": "image", "encoder": {"name": "picture", "widths": [4]}},
            {"name": "note", "kind": "text", "encoder": {"name": "ngrams", "features": 16}},
            {"name": "user", "kind": "id"},
            "x",
        ],
        encoders={"fusion": fusion, "width": 16},
        split={"column": "split"},
        budget={"level": "quick", "trials": 1, "seeds": 2, "epochs": 3},
        alternatives=[],
        search="off",
    )
    study.run(tmp_path / "run", workers=1)
    records, bundle = load(tmp_path / "run"), Bundle.load(tmp_path / "run" / "bundle")
    model = next((tmp_path / "run" / "bundle" / "groups").glob("*/model.json"))
    assert f'"fusion": "{fusion}"' in model.read_text()
    shipped = json.loads((tmp_path / "run" / "bundle" / "provenance.json").read_text())["runs"]
    asked = data.slice(140).drop_columns(["mood", "light"])
    proba, answers = bundle.predict_proba(asked), bundle.predict(asked)
    for decision in records.decisions:
        run = next(r for r in records.runs if r.run_id == shipped[decision.group]["run"])
        judged = read_predictions(tmp_path / "run", run, "test", decision.task)
        made = proba["mood"].column(1) if decision.task == "mood" else answers["light"]
        np.testing.assert_allclose(np.array(made), judged[:, -1], atol=2e-4)
    blind = pa.table({name: pa.nulls(3) for name in ("shot", "note", "user", "x")})
    assert np.isfinite(np.array(bundle.predict(blind)["light"])).all()


def test_every_key_of_a_study_file_is_a_keyword() -> None:
    of_run = {"out"}
    assert set(StudyFile.model_fields) - of_run <= set(inspect.signature(Study).parameters)
