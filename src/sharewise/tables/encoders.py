"""One encoder an input kind: fitted on train rows, writes its columns of a block, is plain JSON.

Numeric inputs follow RealMLP's robust scaling and smooth clipping (Holzmüller, Grinsztajn and Steinwart 2024,
"Better by Default", section 3): x -> s (x - median), s = 1 / interquartile range (2 / range where that is 0), then
z -> z / sqrt(1 + (z / 3)^2), so that no value leaves (-3, 3). Missing values become the median, which is 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.tables import columns as col
from sharewise.tables.columns import Floats
from sharewise.tables.schema import Input, InputKind

Rows = npt.NDArray[np.int64]

CLIP = 3.0
HUGE = 1e12
"""Bound on scaled values before the smooth clip, where their squares are still finite."""

MIN_COUNT = 3
MAX_LEVELS = 1000
"""A category has a code of its own from this many train rows, up to this many categories; others share code 0."""

DAY = 86_400.0
YEAR = 365.2425 * DAY


def smooth_clip(z: Floats) -> Floats:
    """z / sqrt(1 + (z/3)^2): the identity near 0, bounded by 3; infinities become the bound."""
    z = np.clip(z, -HUGE, HUGE)
    below = z / CLIP
    below *= below
    below += 1.0
    np.sqrt(below, out=below)
    z /= below
    return z


def robust_scale(values: Floats) -> tuple[float, float]:
    """(median, factor) of the finite values; factor 0 for a constant."""
    seen = values[np.isfinite(values)]
    if len(seen) == 0:
        return 0.0, 0.0
    low, centre, high = np.quantile(seen, [0.25, 0.5, 0.75])
    spread = float(high) - float(low)
    if spread == 0.0:
        spread = (float(seen.max()) - float(seen.min())) / 2.0
    factor = 1.0 / spread if spread > 0.0 else 0.0
    return float(centre), factor if np.isfinite(factor) else 0.0


@dataclass(frozen=True)
class Encoder(ABC):
    """What an input column becomes. `width` columns of the block `block`; `indicator` adds a missing-indicator
    column to the numeric block."""

    kind: ClassVar[InputKind]
    block: ClassVar[str]

    name: str

    @property
    @abstractmethod
    def width(self) -> int:
        """Columns of its block that it writes."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """A name for each column that it writes."""
        return (self.name,)

    @property
    def stored(self) -> pa.DataType | None:
        """The type in which its column has to be; None where any type will do for a column without a value."""
        return None

    @classmethod
    @abstractmethod
    def fit(cls, name: str, column: pa.ChunkedArray, rows: Rows) -> Self:
        """Learn from the rows `rows` of a column."""

    @abstractmethod
    def write(self, column: pa.ChunkedArray, out: npt.NDArray[Any]) -> None:
        """Encode a whole column into `out` (N, width)."""

    def to_json(self) -> dict[str, Any]:
        """Plain data; `encoder_from_json` restores an equal encoder."""
        return {"kind": self.kind.value, **asdict(self)}


@dataclass(frozen=True)
class NumericEncoder(Encoder):
    """Robust scale, smooth clip, median for missing, and an indicator column where train has missing values."""

    kind = InputKind.NUMERIC
    block = "numeric"

    centre: float
    factor: float
    indicator: bool

    @property
    def width(self) -> int:
        return 2 if self.indicator else 1

    @property
    def feature_names(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} is missing") if self.indicator else (self.name,)

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, rows: Rows) -> Self:
        values = col.floats(column, name)[rows]
        return cls(name, *robust_scale(values), bool(np.isnan(values).any()))

    def write(self, column: pa.ChunkedArray, out: npt.NDArray[Any]) -> None:
        write_scaled(col.floats(column, self.name), self.centre, self.factor, self.indicator, out)


def write_scaled(values: Floats, centre: float, factor: float, indicator: bool, out: npt.NDArray[Any]) -> None:
    """Scaled and clipped values in out[:, 0]; which of them are missing in out[:, 1] where there is an indicator."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values - centre
        scaled *= factor
    clipped = smooth_clip(scaled)
    # A factor of 0 (constant in train) times an infinity is nan, and so is a missing value: both sit at the median.
    clipped[np.isnan(clipped)] = 0.0
    out[:, 0] = clipped
    if indicator:
        out[:, 1] = np.isnan(values)


@dataclass(frozen=True)
class BooleanEncoder(Encoder):
    """False -1, true 1, missing 0, and an indicator column where train has missing values."""

    kind = InputKind.BOOLEAN
    block = "numeric"

    indicator: bool

    @property
    def width(self) -> int:
        return 2 if self.indicator else 1

    @property
    def feature_names(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} is missing") if self.indicator else (self.name,)

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, rows: Rows) -> Self:
        return cls(name, bool(np.isnan(col.floats(column, name)[rows]).any()))

    def write(self, column: pa.ChunkedArray, out: npt.NDArray[Any]) -> None:
        values = col.floats(column, self.name)
        missing = np.isnan(values)
        out[:, 0] = np.where(missing, 0.0, np.where(values != 0.0, 1.0, -1.0))
        if self.indicator:
            out[:, 1] = missing


