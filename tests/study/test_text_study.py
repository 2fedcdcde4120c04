"""A study of texts, ids and numbers, with cells missing and tasks that read only some of them, from file to bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sharewise.bundle import Bundle
from sharewise.errors import ConfigError
from sharewise.study import Study
from sharewise.study.file import StudyFile

N = 320
INPUTS = ["note", "user", "x"]
GOOD, BAD = ["fine", "lovely", "bright", "sweet"], ["awful", "sour", "dull", "broken"]


def table(n: int = N, seed: int = 0) -> pa.Table:
    """`mood` is in the words, `level` in the number and the user; a tenth of every input is missing."""
    draw = np.random.default_rng(seed)
    mood, user, x = draw.integers(0, 2, n), draw.integers(0, 12, n), draw.normal(size=n)
    words = [" ".join([*draw.choice(GOOD if m else BAD, 3), *draw.choice(["the", "a", "it"], 3)]) for m in mood]
    hole = draw.random((n, 3)) < 0.1
    return pa.table(
        {
            "note": [None if h else w for w, h in zip(words, hole[:, 0], strict=True)],
            "user": [None if h else f"u{u}" for u, h in zip(user, hole[:, 1], strict=True)],
            "x": [None if h else v for v, h in zip(x, hole[:, 2], strict=True)],
            "mood": mood,
            "level": x + 0.5 * user + draw.normal(size=n) * 0.1,
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("run")
    # Two encoders of the one column, which is all that a table to answer has.
    ngrams = [{"name": "ngrams", "features": 16}, {"name": "ngrams", "features": 4, "words": 1}]
    study = Study(
        table(),
        tasks=[{"name": "mood", "kind": "binary", "inputs": ["note"]}, {"name": "level", "kind": "regression"}],
        inputs=[{"name": "note", "kind": "text", "encoder": ngrams}, {"name": "user", "kind": "id"}, "x"],
        budget={"level": "quick", "trials": 1, "seeds": 2, "epochs": 6},
    )
    study.run(where, workers=1)
    return where


def test_the_bundle_answers_like_the_study(run: Path) -> None:
    bundle = Bundle.load(run / "bundle")
    fresh = table(200, seed=7)
    answers = bundle.predict(fresh.select(INPUTS))
    known = np.array(fresh["note"].is_valid())
    right = np.array(answers["mood"]) == np.array(fresh["mood"])
    assert right[known].mean() > 0.9
    level = np.array(fresh["level"])
    assert np.corrcoef(np.array(answers["level"]), level)[0, 1] > 0.7


def test_what_a_task_does_not_read_changes_nothing(run: Path) -> None:
    bundle = Bundle.load(run / "bundle")
    fresh = table(50, seed=8).select(INPUTS)
    other = fresh.set_column(1, "user", pa.array(["somebody new"] * 50)).set_column(2, "x", pa.array([9.0] * 50))
    assert bundle.predict_proba(fresh)["mood"].equals(bundle.predict_proba(other)["mood"])
    assert not bundle.predict(fresh)["level"].equals(bundle.predict(other)["level"])


def test_odd_texts_and_new_ids_are_answered(run: Path) -> None:
    odd = pa.table(
        {
            "note": ["", None, "😀" * 50, "x" * 100_000, "שלום"],
            "user": ["new", None, "u1", "", "😀"],
            "x": [None, 1.0, 2.0, 1e30, -1.0],
        }
    )
    answers = Bundle.load(run / "bundle").predict(odd)
    assert np.isfinite(np.array(answers["level"])).all()
    assert answers["mood"].null_count == 0


def test_drift_and_card_know_the_inputs(run: Path) -> None:
    said = json.loads((run / "bundle" / "reference" / "inputs.json").read_text())
    assert said["note"]["kind"] == "text"
    assert said["note"]["words"][50] == 6
    assert 0.0 < said["note"]["missing"] < 0.2
    assert said["user"]["distinct"] == 12
    assert "`note` (text read by ngrams and ngrams)" in (run / "bundle" / "card.md").read_text()


def test_a_study_file_says_how_texts_are_read() -> None:
    said = {
        "data": "t.parquet",
        "inputs": {"a": {"kind": "text", "encoder": "ngrams"}, "p": {"kind": "text", "columns": ["u", "v"]}, "n": "id"},
        "encoders": {"text": {"name": "transformer", "model": "here"}, "fusion": "gated"},
        "tasks": ["y"],
    }
    study = StudyFile.from_dict(said)
    assert StudyFile.from_dict(study.to_dict()) == study
    made = study.declaration().inputs
    assert made is not None
    assert [(i.name, i.pair, i.encoder and i.encoder.name) for i in made] == [
        ("a", None, "ngrams"),
        ("u", "p", None),
        ("v", "p", None),
        ("n", None, None),
    ]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"a": {"kind": "text", "encoder": "ngram"}}, "'ngram' is not. Did you mean 'ngrams'?"),
        ({"a": {"kind": "text", "encoder": {"name": "ngrams", "features": "many"}}}, "must be a whole number"),
        ({"a": {"kind": "text", "columns": ["u"]}}, "A pair is an input of kind text with two columns"),
        ({"a": {"kind": "id", "encoder": "ngrams"}}, "inputs of kind id leave no choice"),
        ({"a": {"kind": "text", "encoder": "transformer"}}, "'transformer' needs its parameter 'model'"),
        ({"a": {"kind": "text", "encoder": []}}, "'encoder' is one, or a list of different ones; however, the list is"),
        ({"a": {"kind": "text", "encoder": ["ngrams", "ngrams"]}}, "however, 'ngrams' is named twice. Remove one."),
        ({"a": {"kind": "text", "encoder": ["ngrams", "ngram"]}}, "'ngram' is not. Did you mean 'ngrams'?"),
        ({"a": {"kind": "tokens", "encoder": ["words", "embedded"]}}, "is read by one encoder, and several are named"),
        ({"a": {"kind": "text", "encoder": ["ngrams", "words"]}}, "'words' does not read inputs of kind text"),
    ],
)
def test_inputs_that_a_study_file_may_not_say(inputs: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        StudyFile.from_dict({"data": "t.parquet", "inputs": inputs, "tasks": ["y"]})
    assert message in str(caught.value)
