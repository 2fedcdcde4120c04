"""Why a task got worse: interventions that each remove one possible cause, and the inquiry that tries them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.study.explain.base import Intervention

CATALOGUE: Catalogue[Intervention] = Catalogue(
    "intervention",
    {
        "checkpoint": "sharewise.study.explain.checkpoint:Checkpoint",
        "scale": "sharewise.study.explain.scale:Scale",
        "exposure": "sharewise.study.explain.exposure:Exposure",
        "capacity": "sharewise.study.explain.capacity:Capacity",
        "depth": "sharewise.study.explain.depth:Depth",
        "partner": "sharewise.study.explain.partner:Partner",
        "partner data": "sharewise.study.explain.partner_data:PartnerData",
        "surgery": "sharewise.study.explain.surgery:Surgery",
    },
)
"""In the standing order of trials: the cheapest and likeliest first, gradient surgery last."""
