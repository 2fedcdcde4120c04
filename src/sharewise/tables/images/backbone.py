"""Pictures through a vision backbone that others trained, frozen: its features are computed once a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from sharewise.tables import pictures
from sharewise.tables.blocks import Array, BlockEncoder, Shape
from sharewise.tables.encoders import Rows
from sharewise.tables.images.base import Reading
from sharewise.tables.schema import InputKind
from sharewise.tables.texts import locate


@dataclass(frozen=True)
class Backbone(Reading):
    """A vision model of the Hugging Face library: a folder, or a name on the hub; its weights stay as they are.

    `side` of the pixels that it is given (0: its own), `shape` (height, width, channels) of raw pixel arrays that are
    not square; `unreadable` pictures stop the study (refuse) or count as missing (skip).
    """

    model: str
    side: int = 0
    shape: Sequence[int] = ()
    unreadable: Literal["refuse", "skip"] = "refuse"

    def fit(self, name: str, column: pa.ChunkedArray, rows: Rows, folder: Path) -> BackboneEncoder:
        pictures.check_unreadable(self.unreadable, name)
        found = locate.vision(self.model)
        raw = () if pictures.is_encoded(column.type) else pictures.raw_shape(column, name, self.shape).sizes
        said = (str(found.folder), found.digest, found.width, self.side or found.side)
        return BackboneEncoder(name, (name,), *said, self.unreadable == "skip", raw)


@dataclass(frozen=True)
class BackboneEncoder(BlockEncoder):
    """Features (N, width) float16 of a frozen vision backbone, nan where a picture could not be read."""

    kind = InputKind.IMAGE
    deferred = True

    model: str
    digest: str
    size: int
    side: int
    skip: bool
    shape_of_arrays: tuple[int, ...]

    @property
    def shape(self) -> Shape:
        return Shape("float16", (self.size,))

    def located(self, columns: Sequence[pa.ChunkedArray], folder: Path) -> list[pa.ChunkedArray]:
        return [pictures.located(column, folder) for column in columns]

    def found(self, block: Array) -> Array:
        """Rows whose picture could be read."""
        made: Array = ~np.isnan(block[:, 0])
        return made

    def part(self, sample: Array) -> dict[str, Any]:
        square = float(np.mean(sample.astype(np.float32) ** 2)) if sample.size else 0.0
        scale = 1.0 / square**0.5 if square > 0 else 1.0
        return {"name": "vectors", "block": self.own_block, "n_in": self.size, "scale": scale}
