"""Weightings against closed forms and hand-run algorithms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sharewise.balance.contracts import TaskFacts, Weighting
from sharewise.balance.scaling.running_mean import RunningMean
from sharewise.balance.weighting.annealing import Annealing
from sharewise.balance.weighting.convergence import Convergence
from sharewise.balance.weighting.dwa import DWA
from sharewise.balance.weighting.famo import FAMO
from sharewise.balance.weighting.geometric import Geometric
from sharewise.balance.weighting.imtl_l import IMTLL
from sharewise.balance.weighting.inverse_volume import InverseVolume
from sharewise.balance.weighting.log import LogLoss
from sharewise.balance.weighting.prioritise import Prioritise
from sharewise.balance.weighting.random import Random
from sharewise.balance.weighting.static import Static
from sharewise.balance.weighting.tchebycheff import Tchebycheff
from sharewise.balance.weighting.uncertainty import Uncertainty
from sharewise.balance.weighting.uncertainty_positive import UncertaintyPositive
from sharewise.errors import ConfigError

LOSSES = torch.tensor([0.5, 2.0, 4.0], dtype=torch.float64)
ALL = torch.ones(3, dtype=torch.bool)


def weights(method: Weighting, losses: Tensor = LOSSES, present: Tensor = ALL) -> Tensor:
    leaf = losses.clone().requires_grad_()
    (found,) = torch.autograd.grad(method(leaf, present).sum(), leaf)
    return found


def close(found: Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(found.double(), torch.tensor(expected, dtype=torch.float64))


def test_closed_forms() -> None:
    close(weights(LogLoss()), [2 / 3, 1 / 6, 1 / 12])
    mean = 4.0 ** (1 / 3)
    assert Geometric()(LOSSES, ALL).item() == pytest.approx(mean)
    close(weights(Geometric()), [mean * 2 / 3, mean / 6, mean / 12])
    close(weights(Static(weights=[1, 2, 1]).build(3)), [0.25, 0.5, 0.25])
    close(weights(Uncertainty(initial=math.log(2)).build(3)), [1 / 12] * 3)
    close(weights(UncertaintyPositive().build(3)), [1 / 6] * 3)
    close(weights(IMTLL().build(3)), [1 / 3] * 3)


def test_forty_small_losses_neither_overflow_nor_underflow() -> None:
    present = torch.ones(40, dtype=torch.bool)
    for size in (1e-12, 1e12):
        losses = torch.full((40,), size)
        assert Geometric()(losses, present).item() == pytest.approx(size, rel=1e-3)


@pytest.mark.parametrize("kind", [Uncertainty, IMTLL, UncertaintyPositive])
def test_learnt_scales_reach_their_fixed_point(kind: type[Weighting]) -> None:
    method = kind().build(3)
    optimiser = torch.optim.Adam(method.parameters(), lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        method(LOSSES, ALL).backward()
        optimiser.step()
    found = weights(method) * LOSSES
    if kind is UncertaintyPositive:  # l / (2 c^2) = c^2 / (1 + c^2)
        square = (LOSSES + (LOSSES**2 + 8 * LOSSES).sqrt()) / 4
        torch.testing.assert_close(found, LOSSES / (6 * square), rtol=1e-2, atol=0.0)
    else:
        torch.testing.assert_close(found, found.mean().expand(3), rtol=1e-2, atol=0.0)


def test_dwa_by_hand() -> None:
    method = DWA().build(3)
    for _ in range(2):
        close(weights(method), [1 / 3] * 3)
        method.after_epoch(LOSSES)
    method.after_epoch(LOSSES * torch.tensor([0.5, 1.0, 0.9]))
    powers = [math.exp(r / 2) for r in (0.5, 1.0, 0.9)]
    close(weights(method), [p / sum(powers) for p in powers])


def test_famo_by_hand() -> None:
    """Three steps of the published algorithm with torch's own Adam."""
    method = FAMO(lr=0.025, decay=1e-3).build(3)
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([logits], lr=0.025, weight_decay=1e-3)
    for step in range(3):
        before = LOSSES * 0.9**step
        after = before * torch.tensor([0.9, 0.95, 0.8])
        share = torch.softmax(logits.detach(), 0)
        excess = before + 1e-8
        expected = share / excess / (share / excess).sum()
        torch.testing.assert_close(weights(method, before), expected)
        assert expected.sum().item() == pytest.approx(1.0)
        method.after_step(before, after, ALL)
        fall = excess.log() - (after + 1e-8).log()
        logits.grad = torch.autograd.grad(torch.softmax(logits, 0), logits, fall)[0]
        adam.step()
        torch.testing.assert_close(method.logits, logits.detach())


