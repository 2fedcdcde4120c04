"""The engine beside what real training loops hold, against gradients taken one task at a time."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sharewise.balance import Balancer
from sharewise.balance.aggregation import CATALOGUE
from sharewise.balance.aggregation.graddrop import GradDrop
from sharewise.balance.aggregation.mgda import MGDA
from sharewise.balance.aggregation.trimmed_mean import TrimmedMean
from sharewise.balance.aggregation.upgrad import UPGrad
from sharewise.balance.contracts import Directional
from sharewise.balance.engine.rows import leaves

N_TASKS, B, D = 3, 12, 6


class Trunk(nn.Module):
    """One awkward thing a trunk can hold, between two linear layers."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first, self.last = nn.Linear(5, D), nn.Linear(D, D)
        inner: nn.Module = nn.Identity()
        match kind:
            case "layer norm" | "autocast layer norm":
                inner = nn.LayerNorm(D)
            case "batch norm" | "autocast batch norm":
                inner = nn.BatchNorm1d(D)
            case "dropout":
                inner = nn.Dropout(0.4)
            case "twice" | "checkpoint" | "reentrant checkpoint":
                inner = nn.Linear(D, D)
        self.inner = inner
        self.rnn = nn.GRU(5, D, batch_first=True) if kind == "recurrent" else None
        if kind == "frozen":
            self.first.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if self.rnn is not None:
            return self.last(self.rnn(x.unsqueeze(1).expand(-1, 4, -1))[0][:, -1])  # type: ignore[no-any-return]
        z = torch.tanh(self.first(x))
        if self.kind == "checkpoint":
            z = checkpoint(self.inner, z, use_reentrant=False)
        elif self.kind == "reentrant checkpoint":
            z = checkpoint(self.inner, z, use_reentrant=True)
        else:
            z = self.inner(z)
        if self.kind == "twice":
            z = torch.tanh(self.inner(torch.tanh(z)))
        if self.kind == "tied":
            z = torch.tanh(z @ self.last.weight.T)
        return self.last(z)  # type: ignore[no-any-return]


KINDS = [
    "layer norm",
    "batch norm",
    "autocast layer norm",
    "autocast batch norm",
    "dropout",
    "twice",
    "tied",
    "frozen",
    "recurrent",
    "checkpoint",
    "reentrant checkpoint",
]


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(B, 5, generator=generator)
    return x, torch.stack([x[:, 0], -x[:, 0] + x[:, 1], x[:, 2]], -1)


def losses(heads: nn.ModuleList, copies: tuple[Tensor, ...], y: Tensor) -> list[Tensor]:
    pairs = enumerate(zip(heads, copies, strict=True))
    return [nn.functional.mse_loss(head(z).squeeze(-1).float(), y[:, t]) for t, (head, z) in pairs]


