"""The contract of every weighting and loss scaling in the catalogues, on losses from 1e-6 to 1e6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from sharewise.balance import scaling, weighting
from sharewise.balance.contracts import Claim, Method, Scaling, TaskFacts, Weighting

NAMES = sorted(weighting.CATALOGUE)
SCALINGS = sorted(scaling.CATALOGUE)


def params(name: str, order: Sequence[int]) -> dict[str, Any]:
    match name:
        case "static":
            return {"weights": {f"t{i}": 1.0 + i for i in order}}
        case "annealing":
            return {"start": {f"t{i}": i - 1 for i in order}, "length": 3, "initial": 0.1}
        case "tchebycheff":
            return {"warmup": 2}
    return {}


def facts(order: Sequence[int]) -> TaskFacts:
    return TaskFacts(
        len(order),
        names=tuple(f"t{i}" for i in order),
        label_counts=tuple(10.0 * (i + 1) for i in order),
        label_variances=tuple(0.5 + i for i in order),
        n_classes=tuple(1 + i for i in order),
    )


def built(name: str, order: Sequence[int], seeds: int | list[int] = 3) -> Weighting:
    return weighting.CATALOGUE.build(name, **params(name, order)).build(facts(order), seeds)


def step(method: Weighting, losses: Tensor, present: Tensor) -> Tensor:
    """One step and, every second time, an epoch's end; the effective weights."""
    leaf = losses.clone().requires_grad_()
    objective = method(leaf, present)
    assert objective.shape == losses.shape[:-1]
    learnt = list(method.parameters())
    grads = torch.autograd.grad(objective.sum(), [leaf, *learnt], allow_unused=True)
    with torch.no_grad():
        for parameter, grad in zip(learnt, grads[1:], strict=True):
            assert grad is not None
            parameter -= 0.1 * grad
    method.after_step(losses, losses * 0.9 ** (1 + torch.arange(losses.shape[-1])), present)
    assert grads[0] is not None
    return grads[0]


def train(method: Weighting, losses: Tensor, present: Tensor, epochs: int = 5) -> list[Tensor]:
    found = []
    place = torch.arange(losses.shape[-1]) if method.facts is None else order_of(method)
    for epoch in range(epochs):
        now = losses * (0.8 + 0.02 * place) ** epoch
        found.append(step(method, now, present))
        method.after_epoch(now, present, torch.where(present, 1.0 / (2.0 + place), torch.nan))
    return found


def order_of(method: Method) -> Tensor:
    assert method.facts is not None
    return torch.tensor([int(name[1:]) for name in method.facts.labels])


def falling(method: Weighting, losses: Tensor, present: Tensor) -> Tensor:
    return train(method, losses, present)[-1]


