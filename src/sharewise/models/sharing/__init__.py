"""Features -> features per task: every way to share a trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.models.sharing.base import Sharing

CATALOGUE: Catalogue[Sharing] = Catalogue(
    "sharing architecture",
    {
        "hard": "sharewise.models.sharing.hard:Hard",
    },
)
