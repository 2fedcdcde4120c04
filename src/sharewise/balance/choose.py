"""From names and parameters, as in a study file, to a balancer; torch is imported only to build one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sharewise.balance import aggregation, scaling, weighting
from sharewise.errors import ConfigError, Problem, nearest

if TYPE_CHECKING:
    from sharewise.balance.engine.balancer import Balancer

ENGINE = ("level", "refresh", "heads", "scale", "clip", "trunk", "freeze_after", "nonfinite")
"""Parameters that belong to the engine and go with any method."""


def names() -> tuple[str, ...]:
    """Every method a study file can name, weightings and aggregators."""
    return tuple(sorted([*weighting.CATALOGUE, *aggregation.CATALOGUE]))


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
    if name in aggregation.CATALOGUE and params.get("level") == "losses":
        found.append(
            Problem(
                f"'{name}' compares task gradients",
                "the level 'losses' has none",
                "set level: representation",
            )
        )
    if "scaling" in params:
        scale, scale_params = _scaling(params["scaling"])
        found += scaling.CATALOGUE.problems(scale, scale_params)
    return found


def make(name: str, params: Mapping[str, Any] | None = None) -> Balancer:
    """The balancer of a choice; raises ConfigError with every problem of it."""
    from sharewise.balance.engine.balancer import Balancer

    params = dict(params or {})
    wrong = problems(name, params)
    if wrong:
        raise ConfigError(wrong)
    engine = {k: params.pop(k) for k in ENGINE if k in params}
    scale = None
    if "scaling" in params:
        scale_name, scale_params = _scaling(params.pop("scaling"))
        scale = scaling.CATALOGUE.build(scale_name, **scale_params)
    if name in weighting.CATALOGUE:
        return Balancer(weighting.CATALOGUE.build(name, **params), scaling=scale, **engine)
    return Balancer(aggregation.CATALOGUE.build(name, **params), scaling=scale, **engine)


def sweep(tasks: tuple[str, ...], points: int = 5, spread: float = 4.0) -> list[tuple[str, dict[str, Any]]]:
    """A sweep of static weights: equal, and each task up and down by `spread`, as (name, params) pairs.

    The front of plain weights that any method must beat. `points` - 1 choices beside the equal ones, spread
    over tasks in turn; two tasks get a line from 1 : spread to spread : 1.
    """
    if len(tasks) == 2:
        ratios = [spread ** (2.0 * i / max(points - 1, 1) - 1.0) for i in range(points)]
        return [("static", {"weights": {tasks[0]: r**0.5, tasks[1]: r**-0.5}}) for r in ratios]
    found: list[tuple[str, dict[str, Any]]] = [("static", {"weights": dict.fromkeys(tasks, 1.0)})]
    for i in range(points - 1):
        factor = spread if i // len(tasks) % 2 == 0 else 1.0 / spread
        found.append(("static", {"weights": dict.fromkeys(tasks, 1.0) | {tasks[i % len(tasks)]: factor}}))
    return found


def _scaling(given: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(given, str):
        return given, {}
    rest = dict(given)
    return str(rest.pop("name", "")), rest
