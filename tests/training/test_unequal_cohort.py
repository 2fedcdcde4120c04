"""Samplers, task-wise learning rates, frozen heads, stopping rules and checkpoints in a cohort."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sharewise.balance.choose import build
from sharewise.balance.sampling import CATALOGUE
from sharewise.models.build import GroupModel, slots_of
from sharewise.plan import Choice
from sharewise.tasks import TaskSet
from sharewise.training.cohort import Cohort
from sharewise.training.data import TrainingData
from sharewise.training.order import Order, samplers
from sharewise.training.recipe import Recipe, Tuned
from sharewise.training.results import FitResult, Member

RECIPE = Recipe(epochs=4, min_steps=0, batch_size=32)


def cohort(data: TrainingData, seeds: tuple[int, ...], said: dict[str, Any], recipe: Recipe = RECIPE) -> Cohort:
    model = GroupModel({"n_numeric": 6}, Choice("hard", {"width": 16}), slots_of(data.tasks.tasks))
    members = [Member(f"m{i}", (0, 1, 2), i, Tuned(lr=2e-3 * (i % 7 + 1))) for i in seeds]
    return Cohort(members, model, data, recipe, build(said))


def with_primary(data: TrainingData, name: str) -> TrainingData:
    tasks = TaskSet(tuple(replace(task, primary=task.name == name) for task in data.tasks))
    return replace(data, tasks=tasks)


def sampler(name: str) -> dict[str, Any]:
    return {"sampler": {"name": name, "params": {"task": "yes"} if name == "class_balanced" else {}}}


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_members_rows_do_not_depend_on_its_company(name: str, three_tasks: TrainingData) -> None:
    said = build(sampler(name)).sampler
    members = [Member(f"m{i}", tasks, i) for i, tasks in enumerate([(0, 1, 2), (1, 2), (0, 1, 2), (0,)])]
    rows = [three_tasks.rows_of_any(m.tasks, "train") for m in members]
    together = Order(members, rows, 32, torch.device("cpu"), samplers(said, members, three_tasks, rows, 4)).ahead(40)
    for m, member in enumerate(members):
        own = samplers(said, [member], three_tasks, [rows[m]], 4)
        alone = Order([member], [rows[m]], 32, torch.device("cpu"), own).ahead(40)
        assert torch.equal(together[:, m], alone[:, 0])
        assert set(alone.flatten().tolist()) <= set(rows[m].tolist())


def test_a_member_that_leaves_takes_its_rows_along(three_tasks: TrainingData) -> None:
    members = [Member(f"m{i}", (0, 1, 2), i) for i in range(3)]
    rows = [three_tasks.rows_of_any(m.tasks, "train") for m in members]
    chosen = samplers(build(sampler("curriculum")).sampler, members, three_tasks, rows, 4)
    whole, part = (Order(members, rows, 32, torch.device("cpu"), chosen) for _ in range(2))
    before = part.ahead(5)
    part.keep([0, 2])
    after = part.ahead(30)
    expected = whole.ahead(35)
    assert torch.equal(before, expected[:5])
    assert torch.equal(after, expected[5:, [0, 2]])


def test_scarce_tasks_are_seen_more_often(three_tasks: TrainingData) -> None:
    member = Member("m", (0, 1, 2), 0)
    scarce = three_tasks.targets.present.clone()
    scarce[torch.arange(len(scarce)) % 10 > 0, 2] = False
    scarce[torch.arange(len(scarce)) % 10 == 0, :2] = False
    data = replace(three_tasks, targets=replace(three_tasks.targets, present=scarce))
    rows = [data.rows_of_any(member.tasks, "train")]
    share = {}
    for name in ("proportional", "balanced"):
        chosen = samplers(build(sampler(name)).sampler, [member], data, rows, 4)
        seen = Order([member], rows, 32, torch.device("cpu"), chosen).ahead(33).flatten().numpy()
        share[name] = data.labels((2,), seen)[0].mean()
    assert share["balanced"] > 3 * share["proportional"]


@pytest.mark.parametrize(
    "said",
    [
        sampler("balanced"),
        {"freeze": {"patience": 1, "at_once": 2}},
        {"rates": {"scales": {"level": 0.1}, "decay": "linear", "horizons": {"yes": 2}}},
        {"stop": {"watch": "composite", "patience": 1}, "checkpoint": "task"},
    ],
    ids=["sampler", "freeze", "rates", "stop"],
)
def test_a_member_does_not_depend_on_its_company(said: dict[str, Any], three_tasks: TrainingData) -> None:
    recipe = Recipe(epochs=6, min_steps=0, batch_size=32)
    together = cohort(three_tasks, (0, 1, 2), said, recipe).fit(("test",))
    alone = cohort(three_tasks, (1,), said, recipe).fit(("test",))[0]
    assert alone.best_epoch == together[1].best_epoch
    for t in range(3):
        np.testing.assert_allclose(
            alone.predictions["test"][t], together[1].predictions["test"][t], rtol=2e-3, atol=2e-3
        )
    assert alone.balance is not None
    assert together[1].balance is not None
    assert alone.balance.frozen == together[1].balance.frozen


def heads(result: FitResult) -> dict[str, torch.Tensor]:
    return {name: value for name, value in result.states[-1].parameters.items() if name.startswith("heads")}


def test_a_learning_rate_of_next_to_nothing_keeps_a_head_where_it_began(three_tasks: TrainingData) -> None:
    said = {"rates": {"scales": {"level": 1e-9}}}
    began = cohort(three_tasks, (0,), said).stack.state(0)
    ended = heads(cohort(three_tasks, (0,), said).fit()[0])
    name = next(n for n in ended if n.startswith("heads.1") and n.endswith("weight"))
    moved = (ended[name] - began[name]).abs().amax(dim=(-1, -2))
    assert moved[0] < 1e-6 < 1e-3 < moved[1]


def test_a_frozen_head_rests_and_the_trunk_goes_on(three_tasks: TrainingData) -> None:
    made = cohort(three_tasks, (0,), {"freeze": {"patience": 1, "min_fall": 10.0, "rise": 10.0, "at_once": 3}})
    made.tempo.frozen[:] = True
    made.tempo._move(0)
    began = made.stack.state(0)
    frozen = made.tempo.freezer
    assert frozen is not None
    frozen.frozen = torch.ones(1, 3, dtype=torch.bool)
    frozen.best = torch.zeros(1, 3, dtype=torch.float64)
    frozen.rise = float("inf")
    result = made.fit()[0]
    for name, value in result.states[0].parameters.items():
        assert torch.equal(value, began[name]) == name.startswith("heads"), name
    assert result.balance is not None
    assert result.balance.frozen == {"yes": 1.0, "level": 1.0, "depth": 1.0}


def test_the_primary_task_alone_can_stop_and_choose_the_epoch(three_tasks: TrainingData) -> None:
    data = with_primary(three_tasks, "depth")
    recipe = Recipe(epochs=40, min_steps=0, batch_size=32, patience=99)
    said = {"stop": {"watch": "primary", "patience": 2}, "checkpoint": "primary"}
    result = cohort(data, (6,), said, recipe).fit()[0]
    losses = np.array(result.curves[2].validation_loss, dtype=float)
    best = result.curves[2].epochs[int(losses.argmin())]
    assert set(result.best_epoch.values()) == {best}
    assert result.epochs < 40
    assert result.curves[2].epochs.index(result.epochs) - result.curves[2].epochs.index(best) == 2


def test_task_weights_weigh_losses_and_one_task_alone_is_as_it_was(three_tasks: TrainingData) -> None:
    tasks = TaskSet(tuple(replace(task, weight=4.0 if task.name == "depth" else 1.0) for task in three_tasks.tasks))
    data = replace(three_tasks, tasks=tasks)
    weighed = cohort(data, (0,), {}).fit(("test",))[0]
    static = {"weighting": {"name": "static", "params": {"weights": {"depth": 4.0}}}, "heads": "weighted"}
    plain = cohort(three_tasks, (0,), static).fit(("test",))[0]
    np.testing.assert_allclose(weighed.predictions["test"][2], plain.predictions["test"][2], rtol=1e-3, atol=1e-3)
    for some in (data, three_tasks):
        model = GroupModel({"n_numeric": 6}, Choice("hard", {"width": 16}), slots_of(some.tasks.tasks[2:]))
        alone = Cohort([Member("a", (2,), 0)], model, some, RECIPE).fit(("test",))[0]
        if some is data:
            first = alone
    assert np.array_equal(first.predictions["test"][2], alone.predictions["test"][2])
