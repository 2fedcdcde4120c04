"""The contracts of the room: what a weighting, a scaling, an aggregator is, needs and claims.

Every method works on one member, losses (T,), or on a stack of members, losses (M, T): the task axis is last
and every leading axis is a member. What a method remembers lies in buffers (or parameters) with the same
leading axis, so that a member leaves a stack by indexing, and a saved run goes on where it stopped.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from sharewise.balance.noise import Noise
from sharewise.errors import ConfigError, Problem, nearest


@dataclass(frozen=True)
class Needs:
    """What a method asks of the engine beyond the losses of the step.

    `losses_after_step`: call `after_step` with the same batch's losses, evaluated after the optimiser's step;
    `epoch_means`: call `after_epoch` with the epoch's mean loss per task; `epoch_scores`: also hand it a
    validation score per task in [0, 1], bigger is better; `label_counts`, `label_variances`, `n_classes`:
    give them in `TaskFacts`; `optimised`: the method's parameters must be in an optimiser.
    """

    losses_after_step: bool = False
    epoch_means: bool = False
    epoch_scores: bool = False
    label_counts: bool = False
    label_variances: bool = False
    n_classes: bool = False
    optimised: bool = False

    def __or__(self, other: Needs) -> Needs:
        return Needs(*(a or b for a, b in zip(_values(self), _values(other), strict=True)))


def _values(needs: Needs) -> tuple[bool, ...]:
    return tuple(bool(needs.__dict__[f.name]) for f in fields(needs))


class Claim(StrEnum):
    """A property a method promises; the contract suite runs it over ugly inputs."""

    NON_CONFLICTING = "no task's gradient opposes the direction: G w >= 0"
    SCALE_INVARIANT = "multiplying one task's loss by a constant changes no direction"
    CONVEX = "weights are non-negative and sum to one over the tasks present"
    STATELESS = "nothing is remembered between steps"
    DETERMINISTIC = "nothing is drawn at random"


@dataclass(frozen=True)
class TaskFacts:
    """What is known about the tasks before training; everything but their number may be left out.

    `names` (T) also seed the noise of random methods, so that a task's luck does not depend on its position.
    `label_counts` (T) training labels per task; `label_variances` (T) of regression targets in the unit the
    loss sees, 1 elsewhere; `n_classes` (T), 1 for regression; `primary` the task that auxiliary ones must
    serve. `elsewhere` are tasks that the user may name although other models train them.
    """

    n_tasks: int
    names: tuple[str, ...] = ()
    label_counts: tuple[float, ...] = ()
    label_variances: tuple[float, ...] = ()
    n_classes: tuple[int, ...] = ()
    primary: int | None = field(default=None)
    elsewhere: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("names", "label_counts", "label_variances", "n_classes"):
            given = len(self.__dict__[name])
            if given not in (0, self.n_tasks):
                raise ConfigError(Problem(f"'{name}' must have one entry per task ({self.n_tasks})", f"it has {given}"))
        twice = next((name for i, name in enumerate(self.names) if name in self.names[:i]), None)
        if twice is not None:
            raise ConfigError(Problem("Names of tasks must differ", f"'{twice}' is given twice"))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the tasks, or their positions where no names were given."""
        return self.names or tuple(str(i) for i in range(self.n_tasks))

    def position(self, name: str, rule: str) -> int | None:
        """Position of a task by name, None where another model trains it; raises ConfigError for any other name."""
        if name in self.labels:
            return self.labels.index(name)
        if name in self.elsewhere:
            return None
        raise ConfigError(Problem(rule, f"'{name}' is none", nearest(name, [*self.labels, *self.elsewhere])))


