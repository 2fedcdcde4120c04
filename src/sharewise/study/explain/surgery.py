"""Intervention: gradient surgery, last."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.causes import Hypothesis, Remedy
from sharewise.study.explain.base import Case, Change, Intervention, variant

METHODS = ("pcgrad", "imtl_g")


class Surgery(Intervention):
    """Conflicting gradients projected (PCGrad), then equal projections (IMTL-G).

    Last, and only where nothing else explains the harm: random weights match such methods where sharing is healthy
    (Lin et al. 2021; Kurin et al. 2022). No signal: measured conflict rates are the same in healthy and broken runs.
    """

    name = "surgery"
    cause = "conflicting gradients: a way to combine them, and nothing else, removes the harm"

    def changes(self, case: Case) -> Sequence[Change]:
        """The methods that the study does not use already."""
        now = case.shared_variant.balance.get("aggregator")
        in_use = now.get("name") if isinstance(now, dict) else None
        return [
            Change(
                name,
                f"gradients combined by {name}",
                variant(case.shared_variant, balance={"aggregator": {"name": name, "params": {}}}),
                Remedy(f"combine the gradients by {name}", balance={"aggregator": {"name": name, "params": {}}}),
            )
            for name in METHODS
            if name != in_use
        ]

    def suspicion(self, case: Case) -> Hypothesis | None:
        """None, see the class."""
        return None
