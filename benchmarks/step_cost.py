"""Cost of a whole training step relative to the plain weighted sum, interleaved in one process.

    python benchmarks/step_cost.py --workloads mlp --tasks 2 8 40 [--methods nash] [--levels parameters]

Workloads: an MLP 256-512-512-256 at batch 256, a small CNN at batch 64, a Transformer encoder of 4 layers
of width 128 on 64 tokens at batch 32; one linear head of ten classes per task, losses over a decade, Adam.
Prints for every cell the median over rounds of CPU time over that of the plain step in the same round, and
on request the peak of tensor memory. The usual loop, and TorchJD where it is installed, with --peers; LibMTL
with --libmtl PATH (`libmtl.py`), METHOD@rep being its mode at the representation.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sharewise.balance import Balancer
from sharewise.balance.aggregation import CATALOGUE


class Mlp(nn.Sequential):
    """256-512-512-256, 526 thousand shared parameters."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU())


class Cnn(nn.Sequential):
    """3-32-64-128 on 32 x 32 images, 93 thousand shared parameters."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for a, b in ((3, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Encoder(nn.Module):
    """Four pre-norm Transformer layers of width 128, mean over 64 tokens, 793 thousand shared parameters."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean(1)  # type: ignore[no-any-return]


WORKLOADS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "mlp": (Mlp, (256, 256), 256),
    "cnn": (Cnn, (64, 3, 32, 32), 128),
    "transformer": (Encoder, (32, 64, 128), 128),
}


@dataclass
class Setting:
    """One model with its data and optimiser."""

    trunk: nn.Module
    heads: nn.ModuleList
    x: Tensor
    y: Tensor
    scales: list[float]
    optimiser: torch.optim.Optimizer

    def losses(self, copies: list[Tensor] | tuple[Tensor, ...]) -> list[Tensor]:
        """One scaled cross-entropy per task."""
        zipped = zip(self.heads, copies, self.y, self.scales, strict=True)
        return [s * nn.functional.cross_entropy(head(z), y) for head, z, y, s in zipped]


def setting(workload: str, n_tasks: int) -> Setting:
    """A fresh model of the workload; the same for every method."""
    torch.manual_seed(0)
    make, shape, width = WORKLOADS[workload]
    trunk, heads = make(), nn.ModuleList(nn.Linear(width, 10) for _ in range(n_tasks))
    x = torch.randn(shape)
    y = torch.randint(0, 10, (n_tasks, shape[0]))
    scales = [10 ** (-0.5 + t / max(n_tasks - 1, 1)) for t in range(n_tasks)]
    optimiser = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], lr=1e-4)
    return Setting(trunk, heads, x, y, scales, optimiser)


def plain(n_tasks: int, workload: str) -> Callable[[], None]:
    """The plain sum: what everything is measured against."""
    s = setting(workload, n_tasks)

    def step() -> None:
        s.optimiser.zero_grad()
        z = s.trunk(s.x)
        torch.stack(s.losses([z] * n_tasks)).sum().backward()  # type: ignore[no-untyped-call]
        s.optimiser.step()

    return step


def ours(n_tasks: int, workload: str, method: str, level: str, refresh: int, trunk: str) -> Callable[[], None]:
    """A balanced step."""
    s = setting(workload, n_tasks)
    balancer = Balancer(CATALOGUE.build(method), level=level, refresh=refresh, trunk=trunk).build(n_tasks)
    shared = list(s.trunk.parameters())

    def step() -> None:
        s.optimiser.zero_grad()
        copies = balancer.copies(s.trunk(s.x))
        balancer.backward(s.losses(copies), shared=shared)
        s.optimiser.step()

    return step


def floor(n_tasks: int, workload: str) -> Callable[[], None]:
    """What a step at the representation needs without any method: heads apart, Gramian, one trunk backward."""
    s = setting(workload, n_tasks)
    row = torch.full((1, n_tasks), 1.0 / n_tasks)

    def step() -> None:
        s.optimiser.zero_grad()
        z = s.trunk(s.x)
        leaf = z.detach().unsqueeze(0).expand(n_tasks, *z.shape).requires_grad_()
        torch.autograd.backward(s.losses(leaf.unbind(0)))
        assert leaf.grad is not None
        rows = leaf.grad.flatten(1)
        rows @ rows.mT
        z.backward((row @ rows).view_as(z))  # type: ignore[no-untyped-call]
        s.optimiser.step()

    return step


def naive(n_tasks: int, workload: str) -> Callable[[], None]:
    """One whole backward per task, rows concatenated, the mean applied: the loop a user writes."""
    s = setting(workload, n_tasks)
    shared = list(s.trunk.parameters())

    def step() -> None:
        s.optimiser.zero_grad()
        z = s.trunk(s.x)
        rows = []
        for loss in s.losses([z] * n_tasks):
            loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
            rows.append(torch.cat([p.grad.flatten() for p in shared if p.grad is not None]))
            for p in shared:
                p.grad = None
        direction = torch.stack(rows).mean(0)
        for p, part in zip(shared, direction.split([p.numel() for p in shared]), strict=True):
            p.grad = part.view_as(p)
        s.optimiser.step()

    return step


