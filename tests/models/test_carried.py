"""What is carried over, against the source itself: before any training the two answer alike."""

from __future__ import annotations

import pytest
import torch
from sharing_models import N_IN, rows
from torch import Tensor

from sharewise.models import sharing
from sharewise.models.build import GroupModel, Slot
from sharewise.models.stacked import Stack
from sharewise.models.transfer import carried
from sharewise.plan import Choice

TASKS = ["t0", "t1", "t2", "t3"]


def network(choice: Choice, slots: list[Slot], tasks: list[str], seed: int) -> tuple[GroupModel, Stack]:
    """A network with parameters drawn from a seed, biases among them."""
    model = GroupModel({"n_embedding": N_IN}, choice, slots)
    stack = Stack(model)
    stack.populate([seed], [tasks])
    noise = torch.Generator().manual_seed(seed)
    stack.bind(stack.flat + 0.1 * torch.randn(stack.flat.shape, generator=noise))
    return model, stack


def started(source: tuple[GroupModel, Stack], tasks: list[str], choice: Choice, slot: Slot, task: str) -> GroupModel:
    """A network of one task that starts from a source."""
    model, stack = network(choice, [slot], [task], 99)
    stack.start(0, carried(model, task, {**source[0].config, "tasks": tasks}, source[1].state(0)))
    return model


def alone(name: str) -> Choice:
    return sharing.CATALOGUE.load(name).alone(Choice(name))


KINDS = [Slot("regression", 1, 1), Slot("multiclass", 3, 1), Slot("regression", 1, 1), Slot("binary", 1, 1)]


@pytest.mark.parametrize("name", [name for name in sharing.CATALOGUE if name != "ple"])
def test_pretrained_on_all_tasks_it_answers_as_the_source_does(name: str) -> None:
    choice = alone(name)
    source = network(choice, KINDS, TASKS, 1)
    expected = source[0].predict(rows())
    for s, task in enumerate(TASKS):
        found = started(source, TASKS, choice, KINDS[s], task).predict(rows())
        torch.testing.assert_close(found[0], expected[s], atol=1e-6, rtol=1e-5)


def test_what_one_task_has_no_use_for_starts_afresh() -> None:
    """The gate of progressive layered extraction that mixes all tasks' experts has nothing to mix for one task."""
    choice = Choice("ple")
    source = network(choice, KINDS, TASKS, 1)
    model, stack = network(choice, KINDS[:1], ["t2"], 5)
    made = carried(model, "t2", {**source[0].config, "tasks": TASKS}, source[1].state(0))
    assert {entry.name for entry in stack.entries} - set(made) == {
        "sharing.shared_gates.0.weight",
        "sharing.shared_gates.0.bias",
    }
    own = "sharing.own_experts.0.layers.0.weight"
    assert torch.equal(made[own][0], source[1].state(0)[own][2])


def test_a_familys_head_is_its_map_and_the_tasks_own() -> None:
    slots = [Slot("regression", 1, 1, family=0), Slot("regression", 1, 1, family=1), Slot("regression", 1, 1, family=0)]
    source = network(Choice("hard"), slots, TASKS[:3], 2)
    expected = source[0].predict(rows())
    for s in range(3):
        found = started(source, TASKS[:3], Choice("hard"), Slot("regression", 1, 1), f"t{s}").predict(rows())
        torch.testing.assert_close(found[0], expected[s], atol=1e-6, rtol=1e-5)


def test_pretrained_on_another_task_it_reads_alike_and_has_a_head_of_its_own() -> None:
    source = network(Choice("hard"), KINDS[:1], ["t0"], 3)
    model = started(source, ["t0"], Choice("hard"), KINDS[1], "t1")
    fresh, _ = network(Choice("hard"), KINDS[1:2], ["t1"], 99)
    torch.testing.assert_close(model.features(rows()), source[0].features(rows()))
    assert not torch.allclose(fresh.features(rows()), source[0].features(rows()))

    def heads(of: GroupModel) -> list[Tensor]:
        return [p for name, p in of.named_parameters() if name.startswith("heads.")]

    assert all(torch.equal(a, b) for a, b in zip(heads(model), heads(fresh), strict=True))


def test_a_task_below_another_starts_with_a_fresh_head() -> None:
    """A nested head says "given the parent", which a network of the task alone does not know."""
    below = Slot("nested", 4, 1, parent=1, under=(0, 0, 1, 2))
    source = network(Choice("hard"), [KINDS[0], KINDS[1], below], TASKS[:3], 4)
    own = Slot("multiclass", 4, 1)
    model, _ = network(Choice("hard"), [own], ["t2"], 5)
    made = carried(model, "t2", {**source[0].config, "tasks": TASKS[:3]}, source[1].state(0))
    assert made
    assert not [name for name in made if name.startswith("heads.")]
