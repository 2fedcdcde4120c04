"""Words of sentences through a transformer: aligned as its fast tokenizer aligns them, windowed, cached, trained."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharewise.batch import Inputs
from sharewise.errors import DataError
from sharewise.models import encoders
from sharewise.models.backbones import text, words
from sharewise.models.stacked import Stack
from sharewise.tables.sentences.transformer import MOST_PIECES, SentenceTransformerEncoder
from sharewise.tables.texts.transformer import Transformer
from tiny_networks import tiny_bert, tiny_roberta

PIECES = ["##s", "##y", "##ing", "##shine", "##fall", "s", "y", "ru", "##n"]
SAID = [
    ["sun", "shine", "suns", "rainy", "snowing"],
    None,
    [],
    ["windy", "", "שלום", "🙂", "\u200b", "sunshine", "hot-day"],
    ["night"],
]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("bert"), pieces=PIECES, positions=16)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_roberta(tmp_path_factory.mktemp("roberta"), ["the sunshine is hot", "rain and snow by night"] * 20)


@pytest.fixture(params=["bert", "roberta"])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def column(said: list[list[str] | None] = SAID) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(said, pa.list_(pa.string()))])


def fitted(model: str, **params: object) -> SentenceTransformerEncoder:
    return Transformer(model, **params).fit_sentences("w", column(), np.arange(5))  # type: ignore[arg-type]


def quiet(n: int) -> None:
    """Nobody watches."""


def aligned(model: str, said: list[str]) -> tuple[list[list[int]], list[int]]:
    """The fast tokenizer's own sub-words of each word, and all ids of the sentence."""
    from transformers import AutoTokenizer

    coded = AutoTokenizer.from_pretrained(model, add_prefix_space=True)(said, is_split_into_words=True)
    made: list[list[int]] = [[] for _ in said]
    for number, word in zip(coded["input_ids"], coded.word_ids(), strict=True):
        if word is not None:
            made[word].append(number)
    return made, coded["input_ids"]


# --- sub-words --------------------------------------------------------------------------------------------------


def test_subwords_are_those_of_the_fast_tokenizer(model: str) -> None:
    how = words.Tokenizer(model)
    for said in (s for s in SAID if s):
        expected, ids = aligned(model, said)
        made = how.pieces(said, MOST_PIECES)
        assert [p if e else [] for p, e in zip(made, expected, strict=True)] == expected
        assert [p for p, e in zip(made, expected, strict=True) if not e] == [how.nothing] * expected.count([])
        assert how.before == ids[: len(how.before)]
        assert how.after == ids[len(ids) - len(how.after) :]


@given(st.lists(st.integers(1, 9), max_size=60), st.integers(9, 30))
def test_every_word_is_taken_from_one_window_that_fits(counts: list[int], capacity: int) -> None:
    made = words.windows(counts, capacity)
    assert [i for w in made for i in range(w.first, w.last)] == list(range(len(counts)))
    for window in made:
        assert window.start <= window.first
        assert window.last <= window.stop
        assert sum(counts[window.start : window.stop]) <= capacity
    for before, after in pairwise(made):
        assert before.start < after.start <= before.stop < after.stop


def test_windows_overlap_and_words_are_taken_from_their_middle() -> None:
    made = words.windows([1] * 20, 8)
    assert [(w.start, w.stop) for w in made] == [(0, 8), (6, 14), (12, 20)]
    assert [(w.first, w.last) for w in made] == [(0, 7), (7, 13), (13, 20)]


# --- frozen -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subwords", ["first", "mean"])
def test_vectors_are_the_networks_own(model: str, subwords: str) -> None:
    from transformers import AutoModel

    network = AutoModel.from_pretrained(model).eval()
    block = words.read(fitted(model, subwords=subwords), [column()], None, quiet)
    assert block.shape == (5, 7, 17)
    assert (block[..., 0] != 0).sum(1).tolist() == [5, 0, 0, 7, 1]
    for row in (0, 4):
        said = SAID[row] or []
        pieces, ids = aligned(model, said)
        with torch.no_grad():
            states = network(torch.tensor([ids])).last_hidden_state[0]
        at = 1 + np.cumsum([0, *(len(p) for p in pieces)])
        for place in range(len(said)):
            stop = at[place + 1] if subwords == "mean" else at[place] + 1
            np.testing.assert_allclose(block[row, place, 1:], states[at[place] : stop].mean(0), atol=2e-3)


