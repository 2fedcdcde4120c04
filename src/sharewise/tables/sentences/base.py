"""What every way to read a sentence of tokens promises."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from sharewise.tables.blocks import BlockEncoder
from sharewise.tables.encoders import Rows


class SentenceReading(Protocol):
    """A way to read lists of words, with the parameters that a study file may set."""

    def check_sentences(self) -> None:
        """Raise DataError where what it needs is not there; before anything is read or written."""

    def fit_sentences(self, name: str, column: pa.ChunkedArray, rows: Rows) -> BlockEncoder:
        """The encoder of a column of word lists, learnt from the rows `rows`."""
