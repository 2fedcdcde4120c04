"""Pictures as pixels for a vision backbone that is trained with the study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sharewise.errors import DataError, Problem
from sharewise.tables import pictures
from sharewise.tables.blocks import Array, BlockEncoder, Shape
from sharewise.tables.schema import InputKind


@dataclass(frozen=True)
class TunedBackboneEncoder(BlockEncoder):
    """Pixels (N, side, side, 3) uint8, zeros where there is no picture, for a network that is trained on them."""

    kind = InputKind.IMAGE

    model: str
    digest: str
    size: int
    side: int
    skip: bool
    shape_of_arrays: tuple[int, ...]
    train: str
    rank: int
    shift: int
    flip: bool
    per_task: bool = False

    @property
    def stored(self) -> pa.DataType:
        return pictures.stored(self.shape_of_arrays)

    @property
    def shape(self) -> Shape:
        return Shape("uint8", (self.side, self.side, 3))

    def located(self, columns: Sequence[pa.ChunkedArray], folder: Any) -> list[pa.ChunkedArray]:
        return [pictures.located(column, folder) for column in columns]

    def read(self, columns: Sequence[pa.ChunkedArray], out: Array) -> Array | None:
        """Which rows have a picture; an unreadable one counts as missing where the study file allows it."""
        return pixels(columns[0], self.name, self.side, self.skip, self.shape_of_arrays, out)

    def part(self, sample: Array) -> dict[str, Any]:
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


def pixels(
    column: pa.ChunkedArray, name: str, side: int, skip: bool, shape: Sequence[int], out: Array
) -> np.ndarray | None:
    """Write pictures (N, side, side, 3), and say which rows have one where reading alone tells; raises DataError for
    what is no picture as it was in training."""
    if pictures.is_encoded(column.type):
        return pictures.write_decoded(column, name, side, 3, skip, out)
    if len(shape) != 3:
        rule = "A column holds pictures as it did in training, as paths or bytes"
        raise DataError(Problem(rule, f"it is of type {column.type}", column=name))
    pictures.write_arrays(column, name, pictures.Shape(*shape), side, 3, out)
    return None
