"""Samplers: which tasks' rows fill a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.balance.sampling.base import Sampler

CATALOGUE: Catalogue[Sampler] = Catalogue(
    "sampler",
    {
        "proportional": "sharewise.balance.sampling.proportional:Proportional",
    },
)
