"""What is to be predicted: a task, and the ordered set of tasks that gives the T axis its names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Label = str | int | float | bool
"""A class label as it stands in the user's table."""


OUTSIDE = "O"
"""The tag of a token that is in no span."""


class TaskKind(StrEnum):
    """What kind of answer a task asks for."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    ORDINAL = "ordinal"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"
    RECONSTRUCTION = "reconstruction"
    TOKEN_TAGGING = "token_tagging"


@dataclass(frozen=True)
class Task:
    """One thing to predict.

    `columns` are the table's columns that hold the labels: one for most kinds, several 0/1 columns (or one list
    column) for `multilabel`, the inputs to rebuild for `reconstruction`. `classes` holds the labels in output
    order: (negative, positive) for binary, ascending for ordinal. `metric` names an entry of
    `sharewise.study.metrics`; `margin` is the change of that metric that counts as harm, on the metric's own
    scale (relative, or points where the metric can be near zero). A task that comes from a grouped declaration
    carries the declaration's name as `family` and the (group column, group value) on which it is labelled as
    `where`; elsewhere its label is absent. `at_layer` attaches it to a lower layer of a shared trunk (0: the last).
    An `auxiliary` task is trained beside the others and neither judged nor shipped. A task with a `parent` is the
    finer question of the two: its class c belongs to the parent's class number `under[c]`. `inputs` are the inputs
    that it reads, empty for all. A tagging task has a label for each of a row's first `length` tokens; tags of spans
    stand in the order O, B-X, I-X, B-Y, I-Y, ...
    """

    name: str
    kind: TaskKind
    columns: tuple[str, ...]
    metric: str
    margin: float = 0.02
    classes: tuple[Label, ...] = ()
    transform: str = "none"
    class_weights: tuple[float, ...] = ()
    weight: float = 1.0
    primary: bool = False
    family: str | None = None
    where: tuple[str, str] | None = None
    at_layer: int = 0
    length: int = 0
    inputs: tuple[str, ...] = ()
    auxiliary: bool = False
    parent: str | None = None
    under: tuple[int, ...] = ()

    @property
    def n_outputs(self) -> int:
        """Width W of a prediction: classes, labels, cells to rebuild; 1 for binary and regression."""
        match self.kind:
            case TaskKind.BINARY | TaskKind.REGRESSION:
                return 1
            case TaskKind.RECONSTRUCTION:
                return len(self.classes) or len(self.columns)
            case _:
                return len(self.classes)

    @property
    def n_targets(self) -> int:
        """Number of target cells a row has: labels of a multilabel task, cells to rebuild, tokens, else 1."""
        if self.kind in (TaskKind.MULTILABEL, TaskKind.RECONSTRUCTION):
            return self.n_outputs
        return self.length if self.kind is TaskKind.TOKEN_TAGGING else 1

    @property
    def has_probabilities(self) -> bool:
        """True where an answer comes with a probability for each class or label."""
        return self.is_classification and self.kind is not TaskKind.TOKEN_TAGGING

    @property
    def has_spans(self) -> bool:
        """Whether it is a tagging task whose tags make spans: O, B-X, I-X for every type X."""
        types = span_types(self.classes) if self.kind is TaskKind.TOKEN_TAGGING else None
        return types is not None and self.classes == (OUTSIDE, *(f"{mark}-{kind}" for kind in types for mark in "BI"))

    @property
    def is_classification(self) -> bool:
        """True where the answer is a class (or several)."""
        return self.kind not in (TaskKind.REGRESSION, TaskKind.RECONSTRUCTION)


def span_types(tags: Sequence[Label]) -> tuple[str, ...] | None:
    """The types of span tags O, B-X, I-X, ascending; None where the tags are no such tags.

    >>> span_types(["O", "B-place", "I-place", "B-name"])
    ('name', 'place')
    """
    marked = [str(tag) for tag in tags if tag != OUTSIDE]
    if not marked or any(tag[:2] not in ("B-", "I-") or len(tag) == 2 for tag in marked):
        return None
    return tuple(sorted({tag[2:] for tag in marked}))


@dataclass(frozen=True)
class TaskSet:
    """The tasks of a study, in the order of the T axis. Names are unique."""

    tasks: tuple[Task, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        index = {task.name: i for i, task in enumerate(self.tasks)}
        if len(index) != len(self.tasks):
            seen: set[str] = set()
            twice = sorted({t.name for t in self.tasks if t.name in seen or seen.add(t.name)})  # type: ignore[func-returns-value]
            raise ValueError(f"Task names must be unique; however, {twice} occur more than once.")
        object.__setattr__(self, "_index", index)

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __getitem__(self, name: str) -> Task:
        return self.tasks[self._index[name]]

    def __contains__(self, name: object) -> bool:
        return name in self._index

    @property
    def names(self) -> tuple[str, ...]:
        """Task names in order."""
        return tuple(task.name for task in self.tasks)

    def index(self, name: str) -> int:
        """Position of a task on the T axis."""
        return self._index[name]

    @property
    def judged(self) -> TaskSet:
        """The tasks that a study judges and ships: all but the auxiliary ones."""
        return TaskSet(tuple(task for task in self.tasks if not task.auxiliary))

    def subset(self, names: Iterable[str]) -> TaskSet:
        """The named tasks, in this set's order."""
        wanted = set(names)
        return TaskSet(tuple(task for task in self.tasks if task.name in wanted))
