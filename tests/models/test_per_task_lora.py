"""LoRA of every task's own in one shared network: each task as if it were alone in it, for texts, tokens, pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sharewise.batch import Inputs, Targets
from sharewise.errors import DataError
from sharewise.models import slim
from sharewise.models.build import GroupModel, slots_of
from sharewise.models.slim import slimmed
from sharewise.models.stacked import Stack
from sharewise.plan import Choice
from sharewise.tables.images.backbone import Backbone
from sharewise.tables.texts import locate
from sharewise.tables.texts.transformer import Transformer
from sharewise.tasks import Task, TaskKind, TaskSet
from sharewise.training.cohort import Cohort, Member
from sharewise.training.data import TrainingData
from sharewise.training.recipe import Recipe, Tuned
from tiny_networks import tiny_bert, tiny_vision

YES = Task("yes", TaskKind.BINARY, ("yes",), "auroc", classes=(0, 1))
LEVEL = Task("level", TaskKind.REGRESSION, ("level",), "rmse")
OTHER = Task("other", TaskKind.REGRESSION, ("other",), "rmse", auxiliary=True)
TAGS = Task("tags", TaskKind.TOKEN_TAGGING, ("tags",), "token_accuracy", classes=("a", "b", "c"), length=5)

Case = tuple[dict[str, Any], Inputs[torch.Tensor], tuple[Task, ...]]


@pytest.fixture(scope="module", params=["text", "tokens", "image"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(request.param)
    random = np.random.default_rng(0)
    if request.param == "image":
        where = str(tiny_vision(folder, "vit"))
        part = {"name": "vision", "block": "image:p", "side": 16, "digest": locate.vision(where).digest}
        block = random.integers(0, 256, (1, 6, 16, 16, 3)).astype(np.uint8)
    else:
        where = tiny_bert(folder, positions=16)
        part = {"name": "transformer", "block": "text:p", "digest": locate.backbone(where).digest}
        block = 1 + random.integers(4, 12, (1, 6, 5)).astype(np.int32)
        if request.param == "tokens":
            part |= {"name": "token_transformer", "block": "tokens:p", "max_tokens": 12}
            block = block[..., None]
            block[0, np.arange(5) >= random.integers(1, 6, 6)[:, None]] = 0
    part |= {"model": where, "n_out": 16, "train": "lora", "rank": 2, "per_task": True, "present": 0}
    inputs = Inputs({part["block"]: torch.from_numpy(block), "present": torch.ones(1, 6, 1, dtype=torch.uint8)})
    tasks = (YES, TAGS, LEVEL, OTHER) if request.param == "tokens" else (YES, LEVEL, OTHER)
    return {"name": "mixed", "parts": [part]}, inputs, tasks


def made(case: Case, tasks: tuple[Task, ...], sharing: str = "hard") -> tuple[GroupModel, Stack]:
    net = GroupModel(case[0], Choice(sharing, {"width": 8}), slots_of(tasks))
    stack = Stack(net)
    stack.populate([1], [[task.name for task in tasks]])
    return net, stack


def stirred(case: Case, sharing: str = "hard") -> tuple[GroupModel, Stack]:
    net, stack = made(case, case[2], sharing)
    stack.flat += 0.2 * torch.randn(stack.flat.shape, generator=torch.Generator().manual_seed(1))
    return net, stack


@pytest.mark.parametrize("sharing", ["hard", "adapters"])
def test_a_task_answers_as_if_it_were_alone_in_the_network(case: Case, sharing: str) -> None:
    net, stack = stirred(case, sharing)
    together, state = net.predict(case[1]), stack.state(0)
    for s, task in enumerate(case[2]):
        single, own = made(case, (task,), sharing)
        for entry in own.entries:
            whole = next(e for e in stack.entries if e.name == _twin(entry.name, net, s))
            places = list(whole.slots or range(len(case[2])))
            value = state[whole.name]
            entry.of(own.flat)[0] = value if whole.slots is None else value[[places.index(s)]]
        torch.testing.assert_close(single.predict(case[1])[0], together[s], rtol=1e-4, atol=1e-5)


def _twin(name: str, net: GroupModel, slot: int) -> str:
    block = next(b for b, members in enumerate(net.blocks) if slot in members)
    return name.replace("heads.0.", f"heads.{block}.", 1)


def test_a_tasks_loss_reaches_its_own_matrices_alone(case: Case) -> None:
    net, stack = stirred(case)
    outputs = net.outputs(net.features(case[1]))
    for out, slots in zip(outputs, net.blocks, strict=True):
        for position, slot in enumerate(slots):
            total = out[:, position].sum()
            grads = torch.autograd.grad(total, stack.parameters, retain_graph=True, allow_unused=True)
            mine = [(e, g) for e, g in zip(stack.entries, grads, strict=True) if "lora" in e.name and g is not None]
            assert any(bool((g[:, slot] != 0).any()) for _, g in mine)
            assert not any(bool((g[:, s] != 0).any()) for _, g in mine for s in range(len(case[2])) if s != slot)


def test_saved_loaded_and_without_a_helper(case: Case) -> None:
    net, stack = stirred(case)
    before = net.predict(case[1])
    again = slim.load(net.config, stack.state(0))
    assert all(torch.equal(a, b) for a, b in zip(before, again.predict(case[1]), strict=True))
    config, state = slimmed(net.config, stack.state(0), [len(case[2]) - 1])
    after = slim.load(config, state).predict(case[1])
    for s in range(len(case[2]) - 1):
        torch.testing.assert_close(after[s], before[s], rtol=1e-5, atol=1e-5)
    name = next(n for n in state if "lora" in n)
    assert state[name].shape[0] == len(case[2]) - 1


def test_it_trains_in_a_cohort_of_one(case: Case) -> None:
    tasks = (YES, LEVEL)
    y = torch.randn(6, 2, generator=torch.Generator().manual_seed(3)).numpy()
    y[:, 0] = y[:, 0] > 0
    blocks = Inputs({name: block[0].numpy() for name, block in case[1].blocks.items()})
    targets = Targets(y.astype(np.float32), np.ones_like(y, bool), (slice(0, 1), slice(1, 2)))
    rows = np.arange(6)
    data = TrainingData.of(TaskSet(tasks), blocks, targets, {"train": rows, "validation": rows})
    net = GroupModel(case[0], Choice("hard", {"width": 16}), slots_of(tasks))
    member = Member("m", (0, 1), 0, Tuned(lr=4e-2, weight_decay=0.0, dropout=0.0))
    result = Cohort([member], net, data, Recipe(epochs=1, min_steps=24, batch_size=6, patience=99)).fit(())[0]
    losses = [v for v in result.curves[1].validation_loss if v is not None]
    assert min(losses) < 0.5 * losses[0]


def test_it_is_lora_alone(case: Case) -> None:
    part = case[0]["parts"][0]
    reading = Backbone if part["name"] == "vision" else Transformer
    with pytest.raises(DataError, match="parts of a network of their own by LoRA; however, train is all"):
        reading(part["model"], train="all", per_task=True).check()
