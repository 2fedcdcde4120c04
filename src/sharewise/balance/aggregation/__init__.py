"""Aggregators: the tasks' gradients to one direction, from their Gramian or, for a few, their entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.balance.contracts import Aggregator, Directional

CATALOGUE: Catalogue[Aggregator | Directional] = Catalogue(
    "aggregator",
    {
        "mean": "sharewise.balance.aggregation.mean:Mean",
    },
)
