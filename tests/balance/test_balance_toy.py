"""The two-task toy problem: Nash's path does not depend on the loss scale; who reaches the front."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="module")
def toy() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "toy.py"
    spec = importlib.util.spec_from_file_location("balance_toy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_nash_path_does_not_depend_on_the_loss_scale_step_for_step(toy: ModuleType) -> None:
    """All starts and scales in one stack. Powers of two scale without rounding: paths are equal bit for bit.

    Other scales differ by rounding, which Adam blows up where a gradient vanishes, as that of x does from (0,
    0).
    """
    factors = (1.0, 0.5, 2.0**-7, 0.1, 0.01)
    starts = torch.tensor([start for start in toy.STARTS for _ in factors])
    scales = torch.tensor([[s, 1.0] for _ in toy.STARTS for s in factors], dtype=torch.float64)
    points = toy.run("nash", scales, starts, 150, stride=1).points.unflatten(1, (5, len(factors)))
    assert points.shape[0] == 151
    for i in (1, 2):
        assert torch.equal(points[:, :, i], points[:, :, 0])
    others = [0, 2, 3, 4]
    for i in (3, 4):
        torch.testing.assert_close(points[:, others, i], points[:, others, 0], rtol=0.0, atol=1e-8)
    assert (points[-1] - points[0]).abs().max() > 0.1


def test_plain_weights_do_depend_on_it(toy: ModuleType) -> None:
    scales = torch.tensor([[0.01, 1.0], [1.0, 1.0]]).double()
    points = toy.run("mean", scales, torch.tensor([toy.STARTS[1]] * 2), 200).points
    assert (points[-1, 0] - points[-1, 1]).abs().max() > 1e-3


@pytest.mark.slow
def test_nash_reaches_the_front_from_every_start(toy: ModuleType) -> None:
    """15,114 is the slowest start's first step on the front in an independent implementation; `benchmarks/toy.py` runs
    the other methods."""
    scales = torch.tensor([0.1, 1.0]).expand(5, 2).double()
    reached = toy.run("nash", scales, torch.tensor(toy.STARTS), 16_000).reached
    assert all(step > 0 for step in reached)
    assert max(reached) == pytest.approx(15_114, rel=0.05)


def test_gradients_by_hand_are_those_of_autograd(toy: ModuleType) -> None:
    theta = 6.0 * torch.randn(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta[0] = 0.0
    scales = torch.tensor([0.1, 1.0]).expand(100, 2).double()
    leaf = theta.clone().requires_grad_()
    values = toy.losses(leaf, scales)
    wanted = [torch.autograd.grad(values[:, t].sum(), leaf, retain_graph=True)[0] for t in (0, 1)]
    found, rows = toy.jacobian(theta, scales)
    torch.testing.assert_close(found, values.detach())
    torch.testing.assert_close(rows, torch.stack(wanted, 1))
