"""Texts and ids as blocks: hashes and directions against their definitions, odd texts, what cannot be used."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.utils.extmath import randomized_svd

from sharewise.errors import DataError
from sharewise.plan import Choice
from sharewise.tables import texts
from sharewise.tables.codec import Codec
from sharewise.tables.ids import IdEncoder
from sharewise.tables.read import Table
from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tables.texts import locate
from sharewise.tables.texts.base import strings
from sharewise.tables.texts.grams import counts
from sharewise.tables.texts.ngrams import Ngrams, main_directions
from sharewise.tables.texts.transformer import Transformer
from sharewise.tasks import Task, TaskKind, TaskSet

SAID = ["The cat sat.", "a Cat, a hat!", "", "the end", "sat sat sat on the 2nd mat"]
ODD = ["", "   ", "😀👩‍👩‍👧 ok", "שלום עולם", "مرحبا", "a" * 30_000, "x\u0000y", "\u202eright to left"]


def column(values: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


def test_ngrams_are_counted_as_scikit_learn_counts_them() -> None:
    """Each distinct n-gram is one bucket (no collision among so few), so that the sorted counts agree."""
    words, characters = counts(SAID, words=2, shortest=2, longest=4)
    as_words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]").fit_transform(SAID)
    inside = CountVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit_transform(SAID)
    for ours, theirs in ((words, as_words), (characters, inside)):
        for row in range(len(SAID)):
            assert sorted(ours[row].data) == sorted(theirs[row].data), SAID[row]


def test_weights_are_those_of_tf_idf() -> None:
    train = [" ".join(np.random.default_rng(i).choice(list("abcdefgh"), 6)) for i in range(40)]
    encoder = Ngrams(features=3, words=1).fit("t", [("t", column(train))], np.arange(40))
    ours = encoder.weighted(train)[:, : len(encoder.fitted["words"])]
    theirs = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True, min_df=2).fit_transform(train)
    np.testing.assert_allclose((ours @ ours.T).toarray(), (theirs @ theirs.T).toarray(), atol=1e-5)


def test_main_directions_are_the_singular_vectors() -> None:
    from scipy import sparse

    random = np.random.default_rng(0)
    dense = random.normal(size=(60, 5)) @ np.diag([9, 5, 3, 2, 1]) @ random.normal(size=(5, 30))
    found = main_directions(sparse.csr_matrix(dense.astype(np.float32)), 3)
    _, _, expected = randomized_svd(dense, 3, random_state=0)
    np.testing.assert_allclose(np.abs(expected @ found), np.eye(3), atol=1e-3)


@pytest.mark.parametrize("name", ["ngrams"])
def test_odd_texts_are_finite_and_equal_alone_and_together(name: str) -> None:
    train = [f"a good day number {i % 7}" for i in range(60)]
    encoder = texts.CATALOGUE.build(name).fit("t", [("t", column([*train, *ODD]))], np.arange(60))
    together = encoder.shape.empty(len(ODD))
    encoder.read([column([*ODD])], together)
    assert np.isfinite(together).all()
    for row, text in enumerate(ODD):
        alone = encoder.shape.empty(1)
        encoder.read([column([text])], alone)
        np.testing.assert_allclose(alone[0], together[row], atol=2e-3)
    assert encoder.present([column(["", None, "x"])]).tolist() == [True, False, True]


def test_bytes_that_are_no_unicode_become_replacement_characters() -> None:
    broken = pa.StringArray.from_buffers(
        2, pa.array([0, 3, 5], pa.int32()).buffers()[1], pa.py_buffer(b"a\xffbok"), None
    )
    assert strings(pa.chunked_array([broken]), 99) == ["a\ufffdb", "ok"]


def test_a_pair_gives_both_their_difference_and_their_product() -> None:
    left, right = [f"one {i % 5} two" for i in range(30)], [f"three {i % 4} two" for i in range(30)]
    encoder = Ngrams(features=4).fit("p", [("a", column(left)), ("b", column(right))], np.arange(30))
    block = encoder.shape.empty(30)
    encoder.read([column(left), column(right)], block)
    u, v, difference, product = np.split(block.astype(np.float32), 4, axis=1)
    np.testing.assert_allclose(difference, np.abs(u - v), atol=5e-3)
    np.testing.assert_allclose(product, u * v, atol=2e-2)


def test_ids_that_are_new_or_rare_are_unseen_and_missing_ones_are_missing() -> None:
    train = ["ann", "ann", "ann", "bob", "bob", "once"]
    encoder = IdEncoder.fit("user", column(train), np.arange(6))
    block = encoder.shape.empty(5)
    encoder.read([column(["bob", "ann", "once", "never seen", None])], block)
    assert block[:, 0].tolist() == [3, 2, 1, 1, 0]
    assert encoder.cardinality == 4


def test_more_ids_than_have_a_vector_share_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sharewise.tables.ids.MOST", 3)
    many = [f"u{i % 20}" for i in range(100)]
    encoder = IdEncoder.fit("user", column(many), np.arange(100))
    block = encoder.shape.empty(100)
    encoder.read([column(many)], block)
    assert encoder.cardinality == 2 + 3 + 1024
    assert block.max() < encoder.cardinality
    assert len(np.unique(block)) > 15


def test_a_codec_with_texts_and_ids_comes_back_from_json_and_arrays() -> None:
    table = Table(
        pa.table({"t": [f"words {i % 6} here" for i in range(40)], "u": ["a", "b"] * 20, "y": list(range(40))}), "t"
    )
    tasks = TaskSet((Task("y", TaskKind.REGRESSION, ("y",), "rmse"),))
    inputs = (Input("t", InputKind.TEXT, Choice("ngrams", {"features": 5})), Input("u", InputKind.ID))
    codec = Codec.fit(table, Schema(inputs, tasks), np.arange(40))
    again = Codec.from_json(json.loads(json.dumps(codec.to_json()))).with_arrays(codec.arrays())
    assert again == codec
    for name, block in codec.encode(table).blocks.items():
        assert (again.encode(table)[name] == block).all()
    assert list(codec.encode(table).blocks) == ["text:t", "id:u", "present"]


# --- models that cannot be used -----------------------------------------------------------------------------


def refused(model: str) -> str:
    with pytest.raises(DataError) as caught:
        Transformer(model).fit("t", [("t", column(["a"]))], np.arange(1))
    return str(caught.value)


def test_a_hub_name_that_cannot_be_reached_is_asked_for_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def nowhere(host: str, *rest: object, **more: object) -> None:
        asked.append(host)
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    said = refused("someone/some-model")
    assert "is no folder here, and the hub cannot be reached" in said
    assert "model: /path/to/folder" in said
    assert len(asked) == 1


def test_a_folder_that_is_not_there() -> None:
    assert "there is no folder './nowhere'" in refused("./nowhere")


@pytest.mark.parametrize(
    ("config", "files", "message"),
    [
        (None, (), "no readable config.json"),
        ({"hidden_size": 8}, ("pytorch_model.bin",), "no model.safetensors"),
        ({"auto_map": {"AutoModel": "evil.Model"}}, ("model.safetensors",), "run code of its own, which is never done"),
        ({"hidden_size": 8, "model_type": "vit"}, ("model.safetensors",), "'vit' without vocabulary or tokenizer"),
    ],
)
def test_a_folder_that_holds_no_text_encoder(
    config: dict[str, object] | None, files: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    for name in files:
        (tmp_path / name).write_bytes(b"")
    assert message in refused(str(tmp_path))


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'sharewise\[text\]'"):
        locate.backbone("anything")
    with pytest.raises(DataError, match=r"pip install 'sharewise\[text,embedded\]'"):
        locate.embedded()
    assert texts.default() == Choice("ngrams")