@dataclass(frozen=True)
class DatetimeEncoder(Encoder):
    """Seconds since 1970 robustly scaled, and sine and cosine of the cycles that vary in train: year, week, day."""

    kind = InputKind.DATETIME
    block = "numeric"
    CYCLES: ClassVar[dict[str, float]] = {"year": YEAR, "week": 7 * DAY, "day": DAY}

    centre: float
    factor: float
    cycles: tuple[str, ...]
    indicator: bool

    @property
    def width(self) -> int:
        return 1 + int(self.indicator) + 2 * len(self.cycles)

    @property
    def feature_names(self) -> tuple[str, ...]:
        missing = (f"{self.name} is missing",) if self.indicator else ()
        waves = [f"{self.name} {wave} of {cycle}" for cycle in self.cycles for wave in ("sine", "cosine")]
        return (self.name, *missing, *waves)

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, rows: Rows) -> Self:
        values = col.dates(column, name)[rows]
        seen = values[np.isfinite(values)]
        cycles = tuple(
            c for c, period in cls.CYCLES.items() if len(seen) and np.ptp(np.mod(seen, period)) > 0.1 * period
        )
        return cls(name, *robust_scale(values), cycles, bool(np.isnan(values).any()))

    def write(self, column: pa.ChunkedArray, out: npt.NDArray[Any]) -> None:
        values = col.dates(column, self.name)
        n_plain = 1 + int(self.indicator)
        write_scaled(values, self.centre, self.factor, self.indicator, out[:, :n_plain])
        values = np.where(np.isfinite(values), values, np.nan)
        for i, cycle in enumerate(self.cycles):
            angle = 2 * np.pi * np.mod(values, self.CYCLES[cycle]) / self.CYCLES[cycle]
            out[:, n_plain + 2 * i] = np.nan_to_num(np.sin(angle))
            out[:, n_plain + 2 * i + 1] = np.nan_to_num(np.cos(angle))


@dataclass(frozen=True)
class CategoricalEncoder(Encoder):
    """Code 0 for missing, unseen and rare values, then 1, 2, ... by falling frequency in train."""

    kind = InputKind.CATEGORICAL
    block = "categorical"

    levels: tuple[str, ...]
    numeric: bool

    @property
    def width(self) -> int:
        return 1

    @property
    def cardinality(self) -> int:
        """Number of codes, 0 included."""
        return len(self.levels) + 1

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, rows: Rows) -> Self:
        seen = col.text(column.take(pa.array(rows))).drop_null()
        counts = [(str(c["values"]), int(c["counts"])) for c in pc.value_counts(seen).to_pylist()]
        kept = sorted(((n, v) for v, n in counts if n >= MIN_COUNT), key=lambda c: (-c[0], c[1]))[:MAX_LEVELS]
        return cls(name, tuple(v for _, v in kept), not col.is_text(column.type))

    def write(self, column: pa.ChunkedArray, out: npt.NDArray[Any]) -> None:
        out[:, 0] = col.codes(column, list(self.levels), numeric=self.numeric) + 1


@dataclass(frozen=True)
class EmbeddingEncoder(Encoder):
    """A vector as it is, as float32 or (bits and bytes) uint8; zeros where missing. Who is missing goes to the
    numeric block as an indicator where train has missing vectors."""

    kind = InputKind.EMBEDDING
    block = "embedding"

    size: int
    indicator: bool
    is_bytes: bool

    @property
    def width(self) -> int:
        return self.size

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(f"{self.name}[{i}]" for i in range(self.size))

    @property
    def stored(self) -> pa.DataType:
        return pa.list_(pa.uint8() if self.is_bytes else pa.float32())

    @classmethod
    def fit(cls, name: str, column: pa.ChunkedArray, rows: Rows) -> Self:
        size = col.list_width(column) or 0
        missing = ~column.is_valid().combine_chunks().to_numpy(zero_copy_only=False)[rows]
        return cls(name, size, bool(missing.any()), column.type.value_type == pa.uint8())

    def write(self, column: pa.ChunkedArray, out: npt.NDArray[Any]) -> None:
        at = 0
        limit = float(np.finfo(np.float32).max) if out.dtype == np.float32 else 255.0
        for chunk in column.chunks:
            values, _ = col.vectors(pa.chunked_array([chunk]), self.name, self.size)
            if values.dtype != out.dtype:
                values = np.clip(np.nan_to_num(values, nan=0.0), -limit if out.dtype == np.float32 else 0.0, limit)
            out[at : at + len(chunk)] = values
            at += len(chunk)

    def write_indicator(self, column: pa.ChunkedArray, out: npt.NDArray[Any]) -> None:
        """Which vectors are missing, into `out` (N,)."""
        out[:] = ~column.is_valid().combine_chunks().to_numpy(zero_copy_only=False)


ENCODERS: tuple[type[Encoder], ...] = (
    NumericEncoder,
    BooleanEncoder,
    DatetimeEncoder,
    CategoricalEncoder,
    EmbeddingEncoder,
)
OF_KIND = {encoder.kind: encoder for encoder in ENCODERS}


def fit_encoder(said: Input, column: pa.ChunkedArray, rows: Rows) -> Encoder:
    """The encoder of an input, fitted on `rows`."""
    return OF_KIND[said.kind].fit(said.name, column, rows)


def encoder_from_json(data: dict[str, Any]) -> Encoder:
    """The encoder that `to_json` wrote."""
    kind: Callable[..., Encoder] = OF_KIND[InputKind(data["kind"])]
    params = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key != "kind"}
    return kind(**params)
