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
        "mixed": "sharewise.models.encoders.mixed:Mixed",
        "vectors": "sharewise.models.encoders.vectors:Vectors",
        "ids": "sharewise.models.encoders.ids:Ids",
        "token_vectors": "sharewise.models.encoders.token_vectors:TokenVectors",
        "token_transformer": "sharewise.models.encoders.token_transformer:TokenTransformer",
        "vision": "sharewise.models.encoders.vision:Vision",
        "transformer": "sharewise.models.encoders.transformer:Transformer",
    },
)
