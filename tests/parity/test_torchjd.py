"""Aggregators against TorchJD 0.18, method by method; the dependency group `parity` installs it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

torchjd = pytest.importorskip("torchjd.aggregation", reason="torchjd is not installed: parity not checked")
pytest.importorskip("qpsolvers", reason="qpsolvers is not installed: UPGrad's and DualProj's parity not checked")
dual_cone = pytest.importorskip("torchjd._linalg._dual_cone")

from sharewise.balance.aggregation import CATALOGUE  # noqa: E402
from sharewise.balance.contracts import Aggregator, Directional  # noqa: E402
from sharewise.balance.solvers import surgery  # noqa: E402
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


@pytest.mark.parametrize("name", ["pcgrad", "gradvac"])
def test_surgery_of_theirs_is_one_of_the_orders_that_ours_draws_from(name: str) -> None:
    rows = jacobian(3, 2, 0.3, -0.6)
    torch.manual_seed(0)
    found = peer({"pcgrad": "PCGrad", "gradvac": "GradVac"}[name])(rows) / 3
    unit = rows / rows.norm(dim=1, keepdim=True)
    cosine = unit @ unit.mT
    assert (cosine < 0).sum() >= 4, "nothing to project, so nothing is tested"
    share = rows.norm(dim=1) / 3
    reached = []
    for orders in itertools.product(list(itertools.permutations(range(3))), repeat=3):
        sequence = torch.tensor(orders)
        if name == "pcgrad":
            kept = surgery.project(cosine, sequence)
        else:
            alive, target = torch.ones(3, dtype=torch.bool), torch.zeros(3, 3, dtype=torch.float64)
            kept = surgery.turn(cosine, alive, sequence, target, 0.5)[0]
        reached.append((share @ kept) @ unit)
    error = (torch.stack(reached) - found).norm(dim=1) / found.norm()
    assert error.min().item() <= 1e-6
    assert error.max().item() > 1e-3, "all orders agree, so nothing is tested"


def test_trimmed_mean_is_the_same() -> None:
    rows = jacobian(7, 3)
    for trim in (1, 2):
        method = CATALOGUE.build("trimmed_mean", trim=trim)
        assert isinstance(method, Directional)
        found = method.build(7).direction(rows, None, torch.ones(7, dtype=torch.bool), 0)
        torch.testing.assert_close(found, peer("TrimmedMean", trim_number=trim)(rows))


def test_graddrop_keeps_one_sign_with_the_same_odds() -> None:
    rows, present = jacobian(4, 6), torch.ones(4, dtype=torch.bool)
    method = CATALOGUE.build("graddrop")
    assert isinstance(method, Directional)
    method.build(4)
    torch.manual_seed(0)
    theirs, mine = peer("GradDrop"), []
    for _ in range(3000):
        method.prepare(torch.ones(4), present)
        mine.append(method.direction(rows, None, present, 0))
    drawn, expected = torch.stack(mine), torch.stack([theirs(rows) / 4 for _ in range(3000)])
    up, down = rows.clamp(min=0).mean(0), rows.clamp(max=0).mean(0)
    for each in (drawn, expected):
        assert torch.minimum((each - up).abs(), (each - down).abs()).max() <= 1e-12
    odds, wanted = (((each - up).abs() <= 1e-12).double().mean(0) for each in (drawn, expected))
    torch.testing.assert_close(odds, wanted, rtol=0.0, atol=5 * (0.5 / 3000**0.5))


def test_smooth_moves_like_their_wrapper() -> None:
    theirs = torchjd.CRMOGMWeighting(torchjd.UPGradWeighting(projector=EXACT), alpha=0.8)
    upgrad = CATALOGUE.build("smooth", of="upgrad", decay=0.8)
    assert isinstance(upgrad, Aggregator)
    upgrad.build(3)
    for seed in range(4):
        rows = jacobian(3, seed, 0.3, -0.4)
        matrix = rows @ rows.mT
        torch.testing.assert_close(upgrad(matrix, torch.ones(3)), theirs(matrix), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mu", [0.1, 1.0])
def test_tchebycheff_is_theirs_of_log_losses(mu: float) -> None:
    scalarization = pytest.importorskip("torchjd.scalarization")
    nadir, losses = torch.tensor([1.0, 3.0, 0.2]), torch.tensor([0.5, 2.0, 0.19])
    mine = WEIGHTINGS.build("tchebycheff", mu=mu, warmup=1).build(3)
    mine.after_epoch(nadir)
    theirs = scalarization.STCH(mu, weights=torch.ones(3), reference=nadir.log())
    present = torch.ones(3, dtype=torch.bool)
    found = effective(lambda x: mine(x, present), losses)
    torch.testing.assert_close(found, effective(lambda x: theirs(x.log()), losses), rtol=1e-5, atol=1e-7)


def test_random_weights_have_the_same_law() -> None:
    scalarization = pytest.importorskip("torchjd.scalarization")
    losses, present = torch.tensor([0.5, 2.0, 4.0]), torch.ones(3, dtype=torch.bool)
    mine, theirs = WEIGHTINGS.build("random").build(3), scalarization.Random()
    torch.manual_seed(0)
    drawn = torch.stack([effective(lambda x: mine(x, present), losses) for _ in range(3000)])
    wanted = torch.stack([effective(theirs, losses) for _ in range(3000)])
    drawn, wanted = (w / w.sum(1, keepdim=True) for w in (drawn, wanted))
    for moment in (1, 2, 3):
        a, b = ((w**moment).mean(0) for w in (drawn, wanted))
        torch.testing.assert_close(a, b, rtol=0.0, atol=0.03)


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
