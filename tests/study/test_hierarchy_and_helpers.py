"""Coarse and fine tasks, auxiliary tasks and tasks at a lower layer, from the study file to the bundle's answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sharewise.bundle import Bundle
from sharewise.study.study import Study

pytestmark = pytest.mark.slow

STUDY = """\
data: {path: beasts.parquet, id: beast}
split: {column: part}
tasks:
  - {name: kingdom, kind: multiclass}
  - {name: animal, kind: multiclass, parent: kingdom}
  - {name: tame, kind: binary, parent: {task: animal, classes: {no: cat, yes: cat}}}
  - {name: hint, kind: regression, auxiliary: true, at_layer: 1}
candidates:
  - {name: deep, architecture: {name: hard, depth: 3, split: {animal: 2}}}
budget: {level: quick, trials: 1, seeds: 2, epochs: 6}
"""


def beasts(n: int = 400) -> pa.Table:
    """Stones have no animal; cats may be tame; the hint, a noiseless help, exists in train rows only."""
    random = np.random.default_rng(3)
    x = random.normal(size=(n, 3))
    kingdom = np.where(x[:, 0] + 0.3 * random.normal(size=n) > 0.6, "stone", np.where(x[:, 1] > 0, "beast", "bird"))
    beast = np.where(x[:, 2] > 0, "cat", "dog")
    bird = np.where(x[:, 2] > 0, "owl", "emu")
    animal = np.where(kingdom == "beast", beast, bird)
    part = np.array(["train", "validation", "test"])[np.minimum(np.arange(n) * 5 // (2 * n), 2)]
    tame = np.where(x[:, 1] > 0.7, "yes", "no")
    return pa.table(
        {
            "beast": [f"b{i}" for i in range(n)],
            "part": part,
            "a": x[:, 0],
            "b": x[:, 1],
            "c": x[:, 2],
            "kingdom": kingdom,
            "animal": pa.array(animal, mask=kingdom == "stone"),
            "tame": pa.array(tame, mask=(animal != "cat") | (kingdom == "stone")),
            "hint": pa.array(x[:, 0] + 0.2 * random.normal(size=n), mask=part != "train"),
        }
    )


def unlabelled() -> pa.Table:
    """The same rows as they are served."""
    return beasts().select(["beast", "a", "b", "c"])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beasts")
    pq.write_table(beasts(), folder / "beasts.parquet")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    said: list[str] = []
    Study.from_file(folder / "study.yaml").run(folder / "run", workers=1, log=said.append)
    (folder / "log.txt").write_text("\n".join(said), encoding="utf-8")
    return folder


def test_what_was_learnt_of_the_hierarchy_is_said(done: Path) -> None:
    said = (done / "log.txt").read_text(encoding="utf-8")
    assert "'animal' divides 'kingdom': 'beast' into cat, dog; 'bird' into emu, owl; stone has none." in said
    assert "'hint' is auxiliary" in said


def test_answers_never_contradict_each_other(done: Path) -> None:
    bundle = Bundle.load(done / "run" / "bundle")
    answers = bundle.predict(unlabelled())
    under = {"cat": "beast", "dog": "beast", "owl": "bird", "emu": "bird"}
    for row in answers.to_pylist():
        if row["animal"] is None:
            assert row["kingdom"] == "stone"
        else:
            assert under[row["animal"]] == row["kingdom"]
        assert (row["tame"] is not None) == (row["animal"] == "cat")
    p = {name: frame.to_pandas() for name, frame in bundle.predict_proba(unlabelled()).items()}
    np.testing.assert_allclose(p["animal"]["cat"] + p["animal"]["dog"], p["kingdom"]["beast"], atol=1e-5)
    np.testing.assert_allclose(p["tame"]["yes"] + p["tame"]["no"], p["animal"]["cat"], atol=1e-5)
    # Asked for alone, a finer task is answered below the same parent.
    alone = bundle.predict(unlabelled(), ["tame"])
    assert alone.column("tame").equals(answers.column("tame"))


def test_an_auxiliary_task_is_trained_and_then_gone(done: Path) -> None:
    design = json.loads((done / "run" / "design.json").read_text())
    assert [t["name"] for t in design["tasks"]] == ["kingdom", "animal", "tame"]
    arms = {arm["name"]: arm["plan"]["groups"] for arm in design["arms"]}
    assert "hint" in arms["together"][0]["tasks"]
    assert all("hint" not in g["tasks"] for name in ("single", "lightgbm", "linear") for g in arms[name])
    records = [json.loads(p.read_text()) for p in (done / "run" / "runs").glob("*.json")]
    assert any("hint" in record["curves"] for record in records)
    for name in ("verdicts.json", "decisions.json", "comparisons.json"):
        assert "hint" not in (done / "run" / name).read_text()
    bundle = Bundle.load(done / "run" / "bundle")
    assert bundle.tasks.names == ("kingdom", "animal", "tame")
    assert "hint" not in bundle.card
    assert all("hint" not in a.tasks for a in bundle.artifacts.values())


def test_the_report_names_the_architecture(done: Path) -> None:
    page = (done / "run" / "report.html").read_text(encoding="utf-8")
    assert "hard sharing (depth 3" in page


def test_a_shared_model_is_attached_and_nested_as_declared(done: Path) -> None:
    from safetensors import safe_open

    found = []
    for path in (done / "run" / "models").glob("*/0.safetensors"):
        with safe_open(path, "pt") as opened:
            found.append(json.loads(opened.metadata()["config"]))
    shared = [c for c in found if len(c["tasks"]) == 4]
    assert shared
    for config in shared:
        heads = dict(zip(config["tasks"], config["slots"], strict=True))
        assert heads["animal"]["head"] == "nested"
        assert heads["animal"]["parent"] == config["tasks"].index("kingdom")
        assert heads["tame"]["head"] == "binary"
        assert heads["hint"]["at_layer"] == 1
        assert config["answers"] == ["kingdom", "animal", "tame"]


def test_what_is_judged_of_a_fine_task_is_what_is_served(done: Path) -> None:
    """On rows whose coarse answer is right, the served class is the judged run's likeliest one."""
    bundle = Bundle.load(done / "run" / "bundle")
    group = bundle.routes.addresses()["animal"].group
    record = json.loads((done / "run" / "runs" / f"{bundle.provenance['runs'][group]['run']}.json").read_text())
    with np.load(done / "run" / "runs" / record["predictions"]) as arrays:
        judged = arrays[f"test/{record['tasks'].index('animal')}"]
    data = beasts().to_pandas()
    rows = data[(data["part"] == "test") & data["animal"].notna()]
    classes = np.array(bundle.tasks["animal"].classes)
    under = {"cat": "beast", "dog": "beast", "owl": "bird", "emu": "bird"}
    apart = np.array([[under[c] != k for c in classes] for k in rows["kingdom"]])
    assert (judged[apart] == 0).all()
    np.testing.assert_allclose(judged.sum(axis=1), 1, atol=1e-5)
    answers = bundle.predict(unlabelled()).to_pandas().loc[rows.index]
    right = (answers["kingdom"] == rows["kingdom"]).to_numpy()
    assert right.sum() > 20
    assert (answers["animal"].to_numpy()[right] == classes[judged.argmax(axis=1)][right]).all()


def test_the_bundle_carries_nothing_of_a_helper(done: Path) -> None:
    bundle = Bundle.load(done / "run" / "bundle")
    for artifact in bundle.artifacts.values():
        if artifact.kind == "neural" and "hint" in artifact.model["tasks"]:
            slot = artifact.model["architecture"]["slots"][artifact.model["tasks"].index("hint")]
            assert slot["head"] == "dropped"
            assert not any("hint" in checkpoint["answers"] for checkpoint in artifact.model["checkpoints"])