def one_by_one(trunk: nn.Module, heads: nn.ModuleList, x: Tensor, y: Tensor, cast: bool) -> list[Tensor]:
    """Rows (T, *p.shape) of the trunk's parameters by T whole passes with the same random state."""
    rows: list[list[Tensor]] = []
    for t in range(N_TASKS):
        twin = copy.deepcopy(trunk)
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16, enabled=cast):
            loss = losses(heads, (twin(x),) * N_TASKS, y)[t]
        parameters = [p for p in twin.parameters() if p.requires_grad]
        loss.backward()  # type: ignore[no-untyped-call]
        rows.append([torch.zeros_like(p) if p.grad is None else p.grad for p in parameters])
    return [torch.stack(part) for part in zip(*rows, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", ["representation", "parameters"])
@pytest.mark.parametrize("mode", ["loop", "auto"])
def test_awkward_trunks(kind: str, level: str, mode: str) -> None:
    torch.manual_seed(0)
    trunk, heads, cast = (
        Trunk(kind),
        nn.ModuleList(nn.Linear(D, 1) for _ in range(N_TASKS)),
        "autocast" in kind,
    )
    (x, y), twin = batch(), copy.deepcopy(trunk)
    if kind == "reentrant checkpoint":
        x.requires_grad_()
    rows = one_by_one(twin, heads, x, y, cast)
    balancer = Balancer(MGDA(), level=level, trunk=mode).build(N_TASKS)
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16, enabled=cast):
        z = trunk(x)
        copies = balancer.copies(z)
        values = losses(heads, copies, y)
    if level == "parameters" and kind == "reentrant checkpoint":
        with pytest.raises(RuntimeError, match="use_reentrant=False"):
            balancer.backward(values)
        return
    report = balancer.backward(values)
    weights = report.weights
    trained = [p for p in trunk.parameters() if p.requires_grad]
    tolerance = 3e-2 if cast else 1e-4
    for parameter, row in zip(trained, rows, strict=True):
        wanted = torch.einsum("t,t...->...", weights, row)
        if parameter.grad is None:
            assert not wanted.any()
            continue
        size = row.abs().max().clamp(min=1e-6)
        assert ((parameter.grad - wanted).abs().max() / size).item() < tolerance
    if level == "parameters":
        flat = torch.cat([r.flatten(1) for r in rows], 1).double()
        exact = MGDA()(flat @ flat.mT, torch.ones(N_TASKS)).float()
        torch.testing.assert_close(weights, exact, rtol=0.0, atol=5e-2 if cast else 1e-3)
    assert all(p.grad is None for p in trunk.parameters() if not p.requires_grad)


def test_a_backward_within_autocast_loses_no_precision() -> None:
    found = []
    for within in (False, True):
        torch.manual_seed(0)
        trunk, heads = Trunk("layer norm"), nn.ModuleList(nn.Linear(D, 1) for _ in range(N_TASKS))
        x, y = batch()
        balancer = Balancer(UPGrad()).build(N_TASKS)
        values = losses(heads, balancer.copies(trunk(x)), y)
        with torch.autocast("cpu", torch.bfloat16, enabled=within):
            step = balancer.backward(values)
        assert step.gramian is not None
        found.append((step.gramian, step.weights, [p.grad for p in trunk.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=0.0, atol=0.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # torch.compile warns about itself
def test_a_compiled_trunk() -> None:
    torch.manual_seed(0)
    trunk, heads = Trunk("layer norm"), nn.ModuleList(nn.Linear(D, 1) for _ in range(N_TASKS))
    (x, y), found = batch(), []
    for used in (trunk, torch.compile(trunk)):
        trunk.zero_grad()
        balancer = Balancer(MGDA()).build(N_TASKS)
        copies = balancer.copies(used(x))
        balancer.backward(losses(heads, copies, y))
        found.append([p.grad.clone() for p in trunk.parameters() if p.grad is not None])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_gradient_accumulation_with_held_weights_equals_the_large_batch() -> None:
    torch.manual_seed(0)
    trunk, heads = Trunk("layer norm"), nn.ModuleList(nn.Linear(D, 1) for _ in range(N_TASKS))
    x, y = batch()
    found = []
    for parts in ([slice(0, B)], [slice(0, 4), slice(4, 8), slice(8, 12)]):
        trunk.zero_grad()
        balancer = Balancer(MGDA(), refresh=0).build(N_TASKS)
        z = trunk(x)
        balancer.measure(losses(heads, (z,) * N_TASKS, y), features=z)
        for part in parts:
            copies = balancer.copies(trunk(x[part]))
            balancer.backward([loss / len(parts) for loss in losses(heads, copies, y[part])])
        found.append([p.grad.clone() for p in trunk.parameters() if p.grad is not None])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


# --- methods on entries ----------------------------------------------------------------------


@pytest.mark.parametrize("level", ["representation", "parameters"])
@pytest.mark.parametrize("name", [n for n in CATALOGUE if issubclass(CATALOGUE.load(n), Directional)])
def test_element_wise_methods_run_at_both_levels(name: str, level: str) -> None:
    torch.manual_seed(0)
    trunk, heads = Trunk("layer norm"), nn.ModuleList(nn.Linear(D, 1) for _ in range(N_TASKS))
    x, y = batch()
    method = CATALOGUE.build(name)
    balancer = Balancer(method, level=level, clip=1.0).build(N_TASKS)
    report = balancer.backward(losses(heads, balancer.copies(trunk(x)), y))
    assert report.weights.isfinite().all()
    assert sum(float(p.grad.square().sum()) for p in trunk.parameters() if p.grad is not None) > 0


def test_graddrop_keeps_one_sign_and_the_mean_in_expectation() -> None:
    rows = torch.tensor([[2.0, -1.0, 3.0], [-1.0, -2.0, 1.0]])
    method, total, n = GradDrop().build(2, 1), torch.zeros(3), 400
    present = torch.ones(2, dtype=torch.bool)
    for _ in range(n):
        method.prepare(torch.ones(2), present)
        found = method.direction(rows, None, present, 0)
        assert found[0] in (torch.tensor(1.0), torch.tensor(-0.5))
        torch.testing.assert_close(found[1:], torch.tensor([-1.5, 2.0]))
        total += found / n
    # P = (1 + 1/3) / 2: the positive part with probability 2/3
    assert total[0].item() == pytest.approx(2 / 3 * 1.0 - 1 / 3 * 0.5, abs=0.12)


def test_trimmed_mean_drops_the_extremes() -> None:
    rows = torch.tensor([[1.0, 5.0], [2.0, -9.0], [30.0, 1.0], [torch.nan, torch.nan]])
    present = torch.tensor([True, True, True, False])
    found = TrimmedMean().direction(rows, None, present, 0)
    torch.testing.assert_close(found, torch.tensor([2.0, 1.0]))


# --- two ranks -------------------------------------------------------------------------------


def _rank(rank: int, folder: str, level: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(f"{folder}/store-{level}", 2)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2, store=store)
    torch.manual_seed(0)
    trunk, heads = Trunk("layer norm"), nn.ModuleList(nn.Linear(D, 1) for _ in range(N_TASKS))
    spread = nn.parallel.DistributedDataParallel(trunk)
    optimiser = torch.optim.SGD([*trunk.parameters(), *heads.parameters()], lr=0.05)
    balancer = Balancer(MGDA(), level=level, trunk="loop").build(N_TASKS)
    x, y = batch()
    mine = slice(0, 6) if rank == 0 else slice(6, 12)
    for step in range(3):
        optimiser.zero_grad()
        copies = balancer.copies(spread(x[mine]) if level == "representation" else trunk(x[mine]))
        present = torch.tensor([True, True, not (step == 1 and rank == 0)])
        report = balancer.backward(losses(heads, copies, y[mine]), present)
        for parameter in heads.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= 2
        optimiser.step()
    torch.save(
        {"trunk": trunk.state_dict(), "weights": report.weights, "gramian": report.gramian},
        f"{folder}/{level}-{rank}.pt",
    )
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("level", ["representation", "parameters"])
def test_two_data_parallel_ranks_stay_identical(level: str, tmp_path: Path) -> None:
    mp.spawn(_rank, (str(tmp_path), level), nprocs=2)  # type: ignore[no-untyped-call]
    first, second = (torch.load(tmp_path / f"{level}-{rank}.pt") for rank in (0, 1))
    torch.testing.assert_close(first["weights"], second["weights"])
    torch.testing.assert_close(first["gramian"], second["gramian"])
    for name, value in first["trunk"].items():
        torch.testing.assert_close(value, second["trunk"][name], msg=name)


def test_leaves_of_a_tied_weight_are_found_once() -> None:
    trunk = Trunk("tied")
    assert len(leaves([trunk(batch()[0])])) == 4
