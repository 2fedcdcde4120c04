"""The contract of interventions: what is suspected from runs at hand, and what to change to put it to the test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sharewise.causes import Hypothesis, Remedy
from sharewise.plan import Choice, Group
from sharewise.records import Curve, RunRecord, Status
from sharewise.study.design import Variant
from sharewise.study.prepare import Prepared
from sharewise.tasks import TaskKind
from sharewise.training.recipe import Recipe

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Change:
    """One thing that is done differently; everything else, seeds and tuned values included, stays.

    `shared` builds the group's model, `alone` the task's single model where that is changed too (None: it stays).
    `without` names a partner that leaves the group, `hidden` the rows whose labels of a partner are not used.
    """

    name: str
    text: str
    shared: Variant
    remedy: Remedy
    alone: Variant | None = None
    without: str | None = None
    hidden: Mapping[str, Rows] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One harmed task: its group, how the models are made, and the unchanged runs to look at.

    `shared` and `single` are the finished fresh runs of the group's model and of the task alone; `others` holds one run
    of every partner alone.
    """

    task: str
    group: Group
    shared_variant: Variant
    alone_variant: Variant
    prepared: Prepared
    shared: tuple[RunRecord, ...]
    single: tuple[RunRecord, ...]
    others: Mapping[str, RunRecord]

    @property
    def partners(self) -> tuple[str, ...]:
        """The other tasks of the group."""
        return tuple(t for t in self.group.tasks if t != self.task)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of the shared model."""
        return Recipe(**{**self.prepared.recipe, **self.shared_variant.recipe})

    def labels(self, task: str) -> int:
        """Labelled train rows."""
        return len(self.prepared.rows_of(task, "train"))

    def rows(self) -> int:
        """Train rows of the group."""
        return len(self.prepared.data.rows_of_any(self.prepared.numbers(self.group.tasks), "train"))

    def relative(self, task: str, loss: float) -> float:
        """A loss over that of the best constant answer."""
        return loss / float(self.prepared.data.scales[self.prepared.tasks.index(task)])

    def skill(self, partner: str) -> float | None:
        """1 - validation loss of a partner's single model at its best over that of the train rows' best constant on the
        same rows; at most zero: it learnt nothing. The rows must be the same: few of them differ from the train rows in
        spread by more than a noise task could ever be learnt.
        """
        record = self.others.get(partner)
        if record is None or record.status is not Status.DONE or partner not in record.curves:
            return None
        least = lowest(record.curves[partner])
        if least is None:
            return None
        data = self.prepared.data
        number = self.prepared.tasks.index(partner)
        spread = 1.0
        if self.prepared.tasks[partner].kind is TaskKind.REGRESSION:
            rows, where = data.rows_of(number, "validation"), data.targets.slices[number]
            # Numbers are standardised by the train rows: the constant is 0 and its loss the mean square.
            spread = float(np.mean(data.targets.values.cpu().numpy()[rows, where] ** 2))
        return 1.0 - self.relative(partner, least) / max(spread, 1e-12)


class Intervention(ABC):
    """A family of changes that remove one possible cause. `cause` is what its success convicts.

    `upstream` causes are faults that are there before anything is shared: labels, loss weights. Strongly suspected,
    they are tried before all others, the surest first, since an earlier epoch or a partner left out would take away
    what they do and hide them.
    """

    name: ClassVar[str]
    cause: ClassVar[str]
    upstream: ClassVar[bool] = False

    @abstractmethod
    def changes(self, case: Case) -> Sequence[Change]:
        """What to try, cheapest first; empty where it does not apply to this case."""

    @abstractmethod
    def suspicion(self, case: Case) -> Hypothesis | None:
        """What runs at hand hint at; None where they say nothing about it."""

    def convicted(self, change: Change) -> str:
        """The cause in words when `change` convicts."""
        return self.cause


def variant(base: Variant, **changes: Any) -> Variant:
    """`base` with other parts."""
    return replace(base, **changes)


def with_params(base: Variant, **params: Any) -> Variant:
    """`base` with other parameters of its architecture."""
    return replace(base, architecture=Choice(base.architecture.name, {**base.architecture.params, **params}))


def lowest(curve: Curve) -> float | None:
    """Least validation loss of a curve."""
    given = [v for v in curve.validation_loss if v is not None]
    return min(given) if given else None


def at_epoch(curve: Curve, epoch: int, losses: Sequence[float | None]) -> float | None:
    """The loss of the evaluation at `epoch`, the last one where several fall into it."""
    found = [v for e, v in zip(curve.epochs, losses, strict=True) if e == epoch and v is not None]
    return found[-1] if found else None


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of the numbers among `values`, None where there is none."""
    given = [v for v in values if v is not None]
    return float(np.mean(given)) if given else None


def share_of(series: Mapping[str, Sequence[float | None]], task: str) -> float | None:
    """A task's mean share (of losses, of gradient norms) over a run; None where it was not measured."""
    return mean(series.get(task, ()))


def strength(value: float, threshold: float, full: float) -> float:
    """0.5 where a signal reaches its threshold, 1 where it is at `full`, linear on either side."""
    if full == threshold:
        return 1.0 if value >= threshold else 0.0
    return float(np.clip(0.5 + 0.5 * (value - threshold) / (full - threshold), 0.0, 1.0))
