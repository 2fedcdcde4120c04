"""What the audit's checks measured, read from its details into types; what does not fit is as if it were not there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from sharewise.records import AuditDetails

R = TypeVar("R")


@dataclass(frozen=True)
class Noise:
    """Share of wrong labels with its interval, number of suspicious rows, ids of the worst; without a plateau the
    errors are those of a hard task, and the share is no estimate."""

    rate: float
    low: float
    high: float
    suspects: int
    plateau: bool = True
    worst: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoiseOfTasks:
    """Details of `label_noise`."""

    noise: dict[str, Noise]
    limits: dict[str, float]


@dataclass(frozen=True)
class SkillOfInputs:
    """Details of `input_leaks`: for each label, what its best inputs say of it alone (1: everything)."""

    best: dict[str, dict[str, float]]
    limits: dict[str, float]


@dataclass(frozen=True)
class SkillOfLabels:
    """Details of `target_copies`: `skill[i][j]` is what label j says of label i; None on the diagonal or unknown."""

    labels: tuple[str, ...]
    skill: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class Overlap:
    """Details of `task_overlap`: rows labelled for both of two tasks."""

    tasks: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Volumes:
    """Details of `task_volumes`: labels of each task in each part."""

    parts: tuple[str, ...]
    labels: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Periods:
    """Details of `task_periods`: share of labelled rows in windows of equal numbers of rows."""

    window_start: tuple[float, ...]
    window_end: tuple[float, ...]
    label_rate: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Window:
    """A stretch of time: its ends, and its rows in each part."""

    start: float
    end: float
    train: int = 0
    validation: int = 0
    test: int = 0

    @property
    def part(self) -> str:
        """The part that most of its rows are of."""
        return max((("train", self.train), ("validation", self.validation), ("test", self.test)), key=lambda p: p[1])[0]


@dataclass(frozen=True)
class Told:
    """A label's distribution window by window: quartiles of numbers, or shares of the most frequent classes."""

    task: str
    quartiles: tuple[tuple[float, float, float] | None, ...] = ()
    classes: tuple[str, ...] = ()
    shares: tuple[tuple[float, ...] | None, ...] = ()


@dataclass(frozen=True)
class Drift:
    """Details of `label_drift`: sizes of the moves, and the labels through time."""

    within_train: dict[str, float]
    train_to_test: dict[str, float]
    limits: dict[str, float] = field(default_factory=dict)
    is_date: bool = False
    windows: tuple[Window, ...] = ()
    labels: dict[str, Told] = field(default_factory=dict)


@dataclass(frozen=True)
class Absence:
    """Details of `missing_labels`: ROC-AUC with which the inputs tell whether a task is labelled."""

    auc: dict[str, float]
    limit: float


@dataclass(frozen=True)
class Power:
    """Half width of the narrowest interval that the test rows allow, beside the margin, and the rows it would take."""

    test_rows: int
    half_width: float
    margin: float
    needed: int


@dataclass(frozen=True)
class PowerOfTasks:
    """Details of `test_power`."""

    labels: dict[str, Power]


def measured(details: AuditDetails | None, check: str, kind: type[R]) -> R | None:
    """The details of one check; None where it did not run, said nothing, or wrote what does not fit."""
    from pydantic import TypeAdapter

    said: Any = None if details is None else details.details.get(check)
    if not said:
        return None
    try:
        return TypeAdapter(kind).validate_python(said)
    except ValueError:
        return None
