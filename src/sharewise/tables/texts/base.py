"""What every way to read a text promises, and text columns as strings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import pyarrow as pa

from sharewise.errors import DataError, Problem
from sharewise.tables import columns as col
from sharewise.tables.blocks import BlockEncoder
from sharewise.tables.encoders import Rows

FROZEN = "none"
"""What `train` of a network says that stays as it is."""


class Reading(ABC):
    """A way to read a text, with the parameters that a study file may set."""

    def check(self) -> None:
        """Raise DataError where what it needs is not there; before anything is read or written."""
        return

    @abstractmethod
    def fit(self, name: str, columns: Sequence[tuple[str, pa.ChunkedArray]], rows: Rows) -> BlockEncoder:
        """The encoder of one text column, or of two that are read as a pair, learnt from the rows `rows`."""


def strings(column: pa.ChunkedArray, longest: int) -> list[str]:
    """Values as text of at most `longest` characters, "" where missing; bytes that are no UTF-8 become U+FFFD."""
    made = []
    for chunk in col.text(column).chunks:
        try:
            values = chunk.to_pylist()
        except UnicodeDecodeError:
            cells = chunk.cast(pa.binary()).to_pylist()
            values = [None if v is None else v.decode("utf-8", "replace") for v in cells]
        made += ["" if v is None else v[:longest] for v in values]
    return made


def check_train(network: str, train: str, layers: int, rank: int, *, per_task: bool) -> None:
    """Raises DataError where `network`, of so many layers, is not trained so, or has no parts of single tasks."""
    if rank < 1:
        raise DataError(Problem("'rank' of LoRA is at least 1", f"it is {rank}", "Use a larger one, or remove it"))
    if train not in (FROZEN, "all", "lora") and not (train.isdigit() and 1 <= int(train) <= layers):
        rule = f"'train' of a {network} is none, all, lora or a number of its {layers} layers"
        raise DataError(Problem(rule, f"it is {train}"))
    if per_task and train != "lora":
        fact = f"train is {train}"
        raise DataError(Problem("Tasks have parts of a network of their own by LoRA", fact, "Write train: lora"))
