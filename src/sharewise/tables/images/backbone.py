"""Pictures through a vision backbone that others trained: frozen, its features computed once, or trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from sharewise.errors import DataError, Problem
from sharewise.tables import pictures
from sharewise.tables.blocks import Array, BlockEncoder, Shape, to_unit_size
from sharewise.tables.encoders import Rows
from sharewise.tables.images.base import Reading
from sharewise.tables.schema import InputKind
from sharewise.tables.texts import locate
from sharewise.tables.texts.base import FROZEN, check_train


@dataclass(frozen=True)
class Backbone(Reading):
    """A vision model of the Hugging Face library: a folder, or a name on the hub.

    `side` of the pixels that it is given (0: its own), `shape` (height, width, channels) of raw pixel arrays that are
    not square; `unreadable` pictures stop the study (refuse) or count as missing (skip). `train`: none (frozen, its
    features computed once), all, lora (of `rank`; with `per_task` every task has matrices of its own), or the number
    of its upper layers that are trained; training pictures are then moved by up to `shift` pixels and with `flip`
    mirrored.
    """

    model: str
    side: int = 0
    shape: Sequence[int] = ()
    unreadable: Literal["refuse", "skip"] = "refuse"
    train: str | int = FROZEN
    rank: int = 8
    per_task: bool = False
    shift: int = 0
    flip: bool = False

    def check(self) -> None:
        found, train = locate.vision(self.model), str(self.train)
        check_train("vision backbone", train, found.layers, self.rank, per_task=self.per_task)
        if train == FROZEN and (self.shift or self.flip):
            rule = "Pictures are moved and mirrored where a network is trained on them"
            raise DataError(Problem(rule, "train is none", "Remove shift and flip, or set train"))
        if self.side and not 8 <= self.side <= 1024:
            raise DataError(Problem("The side of a picture is 8 to 1024 pixels", f"it is {self.side}"))
        if not 0 <= self.shift <= (self.side or found.side) // 2:
            fact = f"shift is {self.shift}"
            raise DataError(Problem("Pictures are moved by less than half their side", fact, "Use a smaller one"))
        if train == "lora":
            locate.need("peft", "image")
            if not locate.has_matrices(found.folder):
                fact = f"'{self.model}' is made of convolutions alone"
                raise DataError(Problem("LoRA changes linear layers", fact, "Write train: all, or a number of layers"))

    def fit(self, name: str, column: pa.ChunkedArray, rows: Rows, folder: Path) -> BlockEncoder:
        self.check()
        pictures.check_unreadable(self.unreadable, name)
        found = locate.vision(self.model)
        column = pictures.unpacked(column, self.shape)
        raw = () if pictures.is_encoded(column.type) else pictures.raw_shape(column, name, self.shape).sizes
        said = (str(found.folder), found.digest, found.width, self.side or found.side, self.unreadable == "skip", raw)
        how = (str(self.train), self.rank, self.shift, self.flip, self.per_task)
        return BackboneEncoder(name, (name,), *said, *how)


@dataclass(frozen=True)
class BackboneEncoder(BlockEncoder):
    """Frozen: features (N, width) float16 of a vision backbone, nan where a picture could not be read. Trained: pixels
    (N, side, side, 3) uint8, zeros where there is no picture, for the network that is trained on them."""

    kind = InputKind.IMAGE

    model: str
    digest: str
    size: int
    side: int
    skip: bool
    shape_of_arrays: tuple[int, ...]
    train: str = FROZEN
    rank: int = 8
    shift: int = 0
    flip: bool = False
    per_task: bool = False

    @property
    def deferred(self) -> bool:
        return self.train == FROZEN

    @property
    def stored(self) -> pa.DataType:
        return pictures.stored(self.shape_of_arrays)

    @property
    def shape(self) -> Shape:
        return Shape("float16", (self.size,)) if self.deferred else Shape("uint8", (self.side, self.side, 3))

    def read(self, columns: Sequence[pa.ChunkedArray], out: Array) -> Array | None:
        """Write the pixels that the network is given, frozen or trained."""
        return pictures.write(columns[0], self.name, self.side, 3, self.skip, self.shape_of_arrays, out)

    def found(self, block: Array) -> Array:
        """Rows whose picture could be read."""
        made: Array = ~np.isnan(block[:, 0])
        return made

    def part(self, sample: Array) -> dict[str, Any]:
        if self.deferred:
            return {"name": "vectors", "block": self.own_block, "n_in": self.size, "scale": to_unit_size(sample)}
        return {
            "name": "vision",
            "block": self.own_block,
            "model": self.model,
            "digest": self.digest,
            "n_out": self.size,
            "side": self.side,
            "train": self.train,
            "rank": self.rank,
            "shift": self.shift,
            "flip": self.flip,
            "per_task": self.per_task,
        }
