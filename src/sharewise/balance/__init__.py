"""Balance tasks in any training loop: losses to an objective, gradients to a direction, rows to batches.

Stands alone: it needs torch, numpy and nothing else of Sharewise's rooms. Reading a family's catalogue (for a
study file or `--help`) does not import torch; the classes are imported when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharewise.balance.contracts import (
        Aggregator,
        Claim,
        Directional,
        Needs,
        Scaling,
        TaskFacts,
        Weighting,
    )
    from sharewise.balance.engine.balancer import Balancer
    from sharewise.balance.engine.step import Step

_PUBLIC = {
    "Aggregator": "contracts",
    "Balancer": "engine.balancer",
    "Claim": "contracts",
    "Directional": "contracts",
    "Needs": "contracts",
    "Scaling": "contracts",
    "Step": "engine.step",
    "TaskFacts": "contracts",
    "Weighting": "contracts",
}

__all__ = [
    "Aggregator",
    "Balancer",
    "Claim",
    "Directional",
    "Needs",
    "Scaling",
    "Step",
    "TaskFacts",
    "Weighting",
]


def __getattr__(name: str) -> Any:
    """Import a public class when it is asked for, so that catalogues are read without torch."""
    if name in _PUBLIC:
        import importlib

        return getattr(importlib.import_module(f"sharewise.balance.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'sharewise.balance' has no attribute '{name}'")
