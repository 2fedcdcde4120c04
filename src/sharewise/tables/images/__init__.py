"""Ways to read a picture: a small network trained from scratch, or a vision backbone that others trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue
from sharewise.plan import Choice

if TYPE_CHECKING:
    from sharewise.tables.images.base import Reading

CATALOGUE: Catalogue[Reading] = Catalogue(
    "image encoder",
    {
        "picture": "sharewise.tables.images.native:Native",
        "backbone": "sharewise.tables.images.backbone:Backbone",
    },
)


def default() -> Choice:
    """The small network, which needs no download."""
    return Choice("picture")
