"""A network without the heads of helpers: the other tasks answer as before, and nothing of the helpers' own is left."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import safetensors.torch
import torch

from sharewise.batch import Inputs
from sharewise.bundle.artifact import Artifact
from sharewise.models import sharing, slim
from sharewise.models.build import DROPPED, GroupModel, Slot, slots_of
from sharewise.models.slim import filled, slimmed
from sharewise.models.stacked import Stack
from sharewise.plan import Choice
from sharewise.tasks import Task, TaskKind

TASKS = (
    Task("first", TaskKind.REGRESSION, ("first",), "rmse", auxiliary=True),
    Task("top", TaskKind.MULTICLASS, ("top",), "accuracy", classes=("a", "b")),
    Task("level", TaskKind.REGRESSION, ("level",), "rmse"),
    Task("fine", TaskKind.MULTICLASS, ("fine",), "accuracy", classes=("p", "q", "r"), parent="top", under=(0, 0, 1)),
    Task("yes", TaskKind.BINARY, ("yes",), "auroc", classes=(0, 1), auxiliary=True),
    Task("m@1", TaskKind.BINARY, ("m",), "auroc", classes=(0, 1), family="m", where=("g", "1")),
    Task("h@1", TaskKind.BINARY, ("h",), "auroc", classes=(0, 1), family="h", where=("g", "1"), auxiliary=True),
    Task("m@2", TaskKind.BINARY, ("m",), "auroc", classes=(0, 1), family="m", where=("g", "2")),
    Task("h@2", TaskKind.BINARY, ("h",), "auroc", classes=(0, 1), family="h", where=("g", "2"), auxiliary=True),
)
DROP = [i for i, task in enumerate(TASKS) if task.auxiliary]
KEPT = [i for i, task in enumerate(TASKS) if not task.auxiliary]


def rows(n: int = 6) -> Inputs[torch.Tensor]:
    return Inputs({"embedding": torch.randn(1, n, 5, generator=torch.Generator().manual_seed(1))})


def made(choice: Choice, slots: tuple[Slot, ...] = slots_of(TASKS)) -> tuple[GroupModel, Stack]:
    net = GroupModel({"n_embedding": 5}, choice, slots)
    stack = Stack(net)
    stack.populate([3], [[task.name for task in TASKS]])
    stack.flat += 0.3 * torch.randn(stack.flat.shape, generator=torch.Generator().manual_seed(2))
    return net, stack


CHOICES = [Choice(name) for name in sharing.CATALOGUE]
CHOICES += [Choice("hard", {"depth": 3, "split": [0, 1, 2, 3, 1, 2, 3, 1, 0]}), Choice("hard", {"split": 1})]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_the_others_answer_as_before(choice: Choice) -> None:
    net, stack = made(choice)
    config, state = slimmed(json.loads(json.dumps(net.config)), stack.state(0), DROP)
    again = slim.load(json.loads(json.dumps(config)), state)
    before, after = net.predict(rows()), again.predict(rows())
    for s in KEPT:
        # Heads of one kind are one matrix product, whose sums run in another order when it is narrower.
        torch.testing.assert_close(before[s], after[s], rtol=1e-5, atol=1e-5)
    assert all(after[s].numel() == 0 for s in DROP)
    whole = stack.state(0)
    assert sum(v.numel() for v in state.values()) < sum(v.numel() for v in whole.values())
    # No value of a dropped slot's own is in the file: spoil them all, and the file is the same.
    for entry in stack.entries:
        numbers = entry.slots or range(len(TASKS)) if entry.slots is not None else ()
        places = [i for i, s in enumerate(numbers) if s in DROP]
        if places and not entry.crossed:
            entry.of(stack.flat)[:, places] = torch.nan
    _, spoilt = slimmed(net.config, stack.state(0), DROP)
    assert {n: v.shape for n, v in spoilt.items()} == {n: v.shape for n, v in state.items()}
    assert all(torch.equal(v, state[n]) for n, v in spoilt.items())


def test_a_task_at_a_lower_layer_and_its_view_go_with_it() -> None:
    slots = list(slots_of(TASKS[:3]))
    slots = [replace(slots[0], at_layer=1, reads=("x",)), *slots[1:]]
    columns = {"x": {"embedding": [0]}, "z": {"embedding": [1, 2, 3, 4]}}
    net = GroupModel({"n_embedding": 5, "columns": columns}, Choice("hard"), slots)
    stack = Stack(net)
    stack.populate([0], [["first", "top", "level"]])
    config, state = slimmed(net.config, stack.state(0), [0])
    again = slim.load(config, state)
    for s in (1, 2):
        torch.testing.assert_close(net.predict(rows())[s], again.predict(rows())[s])
    assert again.views is None


def test_nothing_to_drop_is_the_network_itself() -> None:
    net, stack = made(Choice("hard"))
    config, state = slimmed(net.config, stack.state(0), ())
    assert config == net.config
    assert filled(net, state).keys() == state.keys()
    with pytest.raises(ValueError, match="A slot that stays has its parent"):
        slimmed(net.config, stack.state(0), [1])


def test_a_bundles_group_carries_no_helper() -> None:
    net, stack = made(Choice("adapters"))
    names = [task.name for task in TASKS]
    answers = [names[s] for s in KEPT]
    config = {**net.config, "tasks": names, "answers": answers, "epoch": 3}
    helper = {**config, "answers": ["first"]}
    states = [safetensors.torch.save(stack.state(0), {"config": json.dumps(c)}) for c in (config, helper)]
    whole = Artifact.of_neural("all", states)
    slim = Artifact.of_neural("all", states, dropped=[names[s] for s in DROP])
    assert set(whole.tasks) == {*answers, "first"}
    assert slim.tasks == tuple(answers)
    assert list(slim.files) == ["weights.safetensors"]
    again = Artifact.from_files(slim.to_files(), "here")
    x = Inputs({"embedding": rows()["embedding"][0].numpy()})
    expected = whole.answerer("here").predict(x, answers)
    for name, found in again.answerer("here").predict(x, answers).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-5, atol=1e-5)
    heads = [slot["head"] for slot in slim.model["architecture"]["slots"]]
    assert [h == DROPPED for h in heads] == [task.auxiliary for task in TASKS]
    assert asdict(slots_of(TASKS)[1])["head"] == heads[1]