def test_a_long_sentence_is_read_in_windows_and_not_cut(bert: str) -> None:
    from transformers import AutoModel

    network = AutoModel.from_pretrained(bert).eval()
    said = [["sun", "rain", "suns", "cold"][i % 4] for i in range(40)]
    (row,) = words.read(fitted(bert, max_tokens=10), [column([said])], None, quiet)
    how = words.Tokenizer(bert)
    pieces = how.pieces(said, MOST_PIECES)
    for window in words.windows([len(p) for p in pieces], 8):
        ids = [*how.before, *(i for p in pieces[window.start : window.stop] for i in p), *how.after]
        assert len(ids) <= 10
        with torch.no_grad():
            states = network(torch.tensor([ids])).last_hidden_state[0]
        at = 1 + np.cumsum([0, *(len(p) for p in pieces[window.start : window.stop])])
        for place in range(window.first, window.last):
            np.testing.assert_allclose(row[place, 1:], states[at[place - window.start]], atol=2e-3)


def test_a_word_longer_than_the_window_is_read_as_far_as_it_goes(bert: str) -> None:
    block = words.read(fitted(bert, max_tokens=8), [column([["sun" + "s" * 400, "y" * 30, "rain"]])], None, quiet)
    assert np.isfinite(block).all()
    assert (block[0, :, 0] == 1).all()


def test_each_distinct_sentence_is_computed_once(bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[list[str]] = []
    real = words.vectors
    monkeypatch.setattr(words, "vectors", lambda e, s: (computed.extend(map(list, s)), real(e, s))[1])
    said: list[list[str] | None] = [["sun", "rain"], ["sunrain"], ["sun", "rain"], None, []]
    first = words.read(fitted(bert), [column(said)], tmp_path, quiet)
    assert computed == [["sun", "rain"], ["sunrain"]]
    (store,) = (tmp_path / "features").iterdir()
    # A process that was killed while it wrote a sentence leaves part of it behind, which counts for nothing.
    with open(store / "vectors", "ab") as stream:
        stream.write(bytes(2 * 16 + 7))
    with open(store / "keys", "ab") as stream:
        stream.write(words.CONTINUED)
    again = words.read(fitted(bert), [column([["wind", "hot", "day"], *said])], tmp_path, quiet)
    assert computed[2:] == [["wind", "hot", "day"]]
    assert np.array_equal(again[1:, :2], first)
    np.testing.assert_allclose(
        again[0, :3], words.read(fitted(bert), [column([["wind", "hot", "day"]])], None, quiet)[0]
    )


def test_what_cannot_be_is_refused(bert: str) -> None:
    with pytest.raises(DataError, match="'subwords' is first or mean; however, it is 'last'"):
        fitted(bert, subwords="last")
    with pytest.raises(DataError, match="A window has at least 8 sub-words; however, max_tokens is 3"):
        fitted(bert, max_tokens=3)
    with pytest.raises(DataError, match="'subwords' is for inputs of kind tokens"):
        Transformer(bert, subwords="mean").check()
    with pytest.raises(DataError, match="there is no folder '/nowhere/model'"):
        fitted("/nowhere/model")


# --- trained ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("train", "subwords"), [("all", "first"), ("1", "mean"), ("lora", "mean")])
def test_what_is_not_trained_yet_is_the_network_itself(bert: str, train: str, subwords: str) -> None:
    said = [*SAID, ["sun", "rain", "suns"] * 9]
    frozen = words.read(fitted(bert, subwords=subwords, max_tokens=12), [column(said)], None, quiet)
    encoder = fitted(bert, subwords=subwords, max_tokens=12, train=train)
    pieces = words.read(encoder, [column(said)], None, quiet)
    assert ((pieces[..., 0] != 0) == (frozen[..., 0] != 0)).all()
    part = encoder.part(pieces)
    made = encoders.CATALOGUE.build(part.pop("name"), **part)
    stack = Stack(made)
    stack.populate([0], [[]])
    with torch.no_grad():
        found = made(Inputs({"tokens:w": torch.from_numpy(pieces)[None]}))[0]
    n, length = pieces.shape[:2]
    tokens = found[n:].view(length, n, -1).transpose(0, 1).numpy()
    np.testing.assert_allclose(tokens, frozen[..., 1:], atol=3e-3)
    count = np.maximum((pieces[..., 0] != 0).sum(1), 1)
    np.testing.assert_allclose(found[:n].numpy(), tokens.sum(1) / count[:, None], atol=1e-5)
    names = [entry.name for entry in stack.entries]
    assert ("encoder/layer/0/attention/self/query/weight" in names) == (train == "all")
    assert all("lora" in name for name in names) == (train == "lora")


def test_another_model_in_the_same_place_is_refused(bert: str) -> None:
    from dataclasses import replace

    with pytest.raises(DataError, match=r"the model in .* is another one"):
        words.read(replace(fitted(bert), digest="0" * 64), [column()], None, quiet)
    assert text.load(bert, fitted(bert).digest).padding == 0
