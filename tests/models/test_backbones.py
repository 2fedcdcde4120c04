"""Frozen networks and their cache: each text once, whoever is killed; features as the network itself gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from sharewise.errors import DataError
from sharewise.models.backbones import text, words
from sharewise.models.backbones.store import Store, key
from sharewise.models.encoders.transformer import Transformer
from sharewise.models.stacked import Stack
from sharewise.tables.texts.transformer import Transformer as Reading
from sharewise.tables.texts.transformer import TransformerEncoder
from tiny_networks import tiny_bert


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("tiny"))


def column(values: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


def fitted(model: str, train: str = "none", pair: bool = False) -> TransformerEncoder:
    columns = [(name, column(["sun"])) for name in ("a", "b")[: 1 + pair]]
    made = Reading(model, train=train).fit("t", columns, np.arange(1))
    assert isinstance(made, TransformerEncoder)
    return made


def quiet(n: int) -> None:
    """Nobody watches."""


def test_features_are_the_mean_of_the_networks_token_vectors(model: str) -> None:
    from transformers import AutoModel, AutoTokenizer

    said = ["sun rain", "wind", "snow hot cold day night sun rain", ""]
    made = text.read(fitted(model), [column([*said])], None, quiet)
    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model).eval()
    for row, one in enumerate(said):
        with torch.no_grad():
            expected = network(**tokenizer(one, return_tensors="pt")).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(made[row], expected, atol=2e-3)


def test_each_distinct_text_is_computed_once(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []
    real = text.Network.features
    monkeypatch.setattr(text.Network, "features", lambda s, t, n: (computed.extend(t), real(s, t, n))[1])
    said = ["sun", "rain", "sun", None, "rain"]
    first = text.read(fitted(model), [column([*said])], tmp_path, quiet)
    assert sorted(computed) == ["", "rain", "sun"]
    again = text.read(fitted(model), [column(["wind", *said])], tmp_path, quiet)
    assert computed[3:] == ["wind"]
    assert np.array_equal(again[1:], first)


def test_a_store_that_was_killed_while_writing_keeps_what_is_whole(tmp_path: Path) -> None:
    store = Store(tmp_path, 3)
    with store.writing():
        store.append([key(b"a"), key(b"b")], np.arange(6).reshape(2, 3))
    with open(tmp_path / "vectors", "ab") as stream:
        stream.write(b"half a vec")
    with open(tmp_path / "keys", "ab") as stream:
        stream.write(b"half")
    again = Store(tmp_path, 3)
    with again.writing():
        assert len(again) == 2
        again.append([key(b"c")], np.full((1, 3), 7))
        np.testing.assert_array_equal(again.vectors()[again.rows([key(b"c"), key(b"b")])], [[7, 7, 7], [3, 4, 5]])


def test_long_texts_are_cut_to_what_the_model_can_read(model: str) -> None:
    encoder = fitted(model)
    assert encoder.max_tokens == 12
    made = text.read(encoder, [column(["sun " * 50_000, "sun " * 40])], None, quiet)
    np.testing.assert_array_equal(made[0], made[1])


def test_another_model_in_the_same_place_is_refused(model: str) -> None:
    from dataclasses import replace

    with pytest.raises(DataError, match=r"the model in .* is another one"):
        text.read(replace(fitted(model), digest="0" * 64), [column(["sun"])], None, quiet)


@pytest.mark.parametrize(
    ("train", "named"), [("all", "embeddings/word"), ("1", "encoder/layer/1/"), ("lora", "lora_A")]
)
def test_what_is_trained_is_what_was_asked_for(model: str, train: str, named: str) -> None:
    encoder = fitted(model, train)
    part = {k: v for k, v in encoder.part(np.zeros((1, 1))).items() if k != "name"}
    made = Transformer(**part)
    names = [entry.name for entry in Stack(made).entries]
    assert any(named in name for name in names)
    assert ("encoder/layer/0/attention/self/query/weight" in names) == (train == "all")
    assert not any("pooler" in name for name in names) or train == "lora"


def test_an_untrained_lora_is_the_network_itself(model: str) -> None:
    from sharewise.batch import Inputs

    said = ["sun rain", "wind snow hot"]
    expected = text.read(fitted(model), [column([*said])], None, quiet)
    for train in ("lora", "all", "1"):
        encoder = fitted(model, train)
        tokens = text.read(encoder, [column([*said])], None, quiet)
        made = Transformer(**{k: v for k, v in encoder.part(tokens).items() if k != "name"})
        Stack(made).populate([0], [[]])
        with torch.no_grad():
            found = made(Inputs({"text:t": torch.from_numpy(tokens)[None]}))[0]
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_too_many_layers_are_refused(model: str) -> None:
    with pytest.raises(DataError, match="a number of its 2 layers; however, it is 3"):
        fitted(model, "3")


def test_a_trained_network_reads_a_pair_as_one_text_of_two_segments(model: str) -> None:
    encoder = fitted(model, "all", pair=True)
    (row,) = text.read(encoder, [column(["sun"]), column(["rain wind"])], None, quiet)
    used = row[row > 0] - 1
    assert (used % text.SEGMENT).tolist() == [2, 4, 3, 5, 6, 3]
    assert (used // text.SEGMENT).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], "cut off or damaged: it has 13,200 bytes and its header says 26,400"),
        (lambda whole: whole[:100], "cut off within its header"),
        (lambda whole: b"version https://git-lfs.github.com/spec/v1", "or only a pointer to one"),
        (lambda whole: b"", "is no safetensors file"),
    ],
)
def test_weights_that_are_not_whole_are_told_before_anything_is_loaded(
    damage: Callable[[bytes], bytes], message: str, tmp_path: Path
) -> None:
    where = tiny_bert(tmp_path / "m", positions=40)
    file = tmp_path / "m" / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=message):
        Reading(where).check()


def test_every_shard_that_the_index_names_is_looked_at(tmp_path: Path) -> None:
    where = Path(tiny_bert(tmp_path / "m"))
    whole = where / "model.safetensors"
    index = where / "model.safetensors.index.json"
    whole.rename(where / "a.safetensors")
    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}))
    with pytest.raises(DataError, match=r"names b\.safetensors, which is not there"):
        Reading(str(where)).check()
    index.write_text(json.dumps({"weight_map": {"x": "../secret"}}))
    with pytest.raises(DataError, match="which is not there"):
        Reading(str(where)).check()
    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors"}}))
    Reading(str(where)).check()
    index.write_text("{")
    with pytest.raises(DataError, match=r"index\.json cannot be read"):
        Reading(str(where)).check()


def test_weights_that_the_file_lacks_are_never_drawn_at_random(tmp_path: Path) -> None:
    where = Path(tiny_bert(tmp_path / "m", layers=2))
    said = json.loads((where / "config.json").read_text())
    (where / "config.json").write_text(json.dumps({**said, "num_hidden_layers": 3}))
    with pytest.raises(DataError, match=r"must hold all its weights; however, its file holds no .*layer\.2\..* more"):
        text.Network(str(where))


def test_a_network_without_a_pooler_is_whole(tmp_path: Path) -> None:
    from transformers import BertModel

    where = tiny_bert(tmp_path / "m")
    BertModel.from_pretrained(where, add_pooling_layer=False).save_pretrained(where)
    text.Network(where)


def test_a_damaged_tokenizer_is_a_sentence(tmp_path: Path) -> None:
    where = Path(tiny_bert(tmp_path / "m"))
    file = where / "tokenizer.json"
    file.write_text(file.read_text()[:200])
    with pytest.raises(DataError, match="must load as a text encoder; however, "):
        text.Network(str(where))
    with pytest.raises(DataError, match="must load as a tokenizer of given words; however, "):
        words.Tokenizer(str(where))