def test_an_absent_task_coded_as_zero_takes_no_weight_from_famo() -> None:
    present = torch.tensor([True, True, False])
    losses = LOSSES * present
    found = weights(FAMO().build(3), losses, present)
    close(found, [0.8, 0.2, 0.0])


def test_tchebycheff_by_hand() -> None:
    method = Tchebycheff(mu=0.5, warmup=1).build(3)
    close(weights(method), [2 / 3, 1 / 6, 1 / 12])
    method.after_epoch(LOSSES * 2)
    now = LOSSES * torch.tensor([1.0, 0.5, 2.0])
    powers = torch.tensor([0.5, 0.25, 1.0], dtype=torch.float64) ** 2
    torch.testing.assert_close(weights(method, now), powers / powers.sum() / now)


def test_random_weights_average_out_and_differ_by_member() -> None:
    for kind in ("normal", "dirichlet"):
        method = Random(distribution=kind).build(3, [1, 2])  # type: ignore[arg-type]
        drawn = torch.stack([weights(method, LOSSES.expand(2, 3), ALL.expand(2, 3)) for _ in range(250)])
        assert (drawn[:, 0] != drawn[:, 1]).any()
        torch.testing.assert_close(drawn.mean((0, 1)), torch.full((3,), 1 / 3).double(), rtol=0.0, atol=0.05)


def test_inverse_volume_is_clipped() -> None:
    facts = TaskFacts(3, label_counts=(10, 100, 100_000))
    close(weights(InverseVolume(clip=10).build(facts)), [10 / 11.1, 1 / 11.1, 0.1 / 11.1])
    with pytest.raises(ConfigError, match="'InverseVolume' needs label_counts for every task"):
        InverseVolume().build(3)


def test_prioritise_follows_the_focal_rule() -> None:
    method = Prioritise(gamma=2.0).build(3)
    close(weights(method), [1 / 3] * 3)
    method.after_epoch(LOSSES, None, torch.tensor([0.5, 0.9, 0.99]))
    focus = [-((1 - k) ** 2) * math.log(k) for k in (0.5, 0.9, 0.99)]
    focus[1], focus[2] = max(focus[1], 1e-3), max(focus[2], 1e-3)
    torch.testing.assert_close(weights(method), torch.tensor(focus).double() / sum(focus), rtol=1e-5, atol=0.0)


def test_a_task_that_has_stabilised_yields() -> None:
    method = Convergence(floor=0.1, decay=0.0).build(3)
    method.after_epoch(LOSSES)
    method.after_epoch(LOSSES * torch.tensor([0.8, 0.9, 1.0]))
    close(weights(method), [1 / 1.6, 0.5 / 1.6, 0.1 / 1.6])


def test_tasks_enter_and_grow_by_schedule() -> None:
    facts = TaskFacts(3, names=("a", "b", "c"))
    method = Annealing(start={"b": 1, "c": 2}, length=1, initial=0.0).build(facts)
    found = []
    for _ in range(4):
        found.append(weights(method))
        method.after_epoch(LOSSES)
    close(found[0], [1, 0, 0])
    close(found[1], [2 / 3, 1 / 3, 0])
    close(found[2], [0.4, 0.4, 0.2])
    close(found[3], [1 / 3] * 3)
    with pytest.raises(ConfigError, match="Did you mean 'b'"):
        Annealing(start={"bb": 1}).build(facts)


def test_running_mean_corrects_its_start() -> None:
    method = RunningMean(decay=0.9).build(3)
    method.observe(LOSSES, ALL)
    close(method(LOSSES, ALL), [1.0, 1.0, 1.0])


@pytest.mark.parametrize("bad", [[1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [1.0, math.nan, 1.0]])
def test_static_weights_are_checked(bad: list[float]) -> None:
    with pytest.raises(ConfigError, match="finite, not negative and not all zero"):
        Static(weights=bad).build(3)
    with pytest.raises(ConfigError, match="Did you mean 'price'"):
        Static(weights={"prise": 1.0}).build(TaskFacts(1, names=("price",)))
