"""A cohort trains each member as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from sharewise.balance import Balancer, aggregation, weighting
from sharewise.balance.aggregation.mean import Mean
from sharewise.balance.choose import Balance, build
from sharewise.models.build import GroupModel, slots_of
from sharewise.plan import Choice
from sharewise.records import Status
from sharewise.training.cohort import Cohort
from sharewise.training.data import TrainingData
from sharewise.training.optimiser import StackedAdamW, clip_
from sharewise.training.recipe import Recipe, Tuned, batch_size_for, trial
from sharewise.training.results import FitResult, Member

SHORT = Recipe(epochs=6, min_steps=60, batch_size=32)


def fit(
    data: TrainingData, members: Sequence[Member], recipe: Recipe = SHORT, balance: Balance | None = None
) -> list[FitResult]:
    tasks = [data.tasks.tasks[t] for t in members[0].layout]
    model = GroupModel({"n_numeric": 6}, Choice("hard", {"width": 24}), slots_of(tasks))
    return Cohort(members, model, data, recipe, balance).fit(("validation", "test"))


def members(n: int, tasks: tuple[int, ...] = (0, 1, 2)) -> list[Member]:
    tuned = [Tuned(lr=1e-3 * (i + 1), weight_decay=0.01 * i, dropout=0.1 * (i % 3)) for i in range(n)]
    return [Member(f"m{i}", tasks, seed=i, tuned=tuned[i]) for i in range(n)]


def test_a_member_does_not_depend_on_its_company(three_tasks: TrainingData) -> None:
    together = fit(three_tasks, members(5))
    for member, result in zip(members(5), together, strict=True):
        alone = fit(three_tasks, [member])[0]
        assert alone.best_epoch == result.best_epoch
        for task in member.tasks:
            np.testing.assert_allclose(
                alone.predictions["test"][task], result.predictions["test"][task], rtol=2e-4, atol=2e-4
            )


def test_members_that_stop_leave_the_others_as_they_are(three_tasks: TrainingData) -> None:
    recipe = Recipe(epochs=30, min_steps=0, batch_size=32, patience=1)
    mixed = [Member("fast", (0, 1, 2), 0, Tuned(lr=0.1)), Member("slow", (0, 1, 2), 1, Tuned(lr=1e-3))]
    together = fit(three_tasks, mixed, recipe)
    assert len({r.epochs for r in together}) > 1, "nobody left early, so nothing is tested"
    for member, result in zip(mixed, together, strict=True):
        alone = fit(three_tasks, [member], recipe)[0]
        assert alone.epochs == result.epochs
        np.testing.assert_allclose(alone.predictions["test"][1], result.predictions["test"][1], rtol=1e-3, atol=1e-3)


def test_the_same_cohort_twice_is_equal_bit_for_bit(three_tasks: TrainingData) -> None:
    first, second = fit(three_tasks, members(3)), fit(three_tasks, members(3))
    for a, b in zip(first, second, strict=True):
        for task in a.member.tasks:
            assert np.array_equal(a.predictions["test"][task], b.predictions["test"][task])
        for one, other in zip(a.states, b.states, strict=True):
            assert all(torch.equal(one.parameters[k], other.parameters[k]) for k in one.parameters)


def test_seeds_differ(three_tasks: TrainingData) -> None:
    a, b = fit(three_tasks, [Member("a", (1,), 0), Member("b", (1,), 1)])
    assert not np.allclose(a.predictions["test"][1], b.predictions["test"][1])


def test_single_task_members_of_different_tasks_stack(three_tasks: TrainingData) -> None:
    results = fit(three_tasks, [Member("level", (1,), 0), Member("depth", (2,), 0)])
    assert [set(r.best_epoch) for r in results] == [{1}, {2}]
    for result in results:
        task = result.member.tasks[0]
        truth = three_tasks.targets.values[three_tasks.rows_of(task, "test"), task].numpy()
        assert np.mean((result.predictions["test"][task][:, 0] - truth) ** 2) < 0.5 * truth.var()


def test_it_learns_what_a_tree_cannot_miss(three_tasks: TrainingData) -> None:
    result = fit(three_tasks, [Member("all", (0, 1, 2), 0)], Recipe(epochs=40))[0]
    rows = three_tasks.rows_of(0, "test")
    truth = three_tasks.targets.values[rows, 0].numpy()
    assert np.mean((result.predictions["test"][0][:, 0] > 0.5) == truth) > 0.9


def test_a_member_that_diverges_is_set_aside_and_the_others_go_on(three_tasks: TrainingData) -> None:
    wild = Member("wild", (0, 1, 2), 0, Tuned(lr=1e30))
    calm = Member("calm", (0, 1, 2), 1)
    diverged, done = fit(three_tasks, [wild, calm])
    assert diverged.status is Status.DIVERGED
    assert "no longer finite" in diverged.message
    alone = fit(three_tasks, [calm])[0]
    assert done.status is Status.DONE
    np.testing.assert_allclose(alone.predictions["test"][1], done.predictions["test"][1], rtol=1e-3, atol=1e-3)


def test_checkpoints_per_task_answer_with_each_tasks_own_best_epoch(three_tasks: TrainingData) -> None:
    recipe = Recipe(epochs=25, batch_size=32, min_steps=0, checkpoint="task")
    result = fit(three_tasks, [Member("all", (0, 1, 2), 0)], recipe)[0]
    assert [state.tasks for state in result.states] == [(0,), (1,), (2,)]
    for task, curve in result.curves.items():
        losses = np.array(curve.validation_loss, dtype=float)
        assert curve.epochs[int(losses.argmin())] == result.best_epoch[task]


def test_the_group_checkpoint_has_the_least_mean_relative_loss(three_tasks: TrainingData) -> None:
    result = fit(three_tasks, [Member("all", (0, 1, 2), 0)], Recipe(epochs=12, batch_size=32, min_steps=0))[0]
    scales = three_tasks.scales.numpy()
    mean = np.mean([np.array(result.curves[t].validation_loss, float) / scales[t] for t in range(3)], axis=0)
    assert result.curves[0].epochs[int(mean.argmin())] == result.best_epoch[0]
    assert len(result.states) == 1


def test_equal_weights_are_measured_as_equal(three_tasks: TrainingData) -> None:
    weights = fit(three_tasks, members(2))[0].weights
    np.testing.assert_allclose(list(weights.values()), 1 / 3, atol=0.02)


def test_the_mean_of_gradients_is_the_gradient_of_the_mean(three_tasks: TrainingData) -> None:
    by_losses = fit(three_tasks, members(2))
    by_gradients = fit(three_tasks, members(2), balance=Balance(Balancer(Mean(), heads="weighted")))
    for a, b in zip(by_losses, by_gradients, strict=True):
        np.testing.assert_allclose(a.predictions["test"][1], b.predictions["test"][1], rtol=2e-3, atol=2e-3)


def test_stacked_adamw_is_adamw() -> None:
    torch.manual_seed(0)
    start = torch.randn(3, 7)
    lr, decay = torch.tensor([[1e-2], [3e-3], [1e-1]]), torch.tensor([[0.0], [0.1], [0.5]])
    flat = start.clone()
    ours = StackedAdamW(flat, beta2=0.95)
    theirs = [torch.nn.Parameter(row.clone()) for row in start]
    optimisers = [
        torch.optim.AdamW([p], lr=float(lr[i]), betas=(0.9, 0.95), weight_decay=float(decay[i]))
        for i, p in enumerate(theirs)
    ]
    for _ in range(20):
        gradient = torch.randn(3, 7)
        ours.step(flat, gradient, lr, decay)
        for i, (p, optimiser) in enumerate(zip(theirs, optimisers, strict=True)):
            p.grad = gradient[i].clone()
            optimiser.step()
    torch.testing.assert_close(flat, torch.stack([p.detach() for p in theirs]), rtol=1e-5, atol=1e-6)


def test_clipping_is_per_member() -> None:
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    norms = clip_(gradient, 1.0)
    torch.testing.assert_close(norms, torch.tensor([5.0, 0.5]))
    torch.testing.assert_close(gradient, torch.tensor([[0.6, 0.8], [0.3, 0.4]]), rtol=1e-5, atol=1e-6)


def test_trials_are_the_same_for_every_arm_and_the_first_is_the_default() -> None:
    assert trial(0, 7) == Tuned()
    assert trial(3, 7) == trial(3, 7) != trial(4, 7)


@pytest.mark.parametrize(("rows", "size"), [(3, 3), (40, 16), (500, 16), (1200, 64), (10**6, 256)])
def test_batch_sizes(rows: int, size: int) -> None:
    assert batch_size_for(rows) == size


@pytest.mark.parametrize("name", weighting.CATALOGUE)
def test_every_weighting_trains_a_stack_as_it_trains_one(name: str, three_tasks: TrainingData) -> None:
    params = {"static": {"weights": [1.0, 2.0, 0.5]}}.get(name, {})
    said = {"weighting": {"name": name, "params": params}}
    recipe = Recipe(epochs=3, min_steps=0, batch_size=64)
    pair = [Member(f"m{i}", (0, 1, 2), seed=i) for i in range(2)]
    together = fit(three_tasks, pair, recipe, build(said))
    alone = fit(three_tasks, pair[1:], recipe, build(said))[0]
    assert together[1].status is Status.DONE
    np.testing.assert_allclose(alone.predictions["test"][1], together[1].predictions["test"][1], rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("name", aggregation.CATALOGUE)
def test_every_aggregator_trains_a_stack_as_it_trains_one(name: str, three_tasks: TrainingData) -> None:
    params = {"smooth": {"base": "mean"}, "primary": {"task": 0}}.get(name, {})
    known = {p.name for p in aggregation.CATALOGUE.parameters(name)}
    said = {"aggregator": {"name": name, "params": {k: v for k, v in params.items() if k in known}}}
    recipe = Recipe(epochs=2, min_steps=0, batch_size=64)
    pair = [Member(f"m{i}", (0, 1, 2), seed=i) for i in range(2)]
    together = fit(three_tasks, pair, recipe, build(said))
    alone = fit(three_tasks, pair[1:], recipe, build(said))[0]
    assert together[1].status is Status.DONE
    np.testing.assert_allclose(alone.predictions["test"][1], together[1].predictions["test"][1], rtol=2e-2, atol=2e-2)


def test_idle_slots_leave_a_member_as_it_would_be_without_them(three_tasks: TrainingData) -> None:
    plain = fit(three_tasks, [Member("pair", (1, 2), 4)])[0]
    pair, single = fit(
        three_tasks, [Member("pair", (1, 2), 4, slots=(0, 1, 2)), Member("one", (2,), 5, slots=(0, 1, 2))]
    )
    assert pair.best_epoch.keys() == plain.best_epoch.keys() == pair.curves.keys() == pair.weights.keys() == {1, 2}
    assert [state.tasks for state in single.states] == [(2,)]
    assert pair.weights == pytest.approx(plain.weights)
    assert pair.n_train_rows == plain.n_train_rows
    alone = fit(three_tasks, [Member("one", (2,), 5)])[0]
    assert single.weights == pytest.approx(alone.weights)
    truth = three_tasks.targets.values[three_tasks.rows_of(2, "test"), 2].numpy()
    for member, other in ((pair, plain), (single, alone)):
        # Heads of another kind number the blocks anew, so that the initial weights differ: equal skill, not equal bits.
        errors = [np.mean((r.predictions["test"][2][:, 0] - truth) ** 2) for r in (member, other)]
        assert errors[0] == pytest.approx(errors[1], rel=0.5)


def test_idle_slots_of_one_kind_change_no_number(three_tasks: TrainingData) -> None:
    plain = fit(three_tasks, [Member("one", (2,), 5)])[0]
    idle = fit(three_tasks, [Member("one", (2,), 5, slots=(1, 2))])
    np.testing.assert_allclose(plain.predictions["test"][2], idle[0].predictions["test"][2], rtol=1e-4, atol=1e-4)
    assert plain.best_epoch == idle[0].best_epoch