class Method(nn.Module, ABC):
    """What every balancing method has: needs and claims, the tasks and seeds it is built for, its state.

    A constructor takes hyper-parameters only; `build` takes what the engine knows. A method without state
    works without being built.
    """

    needs: Needs = Needs()
    claims: ClassVar[frozenset[Claim]] = frozenset()

    def __init__(self) -> None:
        super().__init__()
        self.facts: TaskFacts | None = None

    def build(self, tasks: int | TaskFacts, seeds: int | Sequence[int] = 0) -> Self:
        """Make the state for `tasks`: one member where `seeds` is a number, M members where it is a sequence.

        Raises ConfigError where a fact that the method needs is missing.
        """
        facts = TaskFacts(tasks) if isinstance(tasks, int) else tasks
        if facts.n_tasks < 1:
            raise ConfigError(Problem("A method is built for at least one task", f"there are {facts.n_tasks}"))
        self._check(facts)
        self.facts = facts
        stacked = not isinstance(seeds, int)
        members: tuple[int, ...] = (len(seeds),) if isinstance(seeds, Sequence) else ()
        self._state(facts, (*members, facts.n_tasks))
        for module in self.modules():
            if isinstance(module, Noise):
                module.build(facts.labels, list(seeds) if isinstance(seeds, Sequence) else [seeds], stacked)
        for child in self.children():
            if isinstance(child, Method):
                child.build(facts, seeds)
        return self

    def _check(self, facts: TaskFacts) -> None:
        wanted = {
            "label_counts": (self.needs.label_counts, facts.label_counts),
            "label_variances": (self.needs.label_variances, facts.label_variances),
            "n_classes": (self.needs.n_classes, facts.n_classes),
        }
        missing = [name for name, (need, given) in wanted.items() if need and not given]
        if missing:
            raise ConfigError(
                Problem(
                    f"'{type(self).__name__}' needs {' and '.join(missing)} for every task",
                    "none is given",
                    f"pass TaskFacts({facts.n_tasks}, {missing[0]}=(...)) to build",
                )
            )

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        """Register buffers and parameters whose leading axes are `shape[:-1]`; nothing by default."""

    def keep(self, index: Tensor) -> None:
        """Let members leave a stack: index the leading axis of all state with `index` (bool or long).

        Parameters keep their identity; whoever optimises them indexes the optimiser's own state alike.
        """
        for module in self.modules():
            for name, buffer in list(module.named_buffers(recurse=False)):
                module.register_buffer(name, buffer[index])
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data[index]
                parameter.grad = None if parameter.grad is None else parameter.grad[index]

    def _built(self) -> TaskFacts:
        if self.facts is None:
            raise ConfigError(
                Problem(
                    f"'{type(self).__name__}' must be built for its tasks before its first step",
                    "it is not",
                    "call build(n_tasks) once, before the optimiser is made",
                )
            )
        return self.facts

    def after_step(self, before: Tensor, after: Tensor, present: Tensor | None = None) -> None:
        """Take note of one batch's losses (..., T) before and after the optimiser's step."""

    def after_epoch(self, means: Tensor, present: Tensor | None = None, scores: Tensor | None = None) -> None:
        """Take note of an epoch's mean losses (..., T), and validation scores where `needs.epoch_scores`."""


class Scaling(Method):
    """Rescales losses before any weighting or aggregator sees them.

    `forward` (..., T) -> (..., T) is differentiable; its derivative is the scale, which the engine measures.
    `observe` updates running state once per step, before `forward`.
    """

    def observe(self, losses: Tensor, present: Tensor) -> None:
        """Update what is remembered, for tasks present only; `losses` are detached."""

    @abstractmethod
    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Scaled losses (..., T)."""


class Weighting(Method):
    """Losses (..., T) to one objective per member (...,): one backward pass, cost 1.0.

    The effective weights, d objective / d loss, are measured by the engine and never self-reported. `forward`
    is called once per step and may move buffers. An absent task (`present` False) must move nothing and count
    for nothing; its loss may be any finite number.
    """

    @abstractmethod
    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,) of the losses of the tasks present."""


class Aggregator(Method):
    """Gramian of the task gradients (..., T, T) to weights (..., T); the update direction is J^T w.

    Call the module: it masks absent tasks (and tasks whose gradient is not finite), goes to float64 and calls
    `weights`, which sees zero rows and columns where `present` is False.
    """

    def forward(self, gramian: Tensor, losses: Tensor, present: Tensor | None = None) -> Tensor:
        """Weights (..., T) in the Gramian's dtype; zero for absent tasks. Losses are detached."""
        if gramian.shape[-1] != gramian.shape[-2] or gramian.shape[:-1] != losses.shape:
            raise ConfigError(
                Problem(
                    "A Gramian must be (..., T, T) for losses (..., T)",
                    f"they are {tuple(gramian.shape)} and {tuple(losses.shape)}",
                )
            )
        exact, clean = gramian.detach().double(), losses.detach().double()
        if math.isfinite(float(exact.sum())) and (present is None or bool(present.all())):
            present = torch.ones_like(clean, dtype=torch.bool) if present is None else present
            return self.weights((exact + exact.mT).mul_(0.5), clean, present).to(gramian.dtype)
        finite = exact.diagonal(dim1=-2, dim2=-1).isfinite()
        present = finite if present is None else present & finite
        both = present.unsqueeze(-1) & present.unsqueeze(-2)
        exact = exact.masked_fill(~both, 0.0)
        weights = self.weights(0.5 * (exact + exact.mT), clean.masked_fill(~present, 0.0), present)
        return weights.masked_fill(~present, 0.0).to(gramian.dtype)

    @abstractmethod
    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T) in float64 of a float64 Gramian whose absent rows and columns are zero."""


class Directional(Method):
    """Task gradients, entry by entry, to one direction; streamed block by block (parameter, or features).

    For the few methods that need more than the Gramian. `prepare` is called once per step, then `direction`
    for every block, numbered from 0 in a fixed order.
    """

    def prepare(self, losses: Tensor, present: Tensor) -> None:
        """Take note of the step's losses (..., T) and of the tasks present."""

    @abstractmethod
    def direction(self, rows: Tensor, values: Tensor | None, present: Tensor, block: int) -> Tensor:
        """Direction (..., P) of one block from its task gradients `rows` (..., T, P).

        `values` (..., P) are the features themselves, None at parameters; `present` (..., T).
        """
