"""From names and parameters, as in a study file, to what balances; torch is imported only to build it.

One path serves everybody: `make` for one method by name in an own loop, `build` for all that a study file says.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sharewise.balance import aggregation, sampling, scaling, unequal, weighting
from sharewise.catalogue import Catalogue
from sharewise.errors import ConfigError, Problem, nearest
from sharewise.seeds import derive

if TYPE_CHECKING:
    from sharewise.balance.contracts import Aggregator, Directional, Weighting
    from sharewise.balance.engine.balancer import Balancer
    from sharewise.balance.sampling.base import Sampler
    from sharewise.balance.unequal.freezer import Freezer
    from sharewise.balance.unequal.rates import TaskRates
    from sharewise.balance.unequal.stopper import Stopper

ENGINE = ("level", "refresh", "heads", "scale", "clip", "trunk", "freeze_after", "nonfinite")
"""Parameters that belong to the engine and go with any method."""

BY_TASK = ("Mapping[str, float]", "Mapping[str, int]")
"""Annotations of parameters whose keys are tasks."""

KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "float": ((int, float), "a number"),
    "float | None": ((int, float, type(None)), "a number"),
    "int": ((int,), "a whole number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "text"),
}
"""Annotations of plain parameters: what a value may be, and its name."""

Checkpoint = Literal["group", "task", "primary"]
"""Whose validation loss decides which epoch is kept: the group's mean, each task's own, or the primary task's."""


@dataclass(frozen=True)
class Balance:
    """Everything that balances the tasks of one model; what is None is left to the training loop's own way.

    `method` is the name of what the balancer runs.
    """

    balancer: Balancer
    method: str = "equal"
    sampler: Sampler | None = None
    rates: TaskRates | None = None
    freezer: Freezer | None = None
    stopper: Stopper | None = None
    checkpoint: Checkpoint | None = None


def names() -> tuple[str, ...]:
    """Every method a study file can name, weightings and aggregators."""
    return tuple(sorted([*weighting.CATALOGUE, *aggregation.CATALOGUE]))


def kind_of(name: str) -> Literal["weighting", "aggregator"]:
    """Which family a method belongs to."""
    return "weighting" if name in weighting.CATALOGUE else "aggregator"


