"""Inputs -> features: one encoder per kind of input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.models.encoders.base import Encoder

CATALOGUE: Catalogue[Encoder] = Catalogue(
    "encoder",
    {
        "picture": "sharewise.models.encoders.picture:Picture",
        "tabular": "sharewise.models.encoders.tabular:Tabular",
        "tokens": "sharewise.models.encoders.tokens:Tokens",
    },
)
