"""What balancing did is noted truly, and noting it changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sharewise.balance.choose import build
from sharewise.balance.engine.step import Step
from sharewise.balance.observe import conflict_rate, exact, look
from sharewise.models.build import GroupModel, slots_of
from sharewise.plan import Choice
from sharewise.records import BalanceRecord, RunRecord, from_json, to_json
from sharewise.training.cohort import Cohort
from sharewise.training.data import TrainingData
from sharewise.training.recipe import Recipe, Tuned
from sharewise.training.results import FitResult, Member

RECIPE = Recipe(epochs=16, min_steps=200, batch_size=32, patience=99)
NASH: dict[str, Any] = {"aggregator": {"name": "nash", "params": {}}}


def cohort(data: TrainingData, seeds: tuple[int, ...], said: dict[str, Any], recipe: Recipe = RECIPE) -> Cohort:
    model = GroupModel({"n_numeric": 6}, Choice("hard", {"width": 24}), slots_of(data.tasks.tasks))
    members = [Member(f"m{i}", (0, 1, 2), i, Tuned(lr=1e-3 * (i + 1))) for i in seeds]
    return Cohort(members, model, data, recipe, build(said))


def record_of(result: FitResult) -> BalanceRecord:
    assert result.balance is not None
    return result.balance


@pytest.mark.parametrize("said", [{}, NASH], ids=["looked at", "by-product"])
def test_a_record_says_what_happened(said: dict[str, Any], three_tasks: TrainingData) -> None:
    record = record_of(cohort(three_tasks, (0,), said).fit()[0])
    assert record.method == ("nash" if said else "equal")
    assert len(record.epochs) <= 24
    for series in (record.effective_weights, record.loss_shares, record.gradient_norms, record.gradient_norm_shares):
        assert list(series) == ["yes", "level", "depth"]
        assert {len(s) for s in series.values()} == {len(record.epochs)}
    shares = np.array(list(record.loss_shares.values()), dtype=float)
    np.testing.assert_allclose(shares.sum(0), 1.0, atol=1e-3)
    if not said:
        np.testing.assert_allclose(np.array(list(record.effective_weights.values()), float), 1 / 3, atol=1e-3)
    cosines = np.array(record.cosines, dtype=float)
    np.testing.assert_allclose(np.diag(cosines), 1.0)
    np.testing.assert_allclose(cosines, cosines.T)
    rates = [r for r in record.conflict_rate if r is not None]
    assert rates
    assert all(0 <= r <= 1 for r in rates)
    assert set(record.conflict_rate_by_layer) == {"encoder", "sharing.layers.0", "sharing.layers.1"}
    run = RunRecord("r", "together", "together", "tune", ("yes",), 0, 0, {}, "done", balance=record)  # type: ignore[arg-type]
    assert from_json(RunRecord, to_json(run)).balance == record


def test_observing_changes_nothing(three_tasks: TrainingData) -> None:
    seen, unseen = (cohort(three_tasks, (0, 1), {}) for _ in range(2))
    unseen.observer = None
    for a, b in zip(seen.fit(("test",)), unseen.fit(("test",)), strict=True):
        assert b.balance is None
        assert all(np.array_equal(a.predictions["test"][t], b.predictions["test"][t]) for t in range(3))


def test_what_is_noted_of_a_member_does_not_depend_on_its_company(three_tasks: TrainingData) -> None:
    recipe = Recipe(epochs=30, min_steps=0, batch_size=32, patience=3)
    together = cohort(three_tasks, (0, 30), {}, recipe).fit()
    alone = cohort(three_tasks, (30,), {}, recipe).fit()[0]
    assert len({r.epochs for r in together}) > 1, "nobody left early, so nothing is tested"
    ours, theirs = record_of(together[1]), record_of(alone)
    assert ours.epochs == theirs.epochs
    np.testing.assert_allclose(np.array(ours.cosines, float), np.array(theirs.cosines, float), atol=0.02)
    for task in ours.gradient_norms:
        a, b = (np.array(r.gradient_norms[task], float) for r in (ours, theirs))
        assert np.array_equal(np.isnan(a), np.isnan(b))
        np.testing.assert_allclose(a, b, rtol=0.02)


def test_a_look_sees_the_gradients_that_backward_passes_find() -> None:
    torch.manual_seed(0)
    x, trunk, heads = torch.randn(2, 16, 5), torch.nn.Linear(5, 4), torch.randn(2, 3, 4)
    labelled = torch.tensor([[True, True, True], [True, False, True]])
    z = torch.tanh(trunk(x))

    def losses_from(copies: torch.Tensor) -> torch.Tensor:
        each = copies if copies.dim() == 4 else copies.unsqueeze(1)
        return (each * heads.unsqueeze(2)).sum(-1).square().mean(-1)

    losses = losses_from(z)
    slopes = torch.tensor([[1.0, 2.0, 0.5]]).expand(2, 3) * labelled
    step = Step(losses.detach(), labelled, torch.full((2, 3), 1 / 3), slopes, None, True)
    seen = look(z.detach(), losses_from, step).gramian
    assert seen is not None
    for m in range(2):
        rows = [torch.autograd.grad(losses[m, t], z, retain_graph=True)[0][m].flatten() for t in range(3)]
        g = (torch.stack(rows) * slopes[m].unsqueeze(-1)).double()
        torch.testing.assert_close(seen[m], g @ g.T, rtol=1e-5, atol=1e-8)


def test_conflicts_by_layer_are_those_of_exact_gradients() -> None:
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4))
    x, heads, aims = torch.randn(16, 5), torch.randn(3, 4), torch.randn(3, 16)

    def losses_from(copies: torch.Tensor) -> torch.Tensor:
        each = copies if copies.dim() == 3 else copies.unsqueeze(0)
        return ((each * heads.unsqueeze(1)).sum(-1) - aims).square().mean(-1)

    losses = losses_from(net(x))
    step = Step(losses.detach(), torch.ones(3, dtype=torch.bool), torch.ones(3), torch.ones(3), None, True)
    found = exact(net(x), losses_from, step, list(net.named_parameters()))
    assert set(found) == {"0", "2"}
    for layer, matrix in found.items():
        own = list(net.get_submodule(layer).parameters())
        rows = [torch.cat([g.flatten() for g in torch.autograd.grad(loss, own, retain_graph=True)]) for loss in losses]
        g = torch.stack(rows).double()
        torch.testing.assert_close(matrix, g @ g.T, rtol=1e-5, atol=1e-8)
        negative = [float(rows[i] @ rows[j]) < 0 for i, j in ((0, 1), (0, 2), (1, 2))]
        assert conflict_rate(matrix, step.present).item() == pytest.approx(np.mean(negative))


@pytest.mark.parametrize("said", [{}, NASH], ids=["looked at", "by-product"])
def test_a_member_with_idle_slots_has_the_record_it_has_alone(said: dict[str, Any], three_tasks: TrainingData) -> None:
    tasks = three_tasks.tasks.tasks
    wide = GroupModel({"n_numeric": 6}, Choice("hard", {"width": 24}), slots_of(tasks))
    members = [
        Member("all", (0, 1, 2), 0),
        Member("pair", (2, 0), 1, slots=(0, 1, 2)),
        Member("one", (1,), 2, slots=(0, 1, 2)),
    ]
    stacked = Cohort(members, wide, three_tasks, RECIPE, build(said)).fit()
    assert stacked[2].balance is None
    pair = record_of(stacked[1])
    assert list(record_of(stacked[0]).effective_weights) == ["yes", "level", "depth"]
    narrow = GroupModel({"n_numeric": 6}, Choice("hard", {"width": 24}), slots_of([tasks[2], tasks[0]]))
    alone = record_of(Cohort([Member("pair", (2, 0), 1)], narrow, three_tasks, RECIPE, build(said)).fit()[0])
    assert list(pair.effective_weights) == list(alone.effective_weights) == ["depth", "yes"]
    assert np.shape(pair.cosines) == np.shape(alone.cosines) == (2, 2)
    np.testing.assert_allclose(np.diag(np.array(pair.cosines, float)), 1.0)
    weights = np.array([w for w in zip(*pair.effective_weights.values(), strict=True) if None not in w], float)
    shares = np.array([s for s in zip(*pair.loss_shares.values(), strict=True) if None not in s], float)
    assert len(weights) == len(pair.epochs)
    np.testing.assert_allclose(shares.sum(1), 1.0, atol=1e-3)
    if not said:
        np.testing.assert_allclose(weights, 0.5, atol=1e-3)


def test_one_task_has_nothing_to_note(three_tasks: TrainingData) -> None:
    model = GroupModel({"n_numeric": 6}, Choice("hard", {"width": 8}), slots_of(three_tasks.tasks.tasks[:1]))
    result = Cohort([Member("a", (0,), 0)], model, three_tasks, Recipe(epochs=2, min_steps=0)).fit()[0]
    assert result.balance is None
