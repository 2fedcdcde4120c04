"""The artifact on disk: what was trained, who answers each task now, and what it takes to answer."""

from sharewise.bundle.artifact import Artifact
from sharewise.bundle.card import model_card
from sharewise.bundle.load import Bundle
from sharewise.bundle.reference import drift_reference
from sharewise.bundle.routes import Address, Reroute, Retired, Routes
from sharewise.bundle.save import append_route, save

__all__ = [
    "Address",
    "Artifact",
    "Bundle",
    "Reroute",
    "Retired",
    "Routes",
    "append_route",
    "drift_reference",
    "model_card",
    "save",
]
