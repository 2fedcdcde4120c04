"""Aggregators against TorchJD 0.18, method by method; the dependency group `parity` installs it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

torchjd = pytest.importorskip("torchjd.aggregation", reason="torchjd is not installed: parity not checked")
pytest.importorskip("qpsolvers", reason="qpsolvers is not installed: UPGrad's and DualProj's parity not checked")
dual_cone = pytest.importorskip("torchjd._linalg._dual_cone")

from sharewise.balance.aggregation import CATALOGUE  # noqa: E402
from sharewise.balance.contracts import Aggregator  # noqa: E402
from sharewise.balance.weighting import CATALOGUE as WEIGHTINGS  # noqa: E402


def jacobian(n_tasks: int, seed: int, decades: float = 0.5, shared: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n_tasks, 2 * n_tasks + 3, generator=generator, dtype=torch.float64)
    rows = rows + shared * rows[0]
    return rows * torch.logspace(-decades, decades, n_tasks, dtype=torch.float64)[:, None]


def ours(name: str, rows: Tensor, **params: Any) -> Tensor:
    method = CATALOGUE.build(name, **params)
    assert isinstance(method, Aggregator)
    n = rows.shape[0]
    return method.build(n)(rows @ rows.mT, torch.ones(n, dtype=torch.float64)) @ rows  # type: ignore[no-any-return]


def peer(name: str, **params: Any) -> Any:
    return getattr(torchjd, name)(**params)


EXACT = dual_cone.QuadprogProjector(norm_eps=1e-12, reg_eps=1e-10)

SAME = [
    # ours, its parameters, theirs, its parameters, ours / theirs, relative tolerance
    ("mean", {}, "Mean", {}, 1.0, 1e-9),
    ("sum", {}, "Sum", {}, 1.0, 1e-9),
    ("imtl_g", {}, "IMTLG", {}, 1.0, 1e-6),
    ("aligned", {}, "AlignedMTL", {}, 1.0, 1e-6),
    ("aligned", {"scale": "rmse"}, "AlignedMTL", {"scale_mode": "rmse"}, 1.0, 1e-6),
    ("aligned", {"scale": "median"}, "AlignedMTL", {"scale_mode": "median"}, 1.0, 1e-6),
    ("config", {}, "ConFIG", {}, 1.0, 1e-6),
    # theirs adds 1e-4 to the normalised diagonal unless told otherwise
    ("upgrad", {}, "UPGrad", {"projector": EXACT}, 1.0, 1e-5),
    ("dualproj", {}, "DualProj", {"projector": EXACT}, 1.0, 1e-5),
    # theirs stops a generic optimiser early
    ("cagrad", {"c": 0.4}, "CAGrad", {"c": 0.4}, 1.0, 1e-3),
    ("fairgrad", {"alpha": 2.0}, "FairGrad", {"alpha": 2.0}, 1.0, 1e-3),
    ("fairgrad", {"alpha": 1.0}, "FairGrad", {"alpha": 1.0}, 1.0, 1e-3),
]


@pytest.mark.parametrize(("name", "params", "theirs", "their_params", "ratio", "tolerance"), SAME)
@pytest.mark.parametrize("n_tasks", [2, 3, 6])
@pytest.mark.parametrize("shared", [0.0, 2.0, -0.5])
def test_same_direction(
    name: str,
    params: dict[str, Any],
    theirs: str,
    their_params: dict[str, Any],
    ratio: float,
    tolerance: float,
    n_tasks: int,
    shared: float,
) -> None:
    rows = jacobian(n_tasks, n_tasks, 0.3, shared)
    expected = peer(theirs, **their_params)(rows) * ratio
    if name == "imtl_g" and (rows @ expected < 0).all():
        expected = -expected  # theirs ascends every task where the weights sum to less than zero
    error = (ours(name, rows, **params) - expected).norm() / expected.norm()
    assert error.item() <= tolerance


@pytest.mark.parametrize("seed", range(5))
def test_two_task_pcgrad_and_gradvac_are_the_same_up_to_the_mean(seed: int) -> None:
    rows = jacobian(2, seed)
    for name, theirs in (("pcgrad", "PCGrad"), ("gradvac", "GradVac")):
        expected = peer(theirs)(rows) / 2
        torch.testing.assert_close(ours(name, rows), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("n_tasks", [2, 8, 40])
def test_mgda_is_never_longer_than_theirs(n_tasks: int) -> None:
    rows = jacobian(n_tasks, 0, 1.0, -0.3)
    mine, theirs = ours("mgda", rows).norm(), peer("MGDA")(rows).norm()
    assert mine <= theirs * (1 + 1e-9)
    if n_tasks == 2:
        assert mine.item() == pytest.approx(theirs.item(), rel=1e-3)


@pytest.mark.filterwarnings("ignore::UserWarning")  # cvxpy's, of the peer's problem: it is not DPP
@pytest.mark.parametrize("n_tasks", [2, 4])
def test_nash_is_the_same_where_theirs_converges(n_tasks: int) -> None:
    pytest.importorskip("ecos", reason="ecos is not installed: Nash-MTL's parity not checked")
    rows = jacobian(n_tasks, 1, 0.0, 1.0)
    expected = peer("NashMTL", n_tasks=n_tasks, optim_niter=100)(rows)
    found = ours("nash", rows)
    torch.testing.assert_close(found, expected.double(), rtol=1e-3, atol=1e-4)


# --- scalarisations --------------------------------------------------------------------------------------------


def effective(objective: Any, losses: Tensor) -> Tensor:
    leaf = losses.clone().requires_grad_()
    (found,) = torch.autograd.grad(objective(leaf).sum(), leaf)
    return found


def test_famo_and_dwa_move_like_theirs() -> None:
    scalarization = pytest.importorskip("torchjd.scalarization")
    losses, present = torch.tensor([0.5, 2.0, 4.0]), torch.ones(3, dtype=torch.bool)
    mine, theirs = WEIGHTINGS.build("famo").build(3), scalarization.FAMO(3)
    for step in range(5):
        before = losses * 0.95**step
        after = before * torch.tensor([0.9, 0.99, 0.8])
        found, wanted = effective(lambda x: mine(x, present), before), effective(theirs, before)
        torch.testing.assert_close(found / found.sum(), wanted / wanted.sum(), rtol=1e-4, atol=1e-6)
        mine.after_step(before, after, present)
        theirs.update(after)
    mine, theirs = WEIGHTINGS.build("dwa").build(3), scalarization.DWA()
    for epoch in range(4):
        means = losses * torch.tensor([0.9, 0.8, 0.99]) ** (epoch**1.5)
        found, wanted = effective(lambda x: mine(x, present), means), effective(theirs, means)
        torch.testing.assert_close(found / found.sum(), wanted / wanted.sum(), rtol=1e-4, atol=1e-6)
        mine.after_epoch(means)
        theirs.step()


@pytest.mark.parametrize(
    ("name", "theirs", "shape"),
    [("geometric", "GeometricMean", ()), ("uncertainty", "UW", (3,)), ("imtl_l", "IMTLL", (3,))],
)
def test_other_scalarisations_weigh_like_theirs(name: str, theirs: str, shape: tuple[int, ...]) -> None:
    scalarization = pytest.importorskip("torchjd.scalarization")
    losses, present = torch.tensor([0.5, 2.0, 4.0]), torch.ones(3, dtype=torch.bool)
    mine, peer = WEIGHTINGS.build(name).build(3), scalarization.__dict__[theirs](*shape)
    found, wanted = effective(lambda x: mine(x, present), losses), effective(peer, losses)
    torch.testing.assert_close(found / found.sum(), wanted / wanted.sum(), rtol=1e-5, atol=1e-7)
