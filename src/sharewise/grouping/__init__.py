"""Which tasks to group: from measured gains of trained groups to plans that are worth training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.grouping.base import Affinity

CATALOGUE: Catalogue[Affinity] = Catalogue(
    "search method",
    {
        "surrogate": "sharewise.grouping.surrogate:Surrogate",
        "higher_order": "sharewise.grouping.higher_order:HigherOrder",
        "cosine": "sharewise.grouping.cosine:Cosine",
        "lookahead": "sharewise.grouping.lookahead:Lookahead",
    },
)
