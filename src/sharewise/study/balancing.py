"""A study file's `balance:` section as a balancer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sharewise.balance import aggregation, scaling, weighting
from sharewise.balance.contracts import Aggregator, Directional, Weighting
from sharewise.balance.engine.balancer import Balancer

ENGINE = ("refresh", "heads", "freeze_after")
"""Keys that belong to the engine and go with any method."""


def balancer(said: Mapping[str, Any]) -> Balancer:
    """A balancer from plain data, `{"scaling": {"name", "params"}, "weighting": ..., "aggregator": ...}`.

    Losses reach it in comparable units already: each is divided by its task's loss under the best constant answer.
    Nothing said means equal weights.
    """
    engine = {key: said[key] for key in ENGINE if said.get(key) is not None}
    made_scaling = None
    if said.get("scaling"):
        made_scaling = scaling.CATALOGUE.build(said["scaling"]["name"], **said["scaling"]["params"])
    if said.get("aggregator"):
        family, chosen = aggregation.CATALOGUE, said["aggregator"]
        method: Weighting | Aggregator | Directional = family.build(chosen["name"], **chosen["params"])
    else:
        chosen = said.get("weighting") or {"name": "equal", "params": {}}
        method = weighting.CATALOGUE.build(chosen["name"], **chosen["params"])
    return Balancer(method, scaling=made_scaling, **engine)
