"""A study file's `balance:` section as a balancer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sharewise.balance import aggregation, scaling, weighting
from sharewise.balance.engine.balancer import Balancer


def balancer(said: Mapping[str, Any]) -> Balancer:
    """A balancer from plain data, `{"scaling": {"name", "params"}, "weighting": ..., "aggregator": ...}`.

    Losses reach it in comparable units already: each is divided by its task's loss under the best constant answer.
    Nothing said means equal weights.
    """
    made_scaling = None
    if said.get("scaling"):
        made_scaling = scaling.CATALOGUE.build(said["scaling"]["name"], **said["scaling"]["params"])
    if said.get("aggregator"):
        chosen = said["aggregator"]
        return Balancer(aggregation.CATALOGUE.build(chosen["name"], **chosen["params"]), scaling=made_scaling)
    chosen = said.get("weighting") or {"name": "equal", "params": {}}
    return Balancer(weighting.CATALOGUE.build(chosen["name"], **chosen["params"]), scaling=made_scaling)
