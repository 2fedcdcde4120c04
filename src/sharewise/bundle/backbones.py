"""Networks of others that a bundle's inputs are read by: copied into it, and found there again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sharewise.tables.codec import Codec
from sharewise.tables.images.backbone import BackboneEncoder
from sharewise.tables.sentences.transformer import SentenceTransformerEncoder
from sharewise.tables.texts import locate
from sharewise.tables.texts.transformer import TransformerEncoder

BACKBONES = "backbones"

Reader = TransformerEncoder | SentenceTransformerEncoder | BackboneEncoder
"""Encoders of a codec that read by a network of others."""


def folder(digest: str) -> str:
    """Where a network lies, relative to the bundle: named by its content."""
    return f"{BACKBONES}/{digest[:16]}"


def copies(codec: Codec) -> dict[str, bytes]:
    """Files of every network that the codec's inputs are read by; safetensors, vocabularies and settings only."""
    made: dict[str, bytes] = {}
    for encoder in _readers(codec):
        for path in locate.files(Path(encoder.model)):
            made[f"{folder(encoder.digest)}/{path.name}"] = path.read_bytes()
    return made


def relocated(codec: Codec, root: Path) -> Codec:
    """The codec of the bundle at `root`, its networks those in the bundle."""
    inside = {e: replace(e, model=str(root / folder(e.digest))) for e in _readers(codec)}
    if not inside:
        return codec
    found = (inside.get(e, e) if isinstance(e, Reader) else e for e in codec.encoders)
    return replace(codec, encoders=tuple(found))


def at(architecture: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
    """A group's architecture, the networks in its encoder those in the bundle at `root`."""
    encoder = architecture["encoder"]
    if not any("digest" in part for part in encoder.get("parts", ())):
        return architecture
    parts = [{**p, "model": str(root / folder(p["digest"]))} if "digest" in p else p for p in encoder["parts"]]
    return {**architecture, "encoder": {**encoder, "parts": parts}}


def _readers(codec: Codec) -> list[Reader]:
    return [e for e in codec.encoders if isinstance(e, Reader)]