def torchjd(n_tasks: int, workload: str, aggregator: str, chunk: int | None) -> Callable[[], None]:
    """TorchJD's `mtl_backward`."""
    import torchjd.aggregation
    from torchjd.autojac import jac_to_grad, mtl_backward

    s = setting(workload, n_tasks)
    made = {"c": 0.4} if aggregator == "CAGrad" else {}
    method = torchjd.aggregation.__dict__[aggregator](**made)
    shared = list(s.trunk.parameters())

    def step() -> None:
        s.optimiser.zero_grad()
        z = s.trunk(s.x)
        mtl_backward(s.losses([z] * n_tasks), features=z, parallel_chunk_size=chunk)
        jac_to_grad(shared, method)
        s.optimiser.step()

    return step


def libmtl(n_tasks: int, workload: str, path: str, name: str, rep_grad: bool) -> Callable[[], None]:
    """A weighting of LibMTL; with `rep_grad` at the representation, where the library allows it."""
    from libmtl import weighting

    s = setting(workload, n_tasks)
    method = weighting(path, name, n_tasks, list(s.trunk.parameters()), rep_grad)

    def step() -> None:
        s.optimiser.zero_grad()
        z = s.trunk(s.x)
        copies = [z] * n_tasks
        if rep_grad:
            copies = [z.detach().clone().requires_grad_() for _ in range(n_tasks)]
            method.rep, method.rep_tasks = z, dict(zip(method.task_name, copies, strict=True))
        method.move(s.losses(copies))
        s.optimiser.step()

    return step


class Peak(TorchDispatchMode):
    """Greatest number of bytes that live tensor storages held since the start."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        found = func(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, tuple | list) else (found,):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return found

    def _note(self, storage: torch.UntypedStorage) -> None:
        import weakref

        key = storage._cdata
        if key in self.sizes:
            return
        self.sizes[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key)

    def _gone(self, key: int) -> None:
        self.now -= self.sizes.pop(key, 0)


def peak_megabytes(step: Callable[[], None]) -> float:
    """Peak of what a step allocates and holds (an upper estimate: storages are counted when first seen)."""
    gc.collect()
    with Peak() as watch:
        step()
    return watch.peak / 2**20


def rows(workload: str, n_tasks: int, options: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """Name to step of everything in one cell."""
    found = {"plain sum": plain(n_tasks, workload)}
    if "representation" in options.levels:
        found["floor at the representation"] = floor(n_tasks, workload)
    for method in options.methods:
        for level in options.levels:
            found[f"ours {level}: {method}"] = ours(n_tasks, workload, method, level, 1, options.trunk)
        if options.refresh:
            name = f"ours parameters every {options.refresh}: {method}"
            found[name] = ours(n_tasks, workload, method, "parameters", options.refresh, options.trunk)
    if options.peers:
        found["naive loop: mean"] = naive(n_tasks, workload)
        if importlib.util.find_spec("torchjd") is not None:
            for peer in options.torchjd:
                found[f"torchjd vmap: {peer}"] = torchjd(n_tasks, workload, peer, None)
                found[f"torchjd loop: {peer}"] = torchjd(n_tasks, workload, peer, 1)
    for peer in options.libmtl_methods if options.libmtl else ():
        name, _, at = peer.partition("@")
        found[f"libmtl: {peer}"] = libmtl(n_tasks, workload, options.libmtl, name, at == "rep")
    return found


def measure(steps: dict[str, Callable[[], None]], rounds: int, inner: int) -> dict[str, float]:
    """Median over rounds of CPU time over that of the plain sum in the same round."""
    for step in steps.values():
        for _ in range(2):
            step()
    ratios: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        spent = {}
        for name, step in steps.items():
            n = inner if "every" in name else 1
            begun = time.process_time()
            for _ in range(n):
                step()
            spent[name] = (time.process_time() - begun) / n
        for name in steps:
            ratios[name].append(spent[name] / spent["plain sum"])
    return {name: statistics.median(found) for name, found in ratios.items()}


def main() -> None:
    """Print one table per workload and number of tasks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="*", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--tasks", type=int, nargs="*", default=[2, 8, 40])
    parser.add_argument("--methods", nargs="*", default=["nash", "upgrad", "cagrad", "mgda", "pcgrad"])
    parser.add_argument("--levels", nargs="*", default=["representation"])
    parser.add_argument("--refresh", type=int, default=0, help="also exact gradients every n-th step")
    parser.add_argument("--trunk", default="auto")
    parser.add_argument("--peers", action="store_true", help="also the naive loop and TorchJD")
    parser.add_argument("--torchjd", nargs="*", default=["UPGrad"])
    parser.add_argument("--libmtl", default="", metavar="PATH", help="also methods of a LibMTL checkout")
    parser.add_argument("--libmtl-methods", nargs="*", default=["UPGrad", "CAGrad", "MGDA", "PCGrad", "MGDA@rep"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for workload in options.workloads:
        for n_tasks in options.tasks:
            steps = rows(workload, n_tasks, options)
            found = measure(steps, options.rounds, inner=max(options.refresh, 1))
            print(f"{workload}, {n_tasks} tasks")
            for name, ratio in found.items():
                peak = f"{peak_megabytes(steps[name]):9.0f} MB" if options.memory else ""
                print(f"  {name.ljust(44)}{ratio:7.2f}{peak}", flush=True)


if __name__ == "__main__":
    main()
