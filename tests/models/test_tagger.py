"""The linear tagger: its decoding against every sequence, its step against autograd, and what it learns."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from sharewise import metrics
from sharewise.batch import Inputs
from sharewise.models import tagger
from sharewise.models.alternative import GroupData
from sharewise.models.alternatives import CATALOGUE
from sharewise.models.tagger import Tagger, features
from sharewise.models.viterbi import Chain, best_paths
from sharewise.tasks import Task, TaskKind, TaskSet

TAGS = ("O", "B-x", "I-x", "B-y", "I-y")
LENGTH = 6
TASK = Task("t", TaskKind.TOKEN_TAGGING, ("t",), "token_accuracy", classes=("a", "b", "c"), length=LENGTH)
SPANS = replace(TASK, metric="entity_f1", classes=TAGS)


def total(path: tuple[int, ...], scores: np.ndarray, chain: Chain) -> float:
    steps = sum(float(chain.step[a, b]) for a, b in itertools.pairwise(path))
    return float(chain.start[path[0]]) + steps + sum(float(scores[t, tag]) for t, tag in enumerate(path))


@pytest.mark.parametrize("spans", [False, True])
def test_the_answer_is_the_best_of_all_sequences(spans: bool) -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 5, (50, 4)).astype(np.float32)
    chain = Chain.of(values, random.random((50, 4)) < 0.9, 5, spans=spans).at(0.7)
    scores = random.normal(size=(30, 4, 5)).astype(np.float32)
    lengths = random.integers(1, 5, 30)
    found = best_paths(scores, lengths, chain)
    for row, n in enumerate(lengths):
        best = max(itertools.product(range(5), repeat=int(n)), key=lambda p: total(p, scores[row], chain))
        assert tuple(found[row, :n]) == best
        if spans:
            assert all(tag % 2 or tag == 0 or a in (tag - 1, tag) for a, tag in itertools.pairwise((0, *best)))


def test_what_follows_what_is_counted() -> None:
    values = np.array([[0, 1, 1, 0], [1, 0, 0, 0]], np.float32)
    present = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)
    chain = Chain.of(values, present, 2, spans=False)
    # Tags 0, 1, 1 and 1, 0: three ones and two zeros; pairs 01, 11 and 10; half a count everywhere.
    alone = np.log(np.array([2.5, 3.5]) / 6)
    np.testing.assert_allclose(chain.start, np.log([0.5, 0.5]) - alone, rtol=1e-6)
    pairs = np.log([[0.5 / 2, 1.5 / 2], [1.5 / 3, 1.5 / 3]])
    np.testing.assert_allclose(chain.step, pairs - alone, rtol=1e-6)
    np.testing.assert_allclose(chain.at(0.0).step, 0.0)


def test_a_step_is_adagrads() -> None:
    """Two steps against torch's Adagrad on the dense weights, with class weights that leave no slope at zero."""
    random = np.random.default_rng(1)
    x = (random.random((2, 12, 7)) < 0.4).astype(np.float32)
    tags, weight = random.integers(0, 3, (2, 12)), np.array([1.0, 2.13, 0.57])
    state = tagger._State(np.zeros((7, 3), np.float32), np.zeros(3, np.float32))
    w, b = torch.zeros(7, 3, requires_grad=True), torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.Adagrad([w, b], lr=0.3, eps=1e-6)
    for step in range(2):
        state.step(sparse.csr_matrix(x[step]), tags[step], weight, 0.3)
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            torch.from_numpy(x[step]) @ w + b, torch.from_numpy(tags[step]), reduction="none"
        )
        (loss * torch.from_numpy(weight[tags[step]]).float()).sum().backward()
        optimiser.step()
    np.testing.assert_allclose(state.weights, w.detach().numpy(), atol=2e-5)
    np.testing.assert_allclose(state.bias, b.detach().numpy(), atol=2e-5)


def sentences(rows: int, seed: int = 0) -> np.ndarray:
    """Codes (rows, LENGTH, 8) of sentences of 1 to LENGTH words out of 30."""
    random = np.random.default_rng(seed)
    words = random.integers(2, 32, (rows, LENGTH, 1))
    cells = np.concatenate([words, words * 7 + np.arange(1, 8)], axis=-1)
    cells[np.arange(LENGTH) >= random.integers(1, LENGTH + 1, rows)[:, None]] = 0
    return cells.astype(np.int32)


