"""Which columns are what: inputs, tasks and the roles row id, split, time, group."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sharewise.tasks import TaskSet


class InputKind(StrEnum):
    """What kind of value an input column holds."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    EMBEDDING = "embedding"
    TEXT = "text"
    TOKENS = "tokens"
    IMAGE = "image"


@dataclass(frozen=True)
class Input:
    """A column that the models read."""

    name: str
    kind: InputKind


@dataclass(frozen=True)
class Schema:
    """The resolved meaning of a table's columns. `entity` is the column whose values identify one thing that
    several rows may describe (patient, station): rows of one entity count once in a verdict."""

    inputs: tuple[Input, ...]
    tasks: TaskSet
    row_id: str | None = None
    split: str | None = None
    time: str | None = None
    group: str | None = None
    entity: str | None = None
