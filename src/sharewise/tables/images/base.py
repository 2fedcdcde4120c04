"""What every way to read a picture promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import pyarrow as pa

from sharewise.tables.blocks import BlockEncoder
from sharewise.tables.encoders import Rows


class Reading(ABC):
    """A way to read a picture, with the parameters that a study file may set."""

    def check(self) -> None:
        """Raise DataError where what it needs is not there; before anything is read or written."""
        return

    @abstractmethod
    def fit(self, name: str, column: pa.ChunkedArray, rows: Rows, folder: Path) -> BlockEncoder:
        """The encoder of a column of pictures, learnt from the rows `rows`; relative paths are taken from `folder`."""
