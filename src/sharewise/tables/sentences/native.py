"""Sentences by their own words, affixes and shapes."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from sharewise.tables.encoders import Rows
from sharewise.tables.tokens import TokensEncoder


@dataclass(frozen=True)
class Words:
    """A network over words, affixes and shapes, trained from scratch with the study's own sentences."""

    def check_sentences(self) -> None:
        """It needs nothing."""

    def fit_sentences(self, name: str, column: pa.ChunkedArray, rows: Rows) -> TokensEncoder:
        """Words from the rows `rows`."""
        return TokensEncoder.fit(name, column, rows)
