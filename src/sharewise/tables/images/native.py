"""Pictures as pixels for a network trained from scratch: one size, uint8, and what train pictures are like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sharewise.errors import DataError, Problem
from sharewise.tables import pictures
from sharewise.tables.blocks import Array, BlockEncoder, Shape
from sharewise.tables.encoders import Rows
from sharewise.tables.images.base import Reading
from sharewise.tables.pictures import Unreadable
from sharewise.tables.schema import InputKind

LARGEST_SIDE = 64
"""Side that larger pictures are brought to where the study file names none."""

GROUP = 8
"""Channels that the network normalises together."""

PROBE = 64
"""Train pictures from whose headers the side and the channels are told."""

SAMPLE = 2000
"""Train pictures from which the normalisation is measured."""


@dataclass(frozen=True)
class Native(Reading):
    """A small residual network, trained from scratch with the study's own pictures.

    `side` of the pixels that it reads (0: the train pictures' own, at most 64), `channels` 1 or 3 (0: 3 where a train
    picture has colour), `shape` (height, width, channels) of raw pixel arrays that are not square; `unreadable`
    pictures stop the study (refuse) or count as missing (skip). `widths` and `depth` of its stages, `grid` cells a
    side that its features are pooled to, `shift` pixels and `flip` that training pictures are moved and mirrored by.
    """

    side: int = 0
    channels: int = 0
    shape: Sequence[int] = ()
    unreadable: Literal["refuse", "skip"] = "refuse"
    widths: Sequence[int] = (16, 32, 64)
    depth: int = 1
    grid: int = 3
    shift: int = 2
    flip: bool = False

    def check(self) -> None:
        problems = []
        if self.side and not 8 <= self.side <= 512:
            problems.append(Problem("The side of a picture is 8 to 512 pixels", f"it is {self.side}"))
        if self.channels not in (0, 1, 3):
            problems.append(Problem("A picture has 1 or 3 channels", f"it is {self.channels}"))
        whole = all(isinstance(w, int) and w >= 1 for w in self.widths)
        if not self.widths or not whole or list(self.widths) != sorted(self.widths):
            rule, fact = "The stages of the network have widths of at least 1 that do not fall", f"{[*self.widths]}"
            problems.append(Problem(rule, f"widths is {fact}", "Name one a stage"))
        elif any(width % GROUP for width in self.widths if width > GROUP):
            rule, fact = f"Widths beyond {GROUP} are multiples of {GROUP}", f"widths is {[*self.widths]}"
            problems.append(Problem(rule, fact, "Round them"))
        if self.depth < 1 or self.grid < 1:
            fact = f"they are {self.depth} and {self.grid}"
            problems.append(Problem("The depth of a stage and the grid are at least 1", fact, "Use larger ones"))
        if not 0 <= self.shift <= (self.side or LARGEST_SIDE) // 2:
            fact = f"shift is {self.shift}"
            problems.append(Problem("Pictures are moved by less than half their side", fact, "Use another one"))
        if problems:
            raise DataError(problems)

    def fit(self, name: str, column: pa.ChunkedArray, rows: Rows, folder: Path) -> PictureEncoder:
        self.check()
        pictures.check_unreadable(self.unreadable, name)
        column = pictures.unpacked(column, self.shape)
        raw = None if pictures.is_encoded(column.type) else pictures.raw_shape(column, name, self.shape)
        skip = self.unreadable == "skip"
        own = raw or _typical(column, rows, folder, name, skip)
        side = self.side or min(min(own.height, own.width), LARGEST_SIDE)
        channels = self.channels or own.channels
        shape = () if raw is None else raw.sizes
        network = (tuple(self.widths), self.depth, self.grid, self.shift, self.flip)
        return PictureEncoder(name, (name,), max(side, 8), channels, skip, shape, *network)


@dataclass(frozen=True)
class PictureEncoder(BlockEncoder):
    """Pixels (N, side, side, channels) uint8, zeros where there is no picture."""

    kind = InputKind.IMAGE

    side: int
    channels: int
    skip: bool
    shape_of_arrays: tuple[int, ...]
    widths: tuple[int, ...]
    depth: int
    grid: int
    shift: int
    flip: bool

    @property
    def stored(self) -> pa.DataType:
        return pictures.stored(self.shape_of_arrays)

    @property
    def shape(self) -> Shape:
        return Shape("uint8", (self.side, self.side, self.channels))

    def read(self, columns: Sequence[pa.ChunkedArray], out: Array) -> Array | None:
        said = (self.name, self.side, self.channels, self.skip, self.shape_of_arrays)
        return pictures.write(columns[0], *said, out)

    def part(self, sample: Array) -> dict[str, Any]:
        mean, deviation = normalisation(sample)
        if not len(sample):
            mean, deviation = [0.5] * self.channels, [0.25] * self.channels
        return {
            "name": "picture",
            "block": self.own_block,
            "side": self.side,
            "channels": self.channels,
            "mean": mean,
            "deviation": deviation,
            "widths": list(self.widths),
            "depth": self.depth,
            "grid": self.grid,
            "shift": self.shift,
            "flip": self.flip,
        }


def normalisation(sample: npt.NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of pictures (n, H, W, C), as shares of 255; 1 for a constant."""
    part = sample[:SAMPLE].astype(np.float32) / 255.0
    mean = part.mean(axis=(0, 1, 2)) if len(part) else np.zeros(sample.shape[-1])
    spread = part.std(axis=(0, 1, 2)) if len(part) else np.ones(sample.shape[-1])
    return [float(m) for m in mean], [float(s) if s > 1e-3 else 1.0 for s in spread]


def _typical(column: pa.ChunkedArray, rows: Rows, folder: Path, name: str, skip: bool) -> pictures.Shape:
    """Median height and width of some train pictures, with three channels where one has colour.

    What cannot be read is left to the reading of all, which names it; raises DataError where nothing can.
    """
    chosen = rows[:: max(len(rows) // PROBE, 1)][: 2 * PROBE]
    found: list[pictures.Shape] = []
    reason = "no train row has one"
    for content in pictures.contents(pictures.located(column.take(pa.array(chosen)), folder)):
        if content is None:
            continue
        try:
            found.append(pictures.size_of(content))
        except Unreadable as why:
            reason = str(why)
    if not found:
        remedy = "Correct the column, or give it another kind"
        raise DataError(Problem("Some of the train pictures must be readable", reason, remedy, column=name))
    height = int(np.median([s.height for s in found]))
    width = int(np.median([s.width for s in found]))
    return pictures.Shape(height, width, max(s.channels for s in found))
