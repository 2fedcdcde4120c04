"""Weightings: losses to one objective, one backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.balance.contracts import Weighting

CATALOGUE: Catalogue[Weighting] = Catalogue(
    "weighting",
    {
        "equal": "sharewise.balance.weighting.equal:Equal",
        "static": "sharewise.balance.weighting.static:Static",
    },
)
