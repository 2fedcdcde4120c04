"""Which columns are what: inputs, tasks and the roles row id, split, time, group.

A `Declaration` is what a person (or a file's own metadata) says; `resolve` settles it against a table into a
`Schema`, with input kinds inferred, classes listed and grouped tasks expanded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sharewise.plan import Choice
from sharewise.tasks import Label, TaskKind, TaskSet


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
    ID = "id"


@dataclass(frozen=True)
class Input:
    """A column that the models read; `encoder` is how, where its kind leaves a choice, `also` are further encoders that
    read the same, `pair` is the name under which two text columns are read together, and `separated` says that its
    tokens are text which white space separates."""

    name: str
    kind: InputKind
    encoder: Choice | None = None
    pair: str | None = None
    separated: bool = False
    also: tuple[Choice, ...] = ()

    @property
    def encoders(self) -> tuple[Choice, ...]:
        """Every encoder that reads it, none where its kind leaves no choice."""
        return () if self.encoder is None else (self.encoder, *self.also)


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

    def without(self, tasks: Iterable[str]) -> Schema:
        """The same schema less some tasks."""
        dropped = set(tasks)
        return replace(self, tasks=self.tasks.subset(name for name in self.tasks.names if name not in dropped))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that training needs, each once: roles, inputs, targets and group columns of tasks."""
        roles = [c for c in (self.row_id, self.split, self.time, self.group, self.entity) if c is not None]
        targets = [c for task in self.tasks for c in task.columns]
        where = [task.where[0] for task in self.tasks if task.where is not None]
        return tuple(dict.fromkeys([*roles, *(i.name for i in self.inputs), *targets, *where]))


@dataclass(frozen=True)
class TaskDeclaration:
    """A task as a person declares it; None means "infer it".

    `classes` fixes labels and their order, `positive` the label that a binary task predicts the probability of;
    `class_weights` maps labels to weights, or is "balanced" (inverse class frequency). `by` names a column for
    each of whose values the task is a task of its own. `parent` is the coarser task above it, `parent_classes` maps
    its labels to the parent's, where that is not to be learnt. `line` is where in the study file it stands; `inputs`
    are the inputs that it reads, empty for all.
    """

    name: str
    kind: TaskKind | None = None
    columns: tuple[str, ...] = ()
    metric: str | None = None
    margin: float = 0.02
    classes: tuple[Label, ...] = ()
    positive: Label | None = None
    transform: str = "none"
    class_weights: Mapping[Label, float] | str | None = None
    weight: float = 1.0
    primary: bool = False
    by: str | None = None
    auxiliary: bool = False
    at_layer: int = 0
    parent: str | None = None
    parent_classes: Mapping[Any, Label] | None = None
    line: int | None = None
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class InputDeclaration:
    """An input as a person declares it; `kind` None means "infer it", `encoder` None the default of its kind, `also`
    further encoders that read the same.

    `separated` is what the table adds: white space separates its tokens (`lists.listed`).
    """

    name: str
    kind: InputKind | None = None
    line: int | None = None
    encoder: Choice | None = None
    pair: str | None = None
    separated: bool = False
    also: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class Declaration:
    """What is said about a table's columns. `inputs` None means "every column that is nothing else", `text`, `image`
    and `tokens` how such an input is read that does not say it; `file` and `lines` (role to line) are where it is
    said."""

    tasks: tuple[TaskDeclaration, ...]
    inputs: tuple[InputDeclaration, ...] | None = None
    row_id: str | None = None
    split: str | None = None
    time: str | None = None
    group: str | None = None
    entity: str | None = None
    text: Choice | None = None
    image: Choice | None = None
    tokens: Choice | None = None
    file: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def roles(self) -> dict[str, str]:
        """Role to column, for the roles that are given."""
        given = {"id": self.row_id, "split": self.split, "time": self.time, "group": self.group, "entity": self.entity}
        return {role: column for role, column in given.items() if column is not None}