def problems(name: str, params: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a choice, without importing torch.

    `params` are the method's, the engine's (`ENGINE`) and `scaling`: a name, or a mapping with `name`.
    """
    rest = {k: v for k, v in params.items() if k not in ENGINE and k != "scaling"}
    if name not in names() and ":" not in name:
        return [
            Problem(
                "A balance must be a weighting or an aggregator",
                f"'{name}' is neither",
                nearest(name, names()),
            )
        ]
    family = weighting.CATALOGUE if name in weighting.CATALOGUE else aggregation.CATALOGUE
    known = {p.name for p in family.parameters(name)}
    found = [p for p in family.problems(name, rest) if "must be known" not in p.rule]
    found += [
        Problem(
            f"A parameter of '{name}' must be known",
            f"'{key}' is not",
            nearest(key, [*known, *ENGINE, "scaling"]),
        )
        for key in rest
        if key not in known
    ]
    found += [
        Problem(f"'{p.name}' of '{name}' must be {KINDS[p.annotation][1]}", f"it is '{rest[p.name]}'")
        for p in family.parameters(name)
        if p.name in rest and p.annotation in KINDS and not isinstance(rest[p.name], KINDS[p.annotation][0])
    ]
    found += engine_problems(name, params)
    if "scaling" in params:
        scale = _named(params["scaling"])
        found += scaling.CATALOGUE.problems(scale["name"], scale["params"])
    return found


def engine_problems(method: str | None, engine: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the engine's keys beside a method (None: equal weights), without importing torch."""
    found: list[Problem] = []
    if method in aggregation.CATALOGUE and engine.get("level") == "losses":
        found.append(
            Problem(
                f"'{method}' compares task gradients",
                "the level 'losses' has none",
                "set level: representation",
            )
        )
    at_losses = method not in aggregation.CATALOGUE and engine.get("level") in (None, "losses")
    said = [key for key in ("clip", "scale") if engine.get(key) not in (None, "native")]
    if at_losses and said:
        found.append(
            Problem(
                f"'{said[0]}' acts on a direction made of task gradients",
                f"'{method or 'equal'}' compares none",
                "set level: representation, or remove it",
            )
        )
    return found


def make(name: str, params: Mapping[str, Any] | None = None) -> Balancer:
    """The balancer of a choice; raises ConfigError with every problem of it."""
    params = dict(params or {})
    wrong = problems(name, params)
    if wrong:
        raise ConfigError(wrong)
    said: dict[str, Any] = {k: params.pop(k) for k in ENGINE if k in params}
    if "scaling" in params:
        said["scaling"] = _named(params.pop("scaling"))
    return build({**said, kind_of(name): {"name": name, "params": params}}).balancer


def build(said: Mapping[str, Any]) -> Balance:
    """What balances a model, from plain data whose keys and parameters are known to be right.

    `weighting` or `aggregator` (neither: equal weights), `scaling` and `sampler` are `{"name", "params"}`; `rates`,
    `freeze` and `stop` are parameters; `checkpoint` and the keys of `ENGINE` are values. Raises ConfigError for a
    value that a method refuses.
    """
    from sharewise.balance.engine.balancer import Balancer

    engine = {key: said[key] for key in ENGINE if said.get(key) is not None}
    scale = scaling.CATALOGUE.build(said["scaling"]["name"], **said["scaling"]["params"]) if "scaling" in said else None
    chosen = said.get("aggregator") or said.get("weighting") or {"name": "equal", "params": {}}
    method: Weighting | Aggregator | Directional
    if "aggregator" in said:
        method = aggregation.CATALOGUE.build(chosen["name"], **chosen["params"])
    else:
        method = weighting.CATALOGUE.build(chosen["name"], **chosen["params"])
    sampler = None
    if "sampler" in said:
        sampler = sampling.CATALOGUE.build(said["sampler"]["name"], **said["sampler"]["params"])
    rules = {key: unequal.CATALOGUE.build(key, **said[key]) for key in unequal.CATALOGUE if key in said}
    return Balance(
        Balancer(method, scaling=scale, **engine),
        chosen["name"],
        sampler=sampler,
        rates=rules.get("rates"),
        freezer=rules.get("freeze"),
        stopper=rules.get("stop"),
        checkpoint=said.get("checkpoint"),
    )


def task_names(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(place, task) for every task that plain data for `build` names: keys of mappings by task, and `task`."""
    found: list[tuple[str, str]] = []
    for place, params, by_task in _by_task(said):
        found += [(f"{place}: {key}", str(task)) for key in by_task for task in params[key]]
        if isinstance(params.get("task"), str):
            found.append((f"{place}: task", params["task"]))
    return found


def renamed(said: Mapping[str, Any], names_of: Callable[[str], Sequence[str]]) -> dict[str, Any]:
    """The same data with every key of a mapping by task replaced by none, one or several tasks."""
    made: dict[str, Any] = copy.deepcopy(dict(said))
    for _, params, by_task in _by_task(made):
        for key in by_task:
            params[key] = {task: value for name, value in params[key].items() for task in names_of(str(name))}
    return made


def _by_task(said: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """(place, parameters, names of those that map tasks to numbers) of everything that has parameters."""
    families: dict[str, Catalogue[Any]] = {
        "weighting": weighting.CATALOGUE,
        "aggregator": aggregation.CATALOGUE,
        "sampler": sampling.CATALOGUE,
        **dict.fromkeys(unequal.CATALOGUE, unequal.CATALOGUE),
    }
    for place, family in families.items():
        if place not in said:
            continue
        one = place in unequal.CATALOGUE
        name, params = (place, said[place]) if one else (said[place]["name"], said[place]["params"])
        by_task = [p.name for p in family.parameters(name) if any(m in p.annotation for m in BY_TASK)]
        yield place, params, [key for key in by_task if isinstance(params.get(key), Mapping)]


def sweep(tasks: Sequence[str], n: int, seed: int = 0) -> list[dict[str, Any]]:
    """`n` draws of static weights, as plain data for `build`: the front of plain sums that any method must beat.

    The first weighs all tasks equally. Two tasks get evenly spaced shares between 0 and 1; more tasks get uniform
    draws from the simplex (Dirichlet with parameter 1). Weights sum to the number of tasks.
    """
    k = len(tasks)
    shares = [[1.0 / k] * k]
    if k == 2:
        steps = n // 2
        above = [0.5 + 0.5 * (i + 1) / (steps + 1) for i in range(steps)]
        shares += [pair for x in above for pair in ([x, 1 - x], [1 - x, x])]
    else:
        generator = random.Random(derive(seed, "sweep", *tasks))
        for _ in range(n - 1):
            draws = [generator.expovariate(1.0) for _ in tasks]
            shares.append([d / sum(draws) for d in draws])
    made = []
    for share in shares[:n]:
        weights = {task: float(f"{max(w * k, 1e-3):.4g}") for task, w in zip(tasks, share, strict=True)}
        made.append({"weighting": {"name": "static", "params": {"weights": weights}}})
    return made


def _named(given: str | Mapping[str, Any]) -> dict[str, Any]:
    """A name with parameters in one mapping, `{name, PARAMETER: VALUE}`, as `{"name", "params"}`."""
    if isinstance(given, str):
        return {"name": given, "params": {}}
    rest = dict(given)
    return {"name": str(rest.pop("name", "")), "params": rest}
