"""CPU milliseconds of one cold call of every Gramian aggregator: python benchmarks/solvers.py.

Two Gramians: "agree" has mostly positive cosines, as networks do; "conflict" has mixed signs and norms over
two decades. The best of several calls, in CPU time of this thread, so that other load counts little.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from torch import Tensor

from sharewise.balance.aggregation import CATALOGUE
from sharewise.balance.contracts import Aggregator

SIZES = (2, 8, 40)


def gramian(kind: str, n_tasks: int, seed: int) -> Tensor:
    """Gramian of random rows: mostly agreeing, or conflicting with norms over two decades."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n_tasks, 400, generator=generator, dtype=torch.float64)
    if kind == "agree":
        rows = rows + 0.5 * torch.randn(400, generator=generator, dtype=torch.float64)
    else:
        rows = rows - 0.5 * rows.mean(0)
        rows = rows * torch.logspace(-1, 1, n_tasks, dtype=torch.float64)[:, None]
    return rows @ rows.mT


def milliseconds(name: str, kind: str, n_tasks: int, n_members: int, calls: int) -> float:
    """Best CPU time of one call."""
    params: dict[str, Any] = {"task": 0} if name == "primary" else {}
    method = CATALOGUE.build(name, **params)
    assert isinstance(method, Aggregator)
    seeds: int | list[int] = 0 if n_members == 1 else list(range(n_members))
    method.build(n_tasks, seeds)
    matrices = [gramian(kind, n_tasks, s) for s in range(n_members)]
    matrix = matrices[0] if n_members == 1 else torch.stack(matrices)
    losses = torch.ones(matrix.shape[:-1], dtype=torch.float64)
    method(matrix, losses)
    best = float("inf")
    for _ in range(calls):
        begun = time.thread_time()
        method(matrix, losses)
        best = min(best, time.thread_time() - begun)
    return 1e3 * best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, nargs="*", default=[1, 32])
    parser.add_argument("--calls", type=int, default=15)
    parser.add_argument("--only", nargs="*", default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cells = [(kind, members, size) for kind in ("agree", "conflict") for members in options.members for size in SIZES]
    print("method".ljust(14) + "".join(f"{k[:5]} M{m} K{s}".rjust(15) for k, m, s in cells))
    for name in options.only or sorted(CATALOGUE):
        if not issubclass(CATALOGUE.load(name), Aggregator):
            continue
        found = [milliseconds(name, kind, size, members, options.calls) for kind, members, size in cells]
        print(name.ljust(14) + "".join(f"{ms:15.2f}" for ms in found), flush=True)


if __name__ == "__main__":
    main()
