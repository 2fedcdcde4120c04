"""Ways to read a sentence of tokens: from scratch by its own words, or by a transformer that others trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue
from sharewise.plan import Choice

if TYPE_CHECKING:
    from sharewise.tables.sentences.base import SentenceReading

CATALOGUE: Catalogue[SentenceReading] = Catalogue(
    "token encoder",
    {
        "words": "sharewise.tables.sentences.native:Words",
        "embedded": "sharewise.tables.texts.transformer:Embedded",
        "transformer": "sharewise.tables.texts.transformer:Transformer",
    },
)


def default() -> Choice:
    """Words, affixes and shapes, trained from scratch: it needs no download and stacks."""
    return Choice("words")
