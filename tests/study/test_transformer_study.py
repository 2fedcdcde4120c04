"""A study on a transformer, frozen or trained, and its bundle, which carries the network and needs no other copy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sharewise.bundle import Bundle
from sharewise.bundle.stream import predict_file
from sharewise.errors import BundleError
from sharewise.study import Study
from tiny_networks import WORDS, tiny_bert, tiny_vision


def table(n: int = 240, seed: int = 0) -> pa.Table:
    """`warm` says whether there is more sun than snow, `wet` whether there is rain; some texts are missing."""
    draw = np.random.default_rng(seed)
    said = [list(draw.choice(WORDS[:4], 4)) for _ in range(n)]
    text = [None if draw.random() < 0.05 else " ".join(s) for s in said]
    warm, wet = ([int(s.count("sun") > s.count("snow")) for s in said], [int("rain" in s) for s in said])
    return pa.table({"note": text, "x": draw.normal(size=n), "warm": warm, "wet": wet})


@pytest.mark.slow
@pytest.mark.parametrize("train", ["none", "all", "1", "lora"])
def test_from_text_to_a_bundle_that_stands_alone(train: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAREWISE_CACHE", str(tmp_path / "cache"))
    model = tiny_bert(tmp_path / "model")
    how = {"name": "transformer", "model": model, "train": train, "rank": 2}
    study = Study(
        table(),
        tasks=[{"name": t, "kind": "binary"} for t in ("warm", "wet")],
        inputs=[{"name": "note", "kind": "text", "encoder": how}, "x"],
        budget={"level": "quick", "trials": 1, "seeds": 2, "epochs": 2},
    )
    result = study.run(tmp_path / "run", workers=1)
    fresh = table(60, seed=3).select(["note", "x"])
    shutil.copytree(result.bundle, tmp_path / "moved")
    before = Bundle.load(result.bundle).predict_proba(fresh)
    shutil.rmtree(model)
    after = Bundle.load(tmp_path / "moved").predict_proba(fresh)
    for name, frame in before.items():
        assert frame.equals(after[name])
        assert np.isfinite(frame.to_pandas().to_numpy()).all()
    (weights,) = (tmp_path / "moved" / "backbones").glob("*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(BundleError, match="is cut off"):
        Bundle.load(tmp_path / "moved")


def sentences(n: int = 200, seed: int = 0) -> pa.Table:
    """`tags` names hot and cold words, a span where two follow each other; `wet` is of the whole sentence."""
    draw = np.random.default_rng(seed)
    said = [[str(w) for w in draw.choice(["sun", "rain", "hot", "cold"], draw.integers(1, 16))] for _ in range(n)]
    kind = {"sun": "O", "rain": "O", "hot": "B-warm", "cold": "B-cool"}
    words = [None if i % 17 == 0 else [] if i % 23 == 0 else s for i, s in enumerate(said)]
    tags = [None if w is None else [kind[x] for x in w] for w in words]
    return pa.table({"words": words, "tags": tags, "wet": [int("rain" in (w or ())) for w in words]})


@pytest.mark.slow
@pytest.mark.parametrize("train", ["none", "1", "lora", "lora per task"])
def test_tags_by_a_transformer(train: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAREWISE_CACHE", str(tmp_path / "cache"))
    model = tiny_bert(tmp_path / "model")
    how = {"name": "transformer", "model": model, "train": train.split()[0], "rank": 2, "subwords": "mean"}
    how["per_task"] = "per task" in train
    study = Study(
        sentences(),
        tasks=[{"name": "tags", "kind": "token_tagging"}, {"name": "wet", "kind": "binary"}],
        inputs=[{"name": "words", "kind": "tokens", "encoder": how}],
        budget={"level": "quick", "trials": 1, "seeds": 2, "epochs": 2},
    )
    result = study.run(tmp_path / "run", workers=1)
    assert {d.task for d in result.decisions} == {"tags", "wet"}
    arms = json.loads((tmp_path / "run" / "design.json").read_text())["arms"]
    assert [g["tasks"] for arm in arms if arm["name"] == "tagger" for g in arm["plan"]["groups"]] == [["tags"]]
    assert "linear tagger" in (tmp_path / "run" / "report.html").read_text()
    fresh = pa.table({"words": [["hot", "sun"], None, [], ["cold", "nonsense", ""] * 250]})
    shutil.copytree(result.bundle, tmp_path / "moved")
    before = Bundle.load(result.bundle).predict(fresh)
    shutil.rmtree(model)
    assert before.equals(Bundle.load(tmp_path / "moved").predict(fresh))
    assert [len(t) for t in before["tags"].to_pylist()] == [2, 0, 0, 750]
    bundle = Bundle.load(tmp_path / "moved")
    pq.write_table(fresh, tmp_path / "fresh.parquet")
    for suffix in ("parquet", "csv"):
        predict_file(bundle, str(tmp_path / "fresh.parquet"), tmp_path / f"answers.{suffix}")
    sure = pq.read_table(tmp_path / "answers.parquet")["tags__proba"].to_pylist()
    assert [len(p) for p in sure] == [2, 0, 0, 750]
    assert all(0 < p <= 1 for p in sure[3])
    assert "tags__proba" in (tmp_path / "answers.csv").read_text().splitlines()[0]


@pytest.mark.slow
@pytest.mark.parametrize("train", ["all", "1", "lora"])
def test_pictures_by_a_backbone_that_is_trained(train: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAREWISE_CACHE", str(tmp_path / "cache"))
    model = tiny_vision(tmp_path / "model", "vit", layers=2)
    draw = np.random.default_rng(0)
    level = draw.integers(20, 236, 200)
    pixels = np.clip(level[:, None] + draw.integers(-15, 16, (200, 768)), 0, 255).astype(np.uint8)
    cells = [None if i % 20 == 0 else p.tobytes() for i, p in enumerate(pixels)]
    data = pa.table({"p": pa.array(cells, pa.binary(768)), "bright": (level > 128).astype(int), "level": level / 255.0})
    how = {"name": "backbone", "model": str(model), "train": train, "rank": 2, "shift": 1}
    study = Study(
        data,
        tasks=[{"name": "bright", "kind": "binary"}, {"name": "level", "kind": "regression"}],
        inputs=[{"name": "p", "kind": "image", "encoder": how}],
        budget={"level": "quick", "trials": 1, "seeds": 2, "epochs": 2},
    )
    result = study.run(tmp_path / "run", workers=1)
    fresh = data.select(["p"]).slice(0, 30)
    shutil.copytree(result.bundle, tmp_path / "moved")
    before = Bundle.load(result.bundle).predict(fresh)
    shutil.rmtree(model)
    assert before.equals(Bundle.load(tmp_path / "moved").predict(fresh))
    assert np.isfinite(before["level"].to_numpy()).all()
