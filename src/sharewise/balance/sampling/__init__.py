"""Samplers: which tasks' rows fill a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.balance.sampling.base import Sampler

CATALOGUE: Catalogue[Sampler] = Catalogue(
    "sampler",
    {
        "annealed": "sharewise.balance.sampling.annealed:Annealed",
        "balanced": "sharewise.balance.sampling.balanced:Balanced",
        "class_balanced": "sharewise.balance.sampling.class_balanced:ClassBalanced",
        "curriculum": "sharewise.balance.sampling.curriculum:Curriculum",
        "oversample": "sharewise.balance.sampling.oversample:Oversample",
        "proportional": "sharewise.balance.sampling.proportional:Proportional",
        "square_root": "sharewise.balance.sampling.square_root:SquareRoot",
        "temperature": "sharewise.balance.sampling.temperature:Temperature",
        "unimax": "sharewise.balance.sampling.unimax:UniMax",
    },
)
