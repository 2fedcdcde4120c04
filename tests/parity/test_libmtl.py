"""Aggregators against LibMTL, method by method, where SHAREWISE_LIBMTL names a checkout of it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sharewise.balance.aggregation import CATALOGUE
from sharewise.balance.contracts import Aggregator

CHECKOUT = os.environ.get("SHAREWISE_LIBMTL", "")
pytestmark = [
    pytest.mark.skipif(not CHECKOUT, reason="SHAREWISE_LIBMTL names no checkout: parity with LibMTL not checked"),
    pytest.mark.filterwarnings("ignore"),  # the peer's own: SciPy's, and cvxpy's of a problem that is not DPP
]


def jacobian(n_tasks: int, seed: int, decades: float, shared: float) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n_tasks, 2 * n_tasks + 3, generator=generator)
    return (rows + shared * rows[0]) * torch.logspace(-decades, decades, n_tasks)[:, None]


def libmtl() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "libmtl.py"
    spec = importlib.util.spec_from_file_location("libmtl_bench", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def theirs(name: str, rows: Tensor, params: dict[str, Any]) -> Tensor:
    """What LibMTL leaves in `.grad` of a parameter whose task gradients are `rows`."""
    peer = libmtl()
    peer.PARAMS[name] = {**peer.PARAMS[name], **params}
    parameter = nn.Parameter(torch.zeros(rows.shape[1]))
    try:
        method = peer.weighting(CHECKOUT, name, rows.shape[0], [parameter])
    except ImportError as missing:
        pytest.skip(f"'{missing.name}' is not installed: LibMTL's {name} not checked")
    method.move([row @ parameter + 1.0 for row in rows])
    assert parameter.grad is not None
    return parameter.grad.double()


def ours(name: str, rows: Tensor, **params: Any) -> Tensor:
    method = CATALOGUE.build(name, **params)
    assert isinstance(method, Aggregator)
    exact = rows.double()
    return method.build(rows.shape[0])(exact @ exact.mT, torch.ones(rows.shape[0])) @ exact  # type: ignore[no-any-return]


SAME = [
    # theirs, parameters, ours, parameters, sizes, theirs / ours as a function of T, relative tolerance
    ("EW", {}, "sum", {}, (2, 6), lambda n: 1.0, 1e-5),
    ("PCGrad", {}, "pcgrad", {}, (2,), lambda n: n, 1e-5),
    ("GradVac", {}, "gradvac", {}, (2,), lambda n: n, 1e-4),
    ("IMTL", {}, "imtl_g", {}, (2, 3), lambda n: 1.0, 1e-3),
    ("FairGrad", {}, "fairgrad", {"alpha": 2.0}, (2, 3, 6), lambda n: 1.0, 2e-3),
    ("CAGrad", {}, "cagrad", {"c": 0.4}, (2, 3, 6), lambda n: 1.0, 1e-2),
    # it adds 1e-4 to the normalised diagonal unless told otherwise
    ("UPGrad", {"UPGrad_norm_eps": 1e-9, "UPGrad_reg_eps": 1e-7}, "upgrad", {}, (2, 3, 6), lambda n: 1.0, 1e-3),
    ("Nash_MTL", {"optim_niter": 100, "max_norm": 0.0}, "nash", {"max_norm": None}, (2, 3), None, 1e-2),
]


@pytest.mark.parametrize("shared", [0.0, 1.0, -0.4])
@pytest.mark.parametrize("case", SAME, ids=lambda case: case[0])
def test_same_direction(case: tuple[Any, ...], shared: float) -> None:
    name, params, mine, my_params, sizes, ratio, tolerance = case
    for n_tasks in sizes:
        rows = jacobian(n_tasks, 4 + n_tasks, 0.2 if name != "Nash_MTL" else 0.0, shared)
        expected, found = theirs(name, rows, params), ours(mine, rows, **my_params)
        if ratio is None:  # it divides by the norm of the Gramian before it solves
            expected, found = expected / expected.norm(), found / found.norm()
        else:
            found = found * ratio(n_tasks)
        if name == "IMTL" and (rows.double() @ expected < 0).all():
            expected = -expected  # theirs ascends every task where the weights sum to less than zero
        assert ((found - expected).norm() / expected.norm()).item() <= tolerance, (n_tasks, shared)


@pytest.mark.parametrize("n_tasks", [2, 8, 40])
def test_mgda_is_never_longer_than_theirs(n_tasks: int) -> None:
    rows = jacobian(n_tasks, 0, 1.0, -0.3)
    assert ours("mgda", rows).norm() <= theirs("MGDA", rows, {}).norm() * (1 + 1e-6)
