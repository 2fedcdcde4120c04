"""Loss scalings: put losses on one scale before any weighting or aggregator sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.balance.contracts import Scaling

CATALOGUE: Catalogue[Scaling] = Catalogue(
    "loss scaling",
    {
        "initial": "sharewise.balance.scaling.initial:Initial",
        "log": "sharewise.balance.scaling.log:Log",
        "log_classes": "sharewise.balance.scaling.log_classes:LogClasses",
        "running_mean": "sharewise.balance.scaling.running_mean:RunningMean",
        "variance": "sharewise.balance.scaling.variance:Variance",
    },
)
