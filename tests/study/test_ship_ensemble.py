"""An ensemble from the runs of a study to the bundle's answers: what was judged is what ships."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sharewise.bundle import Address, Artifact, Bundle
from sharewise.errors import BundleError
from sharewise.study import challenge, session
from sharewise.study.study import Study

TASKS = ({"name": "price", "transform": "log1p"}, {"name": "sold", "kind": "binary"}, {"name": "sort"})
SEEDS = 3


def houses(n: int = 240) -> pa.Table:
    """A skewed number, a yes or no, and a class."""
    random = np.random.default_rng(8)
    x = random.normal(size=(n, 4))
    part = np.array(["train", "validation", "test"])[np.minimum(np.arange(n) * 3 // n, 2)]
    return pa.table(
        {
            **{f"x{i}": x[:, i] for i in range(4)},
            "part": part,
            "price": np.exp(2 + x[:, 0] + 0.3 * random.normal(size=n)),
            "sold": np.where(x[:, 1] + random.normal(size=n) > 0, "yes", "no"),
            "sort": np.array(["flat", "house", "hut"])[np.digitize(x[:, 2], [-0.5, 0.5])],
        }
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study in which every ensemble takes its task over; forty steps a run, as nothing is asked of its quality."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "recipe_for", lambda schema, epochs: {"epochs": epochs, "min_steps": 40})
        patch.setattr(challenge, "_objection", lambda one, belief: "")
        out = tmp_path_factory.mktemp("ensemble") / "run"
        budget = {"level": "quick", "trials": 1, "seeds": SEEDS, "epochs": 4}
        kinds = {"alternatives": [], "search": "off", "architecture": {"name": "hard", "width": 16}}
        Study(houses(), TASKS, split={"column": "part"}, budget=budget, ship_ensembles=True, **kinds).run(
            out, workers=1
        )
    return out


def read(out: Path, name: str) -> Any:
    return json.loads((out / name).read_text())


def test_the_bundle_answers_with_the_mean_that_was_judged(done: Path) -> None:
    """In the original unit, though the number is trained on its logarithm; probabilities for classes."""
    bundle = Bundle.load(done / "bundle")
    table = houses()
    rows = table.filter(pa.array(np.asarray(table["part"]) == "test")).drop_columns(["price", "sold", "sort"])
    said = bundle.predict_proba(rows)
    found = {"price": np.asarray(bundle.predict(rows)["price"])[:, None]}
    found |= {"sold": np.asarray(said["sold"]["yes"])[:, None]}
    found |= {"sort": np.stack([np.asarray(said["sort"][c]) for c in ("flat", "house", "hut")], axis=1)}
    for c in read(done, "challenges.json"):
        each = []
        for run in c["against"]["candidate_runs"]:
            with np.load(done / "runs" / f"{run}.npz") as arrays:
                each.append(arrays["test/0"].astype(np.float64))
        assert len(each) == c["n_models"] == SEEDS
        np.testing.assert_allclose(found[c["task"]], np.mean(each, axis=0), rtol=2e-5, atol=1e-6)


def test_it_is_compared_with_who_would_answer_otherwise(done: Path) -> None:
    for c in read(done, "challenges.json"):
        assert (c["kind"], c["against"]["candidate"]) == ("ensemble", "ensemble")
        assert c["against"]["baseline"] == c["incumbent"]
        assert c["against"]["var_candidate"] == 0, "one object, the one that ships, has no run luck"
        assert c["verdict"]["comparison"]["baseline"] == "single"


def test_one_question_has_one_interval(done: Path) -> None:
    alone = {c["task"]: c for c in read(done, "ensembles.json") if c["candidate"] == "ensemble"}
    same = [c for c in read(done, "challenges.json") if c["incumbent"] == "single"]
    for c in same:
        assert c["against"] == alone[c["task"]] == c["verdict"]["comparison"]
    assert len(same) + sum(c["incumbent"] == "together" for c in read(done, "challenges.json")) == 3


def test_its_models_are_counted_in_cost_and_named_in_provenance(done: Path) -> None:
    cost = {c["plan"]: c for c in read(done, "cost.json")}
    assert (cost["shipped"]["n_models"], cost["single"]["n_models"]) == (3 * SEEDS, 3)
    assert cost["shipped"]["n_neural"] == 3 * SEEDS
    runs = [read(done, f"runs/{p.name}") for p in (done / "runs").glob("confirm-*.json")]
    paid = sum(r["seconds"] for r in runs if r["arm"] == "single")
    assert cost["shipped"]["train_seconds"] == pytest.approx(paid)
    provenance = Bundle.load(done / "bundle").provenance
    assert len(provenance["runs"]["ensemble:single:price"]["runs"]) == SEEDS
    assert provenance["fallbacks"] == {t: f"single:{t}" for t in ("price", "sold", "sort")}
    measured = read(done, "calibration.json")
    assert {c["task"] for c in measured if c["answers"] and c["arm"] == "ensemble"} == {"price", "sold", "sort"}


def test_the_document_tells_it(done: Path) -> None:
    text = (done / "decision.md").read_text()
    assert "the ensemble ships for price (3 models), sold (3 models) and sort (3 models)." in text
    assert "by the mean of their single-task runs" in text


def test_a_member_that_is_gone_or_an_ensemble_of_ensembles_is_refused(done: Path, tmp_path: Path) -> None:
    held = Bundle.load(done / "bundle").artifacts[Address("ensemble:single:price")]
    broken = Artifact(held.address, held.kind, held.tasks, held.model, dict(list(held.files.items())[1:]))
    with pytest.raises(BundleError, match="A group's files must hold its model; however"):
        broken.answerers("here", tmp_path)
    nested = Artifact.of_ensemble("outer", [held, held])
    with pytest.raises(BundleError, match="none of them is an ensemble"):
        nested.answerers("here", tmp_path)
    out = tmp_path / "bundle"
    shutil.copytree(done / "bundle", out)
    gone = next((out / "groups").glob("ensemble-*/1-*.safetensors"))
    gone.unlink()
    with pytest.raises(BundleError, match="is missing"):
        Bundle.load(out)
