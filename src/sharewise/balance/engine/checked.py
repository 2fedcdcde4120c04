"""What a user hands to a balancer, checked where it comes in: a sentence here spares a riddle later."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from torch import Tensor, nn

from sharewise.balance.contracts import Aggregator, Directional, TaskFacts, Weighting
from sharewise.errors import ConfigError, Problem, nearest

Option = TypeVar("Option", bound=StrEnum)


def option(kind: type[Option], name: str, value: Option | str) -> Option:
    """The member of an engine's choice; raises ConfigError with the nearest one."""
    valid = [str(member) for member in kind]
    if value not in valid:
        raise ConfigError(
            Problem(f"A balancer's '{name}' must be known", f"'{value}' is not", nearest(str(value), valid))
        )
    return kind(value)


def method(given: object) -> None:
    """Raise ConfigError for what is no method, such as a name or a class."""
    if isinstance(given, Weighting | Aggregator | Directional):
        return
    remedy = "call it, as in Nash()"
    if isinstance(given, str):
        remedy = f"make it by choose.make('{given}')"
    said = given.__name__ if isinstance(given, type) else repr(given)
    raise ConfigError(Problem("A balancer runs a weighting or an aggregator", f"{said} is no object of either", remedy))


def numbers(refresh: object, clip: object, freeze_after: object, nonfinite: object) -> None:
    """Raise ConfigError for engine values outside their range."""
    found = []
    if not isinstance(refresh, int) or refresh < 0:
        found.append(Problem("'refresh' must be a number of steps, or 0", f"it is {refresh}"))
    if clip is not None and not (isinstance(clip, int | float) and clip > 0):
        found.append(Problem("'clip' must be a positive length", f"it is {clip}"))
    if freeze_after is not None and not (isinstance(freeze_after, int) and freeze_after > 0):
        found.append(Problem("'freeze_after' must be a number of epochs, at least 1", f"it is {freeze_after}"))
    if nonfinite not in (None, "raise", "skip"):
        found.append(Problem("'nonfinite' must be raise or skip", f"it is '{nonfinite}'"))
    if found:
        raise ConfigError(found)


def features(given: object) -> None:
    """Raise ConfigError for features that are no tensor."""
    if not isinstance(given, Tensor):
        raise ConfigError(
            Problem(
                "Shared features must be tensors",
                f"one is a {type(given).__name__}",
                "give several as copies(first, second)",
            )
        )


def parameters(shared: Iterable[Tensor] | None) -> list[Tensor] | None:
    """The shared parameters that are trained; raises ConfigError for a module, or names with parameters."""
    if shared is None:
        return None
    if isinstance(shared, nn.Module | Tensor):
        fact, remedy = f"it is one {type(shared).__name__}", "pass shared=module.parameters()"
        raise ConfigError(Problem("'shared' must be several parameters", fact, remedy))
    given = list(shared)
    wrong = [entry for entry in given if not isinstance(entry, Tensor)]
    if wrong:
        fact = f"one entry is a {type(wrong[0]).__name__}"
        raise ConfigError(
            Problem("'shared' must be parameters", fact, "pass module.parameters(), not module.named_parameters()")
        )
    return [p for p in given if p.requires_grad]


def per_task(values: object, facts: TaskFacts, what: str) -> None:
    """Raise ConfigError for values that are not (..., T)."""
    if not isinstance(values, Tensor) or values.dim() == 0 or values.shape[-1] != facts.n_tasks:
        shape = tuple(values.shape) if isinstance(values, Tensor) else f"that of a {type(values).__name__}"
        raise ConfigError(Problem(f"{what} must be a tensor (..., {facts.n_tasks})", f"the shape is {shape}"))


def scores(given: object, wanted: bool, name: str) -> None:
    """Raise ConfigError where a method reads validation scores and none are given."""
    if wanted and given is None:
        raise ConfigError(
            Problem(
                f"'{name}' needs validation scores in [0, 1] after every epoch",
                "none are given",
                "call balancer.after_epoch(means, scores=scores)",
            )
        )
