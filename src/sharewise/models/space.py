"""What a tuning trial may vary, declared once for every way to search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, evenly ("uniform"), evenly in the logarithm ("log"), or whole and so ("whole")."""

    low: float
    high: float
    law: Literal["uniform", "log", "whole"]


@dataclass(frozen=True)
class OneOf:
    """One of some values."""

    values: tuple[float | str, ...]


Space = Mapping[str, Range | OneOf]
