"""LibMTL's weightings without its trainer, as a training loop of one's own would use them; for `step_cost.py`.

`PATH` is a checkout of github.com/median-research-group/LibMTL (read at 4336804). Importing the package itself
needs torch_geometric and cvxpy; here only the files of the weightings asked for are imported.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

PARAMS: dict[str, dict[str, Any]] = {
    "EW": {},
    "PCGrad": {},
    "GradVac": {"GradVac_beta": 0.5, "GradVac_group_type": 0},
    "CAGrad": {"calpha": 0.4, "rescale": 0},
    "MGDA": {"mgda_gn": "none"},
    "IMTL": {},
    "FairGrad": {"FairGrad_alpha": 2.0},
    "UPGrad": {"UPGrad_norm_eps": 1e-4, "UPGrad_reg_eps": 1e-4},
    "Nash_MTL": {"update_weights_every": 1, "optim_niter": 20, "max_norm": 1.0},
}
"""Parameters by weighting: the library's defaults, but `rescale` 0 and calpha 0.4 to compare like with like."""

STACKED = ("IMTL", "FairGrad", "Nash_MTL", "EW")
"""Weightings that do arithmetic on all losses at once."""


def load(path: str, name: str) -> Any:
    """The class of a weighting; raises ImportError where what it imports is missing."""
    root = Path(path) / "LibMTL"
    for package, folder in (("LibMTL", root), ("LibMTL.weighting", root / "weighting")):
        if package not in sys.modules:
            stub = ModuleType(package)
            stub.__path__ = [str(folder)]
            sys.modules[package] = stub
    return getattr(importlib.import_module(f"LibMTL.weighting.{name}"), name)


def weighting(path: str, name: str, n_tasks: int, shared: Sequence[nn.Parameter], rep_grad: bool = False) -> Any:
    """An object whose `move(losses)` fills `.grad` of `shared` and of the heads, as LibMTL's trainer has it."""
    base = load(path, name)

    class Method(base):  # type: ignore[misc]
        def get_share_params(self) -> Sequence[nn.Parameter]:
            return shared

        def zero_grad_share_params(self) -> None:
            for parameter in shared:  # zeros, as its trainer leaves: it writes only where a gradient is
                if parameter.grad is not None:
                    parameter.grad.zero_()

        def move(self, losses: Sequence[Tensor]) -> Any:
            given = torch.stack(list(losses)) if name in STACKED else list(losses)
            return self.backward(given, **PARAMS[name])

    made = Method()
    made.task_num, made.device, made.rep_grad = n_tasks, torch.device("cpu"), rep_grad
    made.task_name = [str(t) for t in range(n_tasks)]
    made.init_param()
    return made