LOSSES = torch.tensor([0.7, 1.3, 0.2, 2.0], dtype=torch.float64)
ALL = torch.ones(4, dtype=torch.bool)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_effective_weights_are_finite_and_not_negative(name: str, scale: float) -> None:
    for weights in train(built(name, range(4)), LOSSES * scale, ALL):
        assert weights.isfinite().all()
        assert (weights >= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_task_moves_nothing_and_counts_for_nothing(name: str) -> None:
    present = torch.tensor([True, True, True, False])
    whole, part = built(name, range(4)), built(name, range(3))
    losses = LOSSES.clone()
    losses[3] = 0.0
    with_absent = train(whole, losses, present)
    without = train(part, LOSSES[:3], present[:3])
    for a, b in zip(with_absent, without, strict=True):
        assert a[3] == 0
        if name != "inverse_volume":  # its clip looks at all tasks' counts
            torch.testing.assert_close(a[:3], b, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("name", NAMES)
def test_no_task_present_moves_nothing(name: str) -> None:
    method = built(name, range(4), [1, 2])
    present = torch.stack([ALL, torch.zeros_like(ALL)])
    for weights in train(method, LOSSES.expand(2, 4), present):
        assert (weights[1] == 0).all()
        assert weights.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_permuting_the_tasks_permutes_the_result(name: str) -> None:
    order = [2, 0, 3, 1]
    straight = train(built(name, range(4)), LOSSES, ALL)
    method = built(name, order)

    def permuted_step(losses: Tensor) -> Tensor:
        leaf = losses.clone().requires_grad_()
        learnt = list(method.parameters())
        grads = torch.autograd.grad(method(leaf, ALL).sum(), [leaf, *learnt])
        with torch.no_grad():
            for parameter, grad in zip(learnt, grads[1:], strict=True):
                parameter -= 0.1 * grad
        method.after_step(losses, losses * 0.9 ** (1 + torch.tensor(order)), ALL)
        return grads[0]

    place = torch.tensor(order)
    for epoch, expected in enumerate(straight):
        now = LOSSES[order] * (0.8 + 0.02 * place) ** epoch
        torch.testing.assert_close(permuted_step(now), expected[order], rtol=1e-6, atol=0.0)
        method.after_epoch(now, ALL, 1.0 / (2.0 + place))


@pytest.mark.parametrize("name", NAMES)
def test_one_task_gives_a_positive_multiple_of_its_gradient(name: str) -> None:
    assert (train(built(name, range(1)), LOSSES[:1], ALL[:1])[-1] > 0).all()
    present = torch.tensor([True, False, False, False])
    weights = falling(built(name, range(4)), LOSSES, present)
    assert weights[0] > 0
    assert (weights[1:] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_equals_its_members_one_by_one_and_members_may_leave(name: str) -> None:
    seeds = [4, 5, 6]
    stack = built(name, range(4), seeds)
    losses = LOSSES * torch.tensor([1.0, 3.0, 0.1])[:, None]
    present = torch.ones(3, 4, dtype=torch.bool)
    present[1, 2] = False
    before = train(stack, losses, present, 2)
    stack.keep(torch.tensor([False, True, True]))
    after = train(stack, losses[1:], present[1:], 2)
    for i in (1, 2):
        alone = built(name, range(4), seeds[i])
        for together, single in zip(before, train(alone, losses[i], present[i], 2), strict=True):
            torch.testing.assert_close(together[i], single, rtol=1e-6, atol=1e-12)
        for together, single in zip(after, train(alone, losses[i], present[i], 2), strict=True):
            torch.testing.assert_close(together[i - 1], single, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_state_goes_on_identically(name: str) -> None:
    first, second = built(name, range(4), [1, 2]), built(name, range(4), [0, 0])
    losses, present = LOSSES.expand(2, 4), ALL.expand(2, 4)
    train(first, losses, present, 3)
    second.load_state_dict(first.state_dict())
    for a, b in zip(train(first, losses, present, 3), train(second, losses, present, 3), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_declared_claims_hold(name: str) -> None:
    method = built(name, range(4))
    weights = train(method, LOSSES, ALL)
    if Claim.CONVEX in method.claims:
        for w in weights:
            assert w.sum().item() == pytest.approx(1.0, rel=1e-6)
    if Claim.STATELESS in method.claims:
        assert not method.state_dict()
    if Claim.DETERMINISTIC in method.claims:
        other = train(built(name, range(4), 77), LOSSES, ALL)
        assert all(torch.equal(a, b) for a, b in zip(weights, other, strict=True))
    if Claim.SCALE_INVARIANT in method.claims:
        scale = torch.tensor([1e-3, 1.0, 50.0, 1e3])
        for a, b in zip(weights, train(built(name, range(4)), LOSSES * scale, ALL), strict=True):
            same = b * scale / a
            torch.testing.assert_close(same, same.mean().expand(4), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scaled", SCALINGS)
def test_any_scaling_composes_with_any_weighting(name: str, scaled: str) -> None:
    scale = scaling.CATALOGUE.build(scaled).build(facts(range(4)), 0)
    method = built(name, range(4))
    leaf = (LOSSES + 1.0).requires_grad_()
    scale.observe(leaf.detach(), ALL)
    if scaled == "log" and name in ("log", "geometric", "tchebycheff", "famo", "dwa"):
        assert (scale(leaf, ALL) > 0).all()  # above one a log loss is positive, so these still apply
    (weights,) = torch.autograd.grad(method(scale(leaf, ALL), ALL).sum(), leaf)
    assert weights.isfinite().all()


# --- scalings --------------------------------------------------------------------------------


def scaled_steps(method: Scaling, losses: Tensor, present: Tensor) -> list[Tensor]:
    found = []
    for i in range(4):
        now = losses * 0.9**i
        method.observe(now, present)
        found.append(method(now, present))
    return found


@pytest.mark.parametrize("name", SCALINGS)
def test_scalings_keep_members_tasks_and_state_apart(name: str) -> None:
    stack = scaling.CATALOGUE.build(name).build(facts(range(4)), [1, 2])
    present = torch.ones(2, 4, dtype=torch.bool)
    present[1, 3] = False
    losses = LOSSES * torch.tensor([1.0, 3.0])[:, None]
    together = scaled_steps(stack, losses, present)
    alone = scaled_steps(scaling.CATALOGUE.build(name).build(facts(range(4))), losses[1], present[1])
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1, :3], b[:3])
    stack.keep(torch.tensor([1]))
    again = scaling.CATALOGUE.build(name).build(facts(range(4)), [0])
    again.load_state_dict(stack.state_dict())
    for a, b in zip(*(scaled_steps(s, losses[1:], present[1:]) for s in (stack, again)), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", [n for n in SCALINGS if Claim.SCALE_INVARIANT in scaling.CATALOGUE.load(n).claims])
def test_scale_invariant_scalings_undo_a_constant(name: str) -> None:
    factor = torch.tensor([1e-3, 1.0, 50.0, 1e3])
    slopes = []
    for losses in (LOSSES, LOSSES * factor):
        method = scaling.CATALOGUE.build(name).build(facts(range(4)))
        leaf = losses.clone().requires_grad_()
        method.observe(losses, ALL)
        (slope,) = torch.autograd.grad(method(leaf, ALL).sum(), leaf)
        slopes.append(slope)
    torch.testing.assert_close(slopes[1] * factor, slopes[0])