def data(task: Task, values: np.ndarray, cells: np.ndarray) -> GroupData:
    there = cells[..., 0] != 0
    n = len(cells)
    inputs = Inputs({"tokens:w": cells, "present": there[:, :1].astype(np.uint8)})
    rows = np.arange(n)
    return GroupData(inputs, {"t": values}, {"t": there}, {"t": None}, rows[: n * 3 // 4], rows[n * 3 // 4 :])


def fitted(task: Task, seed: int = 0) -> tuple[Tagger, GroupData]:
    """A tag is told by its own word and the word before; spans of two begin at every third word."""
    cells = sentences(600)
    words = cells[..., 0]
    before = np.pad(words, ((0, 0), (1, 0)))[:, :-1]
    values = (words % 2 + (before % 3 == 0)).astype(np.float32)
    if task.has_spans:
        values = np.where(words % 3 == 0, 1.0, np.where((before % 3 == 0) & (before > 0), 2.0, 0.0)).astype(np.float32)
    made = data(task, values * (words != 0), cells)
    return Tagger.fit_group([task], made, Tagger.search_space(0, 0), seed), made


@pytest.mark.parametrize("task", [TASK, SPANS])
def test_it_learns_what_neighbours_tell_and_is_the_same_when_loaded(task: Task) -> None:
    model, said = fitted(task)
    found = model.predict_task(said.inputs, "t")
    there = said.present["t"]
    assert (found[~there] == -1).all()
    assert (found[said.validation] == said.values["t"][said.validation])[there[said.validation]].mean() > 0.97
    answer = model.answer_task(said.inputs, "t")
    assert np.array_equal(answer[..., 0], found)
    scores = model.scorer.scores(said.inputs["tokens:w"])
    sure = np.exp(np.take_along_axis(scores, np.maximum(found, 0).astype(int)[..., None], axis=2)[..., 0])
    np.testing.assert_allclose(answer[..., 1][there], sure[there], rtol=1e-4)
    again = CATALOGUE.load("tagger").from_files(model.to_files())
    assert np.array_equal(again.predict_task(said.inputs, "t"), found)
    assert np.array_equal(fitted(task)[0].scorer.weights, model.scorer.weights)


def test_answers_do_not_depend_on_other_rows_or_on_padding() -> None:
    model, said = fitted(SPANS)
    whole = model.predict_task(said.inputs, "t")
    cells = said.inputs["tokens:w"]
    wide = np.pad(cells[10:14], ((0, 0), (0, 9), (0, 0)))
    np.testing.assert_array_equal(model.predict_task(Inputs({"tokens:w": wide}), "t")[:, :LENGTH], whole[10:14])
    assert (model.predict_task(Inputs({"tokens:w": wide * 0}), "t") == -1).all()
    unseen = np.full((1, 900, 8), 60_000, np.int32)
    assert (model.predict_task(Inputs({"tokens:w": unseen}), "t") >= 0).all()


def test_which_tasks_it_is_for_and_what_it_refuses() -> None:
    other = Task("y", TaskKind.BINARY, ("y",), "auroc", classes=("no", "yes"))
    assert Tagger.groups(TaskSet((TASK, other))) == [("single:t", ("t",))]
    cells = sentences(20)
    nothing = data(TASK, np.zeros((20, LENGTH), np.float32), cells)
    empty = replace(nothing, present={"t": np.zeros((20, LENGTH), bool)})
    with pytest.raises(ValueError, match="needs a train row with tags"):
        Tagger.fit_group([TASK], empty, Tagger.search_space(0, 0), 0)
    with pytest.raises(ValueError, match="reads one input of words; however, there are 0"):
        Tagger.fit_group([TASK], replace(nothing, inputs=Inputs({"numeric": np.zeros((20, 1))})), {"window": 1}, 0)
    with pytest.raises(ValueError, match="do not hold a tagger"):
        Tagger.from_files({"model.json": b"{}", "weights.safetensors": b"x" * 20})
    for trial in range(4):
        assert set(Tagger.search_space(trial, 1)) == set(Tagger.space())


def test_features_tell_places_apart() -> None:
    cells = sentences(3)
    one = features(cells, 2)
    assert one.shape == (3, LENGTH, 8 + 4 * 3 + 3)
    assert len(np.unique(one // tagger.SLOT)) == one.shape[-1]
    # The word before the second token is the first token's own.
    np.testing.assert_array_equal(one[:, 1, 3] % tagger.SLOT, cells[:, 0, 1])


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("table", "split", "task", "card"),
    [("snips", "split", "slots", 0.797), ("ewt", "split_ner", "ner", 0.395), ("ewt", "split", "upos", 0.948)],
)
def test_at_least_the_linear_figures_of_the_data_cards(table: str, split: str, task: str, card: float) -> None:
    from sharewise.tables import tags
    from sharewise.tables.codec import Codec
    from sharewise.tables.read import read
    from sharewise.tables.resolve import resolve
    from sharewise.tables.schema import Declaration, InputDeclaration, InputKind, TaskDeclaration

    read_ = read(Path(os.environ["SHAREWISE_DATA"]) / f"{table}.parquet")
    declared = TaskDeclaration(task, TaskKind.TOKEN_TAGGING)
    schema = resolve(read_, Declaration((declared,), (InputDeclaration("tokens", InputKind.TOKENS),))).schema
    part = np.array([str(s) for s in read_.column(split).to_pylist()])
    train, validation, test = (np.flatnonzero(part == name) for name in ("train", "validation", "test"))
    codec = Codec.fit(read_, schema, train)
    inputs, targets = tags.shortened(codec.encode(read_)), codec.targets(read_)
    made = GroupData(inputs, {task: targets.values}, {task: targets.present}, {task: None}, train, validation)
    model = Tagger.fit_group([schema.tasks[task]], made, Tagger.search_space(0, 0), 0)
    rows = test[targets.present[test].any(axis=1)]
    found = tags.as_wide(model.predict_task(inputs.at(rows), task), schema.tasks[task].length)
    truth, present = codec.truth(read_, task)
    score = metrics.metric(schema.tasks[task].metric).score(truth[rows], present[rows], found)
    assert score is not None
    assert score >= card
