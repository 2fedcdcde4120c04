"""Inputs with blocks of their own: text, ids, and whatever else is no column of a table of numbers."""

from __future__ import annotations

import math
import tempfile
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sharewise.tables import pictures
from sharewise.tables.encoders import Encoder, Rows
from sharewise.tables.schema import InputKind

Array = npt.NDArray[Any]

IN_MEMORY = 256_000_000
"""Bytes up to which a block is held in memory."""


@dataclass(frozen=True)
class Shape:
    """What a block holds for each row: cells of `dtype` in the trailing axes `cells`."""

    dtype: str
    cells: tuple[int, ...]

    def empty(self, n_rows: int) -> Array:
        """Room for `n_rows` rows: in memory, or beyond 256 MB in a file that is gone when its last user is."""
        shape = (n_rows, *self.cells)
        if np.dtype(self.dtype).itemsize * math.prod(shape) <= IN_MEMORY:
            return np.zeros(shape, dtype=self.dtype)
        # The file is sparse: what is never written, such as padding, takes no disk.
        return np.memmap(tempfile.TemporaryFile(), self.dtype, "w+", shape=shape)


def to_unit_size(values: Array) -> float:
    """What numbers are multiplied by so that their mean square is 1."""
    square = float(np.mean(values.astype(np.float32) ** 2)) if values.size else 0.0
    return 1.0 / square**0.5 if square > 0 else 1.0


@dataclass(frozen=True)
class BlockEncoder(Encoder):
    """One input, or two columns read as one, as the block KIND:NAME.

    `columns` are the table's columns that it reads. `deferred` says that the block is not written here but by
    `sharewise.models.reading`, because it takes a network; `arrays` are fitted numbers too many for JSON, which a
    bundle keeps beside `codec.json`.
    """

    block: ClassVar[str] = "own"
    columns: tuple[str, ...]
    alias: str = field(default="", kw_only=True)
    """The input, where the encoder is one of several that read it and has a name of its own."""

    @property
    def input(self) -> str:
        """The input, or pair, that it reads."""
        return self.alias or self.name

    @property
    def width(self) -> int:
        """It writes no column of a common block."""
        return 0

    @property
    def feature_names(self) -> tuple[str, ...]:
        return ()

    @property
    def own_block(self) -> str:
        """Name of its block."""
        return f"{self.kind.value}:{self.name}"

    @property
    def for_network(self) -> bool:
        """Whether a network reads it; what it does not is there for its rivals."""
        return True

    @property
    def deferred(self) -> bool:
        """Whether a network writes its block."""
        return False

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """What its block holds."""

    @abstractmethod
    def part(self, sample: Array) -> dict[str, Any]:
        """The part of a `mixed` encoder that reads the block, as plain data; `sample` are its values on train rows."""

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, rows: Rows) -> Self:
        """Those with a choice are fitted by what was chosen, the others say how."""
        raise NotImplementedError(f"{cls.__name__} is fitted by the choice that makes it.")

    def room(self, columns: Sequence[pa.ChunkedArray]) -> Array:
        """Room for the columns' rows; an encoder whose rows differ in length makes it as wide as these need."""
        return self.shape.empty(len(columns[0]))

    def located(self, columns: Sequence[pa.ChunkedArray], folder: Path) -> Sequence[pa.ChunkedArray]:
        """The columns with relative paths of files, where they hold such, taken from the table's folder."""
        return [pictures.located(column, folder) for column in columns] if self.kind is InputKind.IMAGE else columns

    def read(self, columns: Sequence[pa.ChunkedArray], out: Array) -> Array | None:
        """Write the block's rows and, where reading alone can tell, say which have a value; raises DataError where a
        cell cannot be read."""
        raise NotImplementedError(f"The block of a deferred input is written by a network; {self.name} is one.")

    def found(self, block: Array) -> Array | None:
        """Of a deferred encoder the rows that turned out to have a value; None where `present` says all."""
        return None

    def present(self, columns: Sequence[pa.ChunkedArray]) -> Array:
        """Which rows have a value, (N,) bool: all columns must have one."""
        made = np.ones(len(columns[0]), dtype=bool)
        for column in columns:
            made &= column.is_valid().combine_chunks().to_numpy(zero_copy_only=False)
        return made

    def write(self, column: pa.ChunkedArray, out: Array) -> None:
        """Nothing goes to a common block."""

    @property
    def arrays(self) -> Mapping[str, Array]:
        """Fitted arrays by name."""
        return {}

    def with_arrays(self, arrays: Mapping[str, Array]) -> BlockEncoder:
        """The same encoder with its fitted arrays back."""
        return self

    def to_json(self) -> dict[str, Any]:
        said = {k: v for k, v in asdict(self).items() if k != "alias" or v}
        return {"kind": self.kind.value, "reader": type(self).__name__, **said}
