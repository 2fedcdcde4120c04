"""Weightings: losses to one objective, one backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.balance.contracts import Weighting

CATALOGUE: Catalogue[Weighting] = Catalogue(
    "weighting",
    {
        "annealing": "sharewise.balance.weighting.annealing:Annealing",
        "convergence": "sharewise.balance.weighting.convergence:Convergence",
        "dwa": "sharewise.balance.weighting.dwa:DWA",
        "equal": "sharewise.balance.weighting.equal:Equal",
        "famo": "sharewise.balance.weighting.famo:FAMO",
        "geometric": "sharewise.balance.weighting.geometric:Geometric",
        "imtl_l": "sharewise.balance.weighting.imtl_l:IMTLL",
        "inverse_volume": "sharewise.balance.weighting.inverse_volume:InverseVolume",
        "log": "sharewise.balance.weighting.log:LogLoss",
        "prioritise": "sharewise.balance.weighting.prioritise:Prioritise",
        "random": "sharewise.balance.weighting.random:Random",
        "static": "sharewise.balance.weighting.static:Static",
        "tchebycheff": "sharewise.balance.weighting.tchebycheff:Tchebycheff",
        "uncertainty": "sharewise.balance.weighting.uncertainty:Uncertainty",
        "uncertainty_positive": "sharewise.balance.weighting.uncertainty_positive:UncertaintyPositive",
        "uncertainty_softmax": "sharewise.balance.weighting.uncertainty_softmax:UncertaintySoftmax",
    },
)
