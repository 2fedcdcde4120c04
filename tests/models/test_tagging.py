"""Decoding of tags against every sequence there is, and a model that reads sentences and their tokens at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from sharewise.batch import Inputs, Targets
from sharewise.models import slim
from sharewise.models.build import GroupModel, slots_of
from sharewise.models.heads.tagging import Spans, Tagging
from sharewise.models.stacked import Stack
from sharewise.plan import Choice
from sharewise.tables import tags
from sharewise.tasks import Task, TaskKind, TaskSet
from sharewise.training.cohort import Cohort, Member
from sharewise.training.data import TrainingData
from sharewise.training.recipe import Recipe, Tuned

TAGS = ("O", "B-x", "I-x", "B-y", "I-y")
ENCODER = {"name": "tokens", "block": "tokens:words", "n_words": 30, "n_forms": 2, "n_buckets": 50, "width": 32}


def legal(path: tuple[int, ...]) -> bool:
    return all(tag % 2 or tag == 0 or before in (tag - 1, tag) for before, tag in itertools.pairwise((0, *path)))


def test_spans_are_the_best_legal_sequence() -> None:
    head = Spans(n_in=3, n_slots=1, n_outputs=5)
    logits = torch.randn(1, 1, 40, 4, 5, generator=torch.Generator().manual_seed(0))
    found = head.predict(logits)[0, 0].long()
    scores = torch.log_softmax(logits, -1)[0, 0]
    paths = [p for p in itertools.product(range(5), repeat=4) if legal(p)]
    every = torch.tensor(paths)
    totals = scores[:, torch.arange(4), every].sum(-1)
    torch.testing.assert_close(found, every[totals.argmax(-1)])
    assert (found != Tagging.predict(head, logits)[0, 0].long()).any()


@pytest.mark.parametrize("length", [1, 2, 30])
def test_no_span_begins_inside(length: int) -> None:
    head = Spans(n_in=3, n_slots=1, n_outputs=5)
    found = head.predict(torch.randn(1, 1, 60, length, 5, generator=torch.Generator().manual_seed(length)))
    assert all(legal(tuple(row)) for row in found[0, 0].long().tolist())


# --- whole models ---------------------------------------------------------------------------------------------

TASKS = (
    Task("tags", TaskKind.TOKEN_TAGGING, ("tags",), "token_accuracy", classes=("a", "b", "c"), length=7),
    Task("names", TaskKind.TOKEN_TAGGING, ("names",), "entity_f1", classes=TAGS, length=7),
    Task("topic", TaskKind.MULTICLASS, ("topic",), "accuracy", classes=("u", "v")),
)


def sentences(rows: int, members: int = 1, length: int = 7, seed: int = 0) -> Inputs[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.cat(
        [
            torch.randint(1, 30, (members, rows, length, 1), generator=generator),
            torch.randint(1, 50, (members, rows, length, 2), generator=generator),
        ],
        dim=-1,
    )
    counts = torch.randint(1, length + 1, (members, rows, 1, 1), generator=generator)
    return Inputs({"tokens:words": (codes * (torch.arange(length).view(1, 1, -1, 1) < counts)).int()})


def model(tasks: tuple[Task, ...] = TASKS, members: int = 1) -> tuple[GroupModel, Stack]:
    made = GroupModel(ENCODER, Choice("hard", {"width": 24}), slots_of(tasks))
    stack = Stack(made)
    stack.populate(list(range(members)), [[t.name for t in tasks]] * members)
    return made, stack


def test_every_task_answers_its_own_rows() -> None:
    made, _ = model(members=2)
    x = sentences(5, 2)
    tags, names, topic = made.predict(x)
    assert tags.shape == names.shape == (2, 5, 7)
    assert topic.shape == (2, 5, 2)
    there = x["tokens:words"][..., 0] != 0
    assert (tags[~there] == -1).all()
    assert (tags[there] >= 0).all()


def test_answers_do_not_depend_on_the_batch() -> None:
    made, _ = model()
    x = sentences(9)
    whole = made.predict(x)
    wider = Inputs({n: torch.nn.functional.pad(b, (0, 0, 0, 5)) for n, b in x.blocks.items()})
    for i in range(9):
        alone = made.predict(x.at((slice(None), slice(i, i + 1))))
        for a, b, c in zip(whole, alone, made.predict(wider), strict=True):
            torch.testing.assert_close(a[:, i : i + 1], b)
            torch.testing.assert_close(a, c[..., : a.shape[-1]])


def test_tag_and_row_tasks_share_the_encoder() -> None:
    made, stack = model()
    z = made.features(sentences(6))
    outputs = made.outputs(z)
    reached = []
    for out in outputs:
        grads = torch.autograd.grad(out.sum(), stack.parameters, retain_graph=True, allow_unused=True)
        reached.append([g is not None and bool((g != 0).any()) for g in grads])
    shared = [e.name for i, e in enumerate(stack.entries) if all(r[i] for r in reached)]
    assert any(name.startswith("encoder.words") for name in shared)
    assert any(name.startswith("sharing") for name in shared)


def test_a_row_task_alone_reads_sentences_only() -> None:
    made, _ = model(TASKS[2:])
    assert made.features(sentences(6)).shape[1] == 6
    assert model(TASKS[:1])[0].features(sentences(6)).shape[1] > 6


def test_a_cohort_learns_tags_and_topic() -> None:
    x = {n: b[0].numpy() for n, b in sentences(40, seed=3).blocks.items()}
    words = x["tokens:words"][..., 0]
    there = words != 0
    rng = np.random.default_rng(0)
    rule = rng.integers(0, 3, 30)
    tags = rule[words]
    # A name begins at every even word; its second token goes on with it.
    even = (words % 2 == 0) & there
    names = np.where(even, 1, 0)
    names[:, 1:] = np.where(even[:, :-1] & ~even[:, 1:], 2, names[:, 1:])
    topic = (words[:, :1] > 15).astype(float)
    values = np.concatenate([tags, names, topic], axis=1).astype(np.float32)
    present = np.concatenate([there, there, np.ones_like(topic, bool)], axis=1)
    values = np.where(present, values, 0).astype(np.float32)
    slices = (slice(0, 7), slice(7, 14), slice(14, 15))
    tasks = TaskSet(TASKS)
    parts = {"train": np.arange(32), "validation": np.arange(32)}
    data = TrainingData.of(tasks, Inputs(x), Targets(values, present, slices), parts)
    runs = [Member(f"m{i}", (0, 1, 2), i, Tuned(lr=5e-3, weight_decay=0.0, dropout=0.05)) for i in range(2)]
    net = GroupModel(ENCODER, Choice("hard", {"width": 24}), slots_of(TASKS))
    recipe = Recipe(epochs=60, min_steps=120, batch_size=16, patience=99)
    results = Cohort(runs, net, data, recipe).fit(("validation",))
    for result in results:
        for t in (0, 1):
            found = result.predictions["validation"][t]
            mask = present[:32, slices[t]]
            assert (found[mask] == values[:32, slices[t]][mask]).mean() > 0.97
        assert (result.predictions["validation"][2].argmax(1) == topic[:32, 0]).mean() > 0.97
    alone = Cohort(runs[1:], GroupModel(ENCODER, Choice("hard", {"width": 24}), slots_of(TASKS)), data, recipe).fit(
        ("validation",)
    )[0]
    both = [r.curves[0].validation_loss[0] for r in (results[1], alone)]
    assert both[0] == pytest.approx(both[1], rel=1e-3)


def test_saved_and_loaded() -> None:
    made, stack = model(members=2)
    again = slim.load(made.config, stack.state(1))
    x = sentences(5)
    stack.bind(stack.flat[1:2].clone())
    for a, b in zip(made.predict(x), again.predict(x), strict=True):
        assert torch.equal(a, b)


def test_a_tag_comes_with_its_own_probability() -> None:
    made, _ = model(members=2)
    x = sentences(5, 2)
    sure, plain = made.predict(x, certainty=True), made.predict(x)
    outputs = made.outputs(made.features(x))
    for slot in (0, 1):
        assert torch.equal(sure[slot][..., 0], plain[slot])
        block, position = next((b, m.index(slot)) for b, m in enumerate(made.blocks) if slot in m)
        head = made.block_heads[block][1]
        p = torch.softmax(head.own_rows(outputs[block], 5)[:, position], dim=-1)
        there = plain[slot] >= 0
        length = p.shape[2]
        expected = p.gather(-1, plain[slot][..., :length].clamp(min=0).long().unsqueeze(-1)).squeeze(-1)
        torch.testing.assert_close(sure[slot][..., :length, 1][there[..., :length]], expected[there[..., :length]])
        assert (sure[slot][..., 1][~there] == 0).all()
    assert torch.equal(sure[2], plain[2])


def test_long_sentences_are_not_copied_when_they_are_cut() -> None:
    block = np.zeros((6, 700, 3), np.int32)
    block[:, :5] = 1
    block[2] = 1
    cut = tags.shortened(Inputs({"tokens:words": block}))
    values = np.zeros((6, 7), np.float32)
    targets = Targets(values, np.ones((6, 7), bool), (slice(0, 7),))
    data = TrainingData.of(TaskSet(TASKS[:1]), cut, targets, {"train": np.arange(6)})
    assert np.shares_memory(data.inputs["tokens:words"].numpy(), block)
    rows = torch.tensor([[0, 4], [1, 5]])
    assert data.gather(rows)["tokens:words"].shape == (2, 2, 5, 3)
    assert data.gather(rows + torch.tensor([[0, 0], [1, 0]]))["tokens:words"].shape == (2, 2, tags.LONGEST, 3)
