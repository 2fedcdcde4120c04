"""The catalogue of models of another kind than the study's own nets.

A new one is a file with a final `Alternative` and a line here; the study file, the work list, the report and the bundle
know it by its name. Importing this loads none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue

if TYPE_CHECKING:
    from sharewise.models.alternative import Alternative

CATALOGUE: Catalogue[Alternative] = Catalogue(
    "alternative",
    {
        "lightgbm": "sharewise.models.boosted:Boosted",
        "linear": "sharewise.models.linear:Linear",
        "tagger": "sharewise.models.tagger:Tagger",
        "pooled": "sharewise.models.grouped:Pooled",
        "chain": "sharewise.models.chain:Chain",
    },
)

DEFAULT = tuple(name for name in CATALOGUE if name != "chain")
"""What a study trains beside its own nets where it names none; those made for no task train none. A chain costs six
models a task and seldom helps a task's own score, so that it is asked for."""
