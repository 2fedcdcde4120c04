"""Every way to read an input whose kind leaves a choice."""

from __future__ import annotations

from typing import Any

from sharewise.catalogue import Catalogue
from sharewise.tables import images, sentences, texts
from sharewise.tables.schema import InputKind

OF_KIND: dict[InputKind, Catalogue[Any]] = {
    InputKind.TEXT: texts.CATALOGUE,
    InputKind.IMAGE: images.CATALOGUE,
    InputKind.TOKENS: sentences.CATALOGUE,
}

CATALOGUE: Catalogue[Any] = Catalogue("encoder", {n: c[n] for c in OF_KIND.values() for n in c})


def misplaced(name: str, kind: InputKind, *, several: bool = False) -> str | None:
    """Why a way to read, one of `several`, does not fit an input's kind, as a clause; None where it does."""
    if kind not in OF_KIND:
        return f"inputs of kind {kind.value} leave no choice"
    if name in CATALOGUE and name not in OF_KIND[kind]:
        return f"'{name}' does not read inputs of kind {kind.value}"
    if several and kind is not InputKind.TEXT:
        return f"an input of kind {kind.value} is read by one encoder, and several are named"
    return None
