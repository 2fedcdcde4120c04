"""Lookahead affinities against a closed form and against steps taken by hand; looking changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sharewise.models.build import GroupModel, slots_of
from sharewise.plan import Choice
from sharewise.training.cohort import Cohort
from sharewise.training.data import TrainingData
from sharewise.training.lookahead import LOOKS, affinities
from sharewise.training.recipe import Recipe, Tuned
from sharewise.training.results import Member


def test_on_quadratics_it_is_the_closed_form() -> None:
    """L_k = a_k |theta - c_k|^2 / 2: after a step on j, theta - c_k has moved by -rate a_j (theta - c_j)."""
    random = torch.Generator().manual_seed(0)
    centres = torch.randn(2, 3, 5, generator=random, dtype=torch.float64)
    sizes = torch.rand(2, 3, generator=random, dtype=torch.float64) + 0.5
    theta = torch.nn.Parameter(torch.randn(2, 5, generator=random, dtype=torch.float64))
    kept, rate = theta.detach().clone(), torch.tensor([0.1, 0.3], dtype=torch.float64)

    def losses() -> torch.Tensor:
        return sizes * ((theta.unsqueeze(1) - centres) ** 2).sum(-1) / 2

    found = affinities(losses, [theta], rate)
    for m in range(2):
        for k in range(3):
            for j in range(3):
                moved = kept[m] - rate[m] * sizes[m, j] * (kept[m] - centres[m, j])
                exact = 1 - ((moved - centres[m, k]) ** 2).sum() / ((kept[m] - centres[m, k]) ** 2).sum()
                assert found[m, k, j].item() == pytest.approx(exact.item(), rel=1e-9)
    assert torch.equal(theta, kept)
    first_order = 1 - (1 - rate.view(2, 1) * sizes) ** 2
    assert torch.allclose(torch.diagonal(found, dim1=1, dim2=2), first_order), "a task's own step shrinks its distance"


def cohort(data: TrainingData) -> Cohort:
    tasks = [data.tasks.tasks[t] for t in (0, 1, 2)]
    model = GroupModel({"n_numeric": 6}, Choice("hard", {"width": 16}), slots_of(tasks))
    recipe = Recipe(epochs=4, min_steps=60, batch_size=32)
    return Cohort([Member("m", (0, 1, 2), 3, Tuned(dropout=0.2))], model, data, recipe)


def test_in_training_it_is_a_step_taken_by_hand(three_tasks: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look, repeated with a copy of the parameters, one task at a time."""
    made = cohort(three_tasks)
    made.look_ahead()
    assert made.ahead is not None
    looks = []
    original = made.ahead.look

    def look(losses, shared, rate, present):  # type: ignore[no-untyped-def]
        before = losses().detach()
        expected = np.zeros((3, 3))
        for j in range(3):
            kept = [p.detach().clone() for p in shared]
            grads = torch.autograd.grad(losses()[0, j], shared)
            with torch.no_grad():
                for p, g in zip(shared, grads, strict=True):
                    p -= rate[0] * g
                expected[:, j] = (1 - losses() / before)[0]
                for p, old in zip(shared, kept, strict=True):
                    p.copy_(old)
        np.testing.assert_allclose(affinities(losses, shared, rate)[0], expected, rtol=1e-5, atol=1e-7)
        assert all(expected[k, k] > 0 for k in range(3)), "a small step on a task helps that task"
        looks.append(expected)
        original(losses, shared, rate, present)

    monkeypatch.setattr(made.ahead, "look", look)
    result = made.fit()[0]
    assert 0 < len(looks) <= LOOKS
    seen = np.array([[np.nan if v is None else v for v in row] for row in result.lookahead])
    assert np.isnan(np.diag(seen)).all()
    assert np.isfinite(seen[~np.eye(3, dtype=bool)]).all()


def test_looking_changes_nothing(three_tasks: TrainingData) -> None:
    plain, watched = cohort(three_tasks), cohort(three_tasks)
    watched.look_ahead()
    a, b = plain.fit()[0], watched.fit()[0]
    assert a.lookahead == ()
    for one, other in zip(a.states, b.states, strict=True):
        assert all(torch.equal(one.parameters[name], other.parameters[name]) for name in one.parameters)
