"""What tuning varies beside the learning rate, weight decay and dropout: sizes, optimiser, loss weights, balance.

A space follows from an arm's variant and a group's tasks alone. Arms of one kind get the same space as far as it
applies: one task alone has widths and depths, but no weights among losses and nothing to balance.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from sharewise.models.space import OneOf, Range, Space
from sharewise.plan import Choice
from sharewise.seeds import derive
from sharewise.study.choices import ARCHITECTURE
from sharewise.study.design import Variant, method_of
from sharewise.tasks import Task

SEARCHED = ("architecture", "optimiser", "weights", "balance")
"""What a study file may add to the space, in the order in which it is drawn."""

WIDTHS = ("width", "size", "rank")
"""Sizes of an architecture of which the half and the double are tried."""
DEPTHS = ("depth", "n_experts", "n_shared")
"""Sizes of which one less and one more are tried."""

SPLIT = "own_layers"
"""Uppermost layers that each task of a shared hard trunk has to itself: 0 or 1."""

OPTIMISER: Space = {
    "beta2": OneOf((0.9, 0.95, 0.99, 0.999)),
    "warmup": OneOf((0.0, 0.05, 0.2)),
    "clip": OneOf((0.3, 1.0, 10.0)),
}
"""Fields of a recipe that the optimiser reads."""

WEIGHT = "weight of "
"""Before a task's name: the static weight of its loss, on a log scale, before all weights are made to sum to T."""
WEIGHTS = Range(0.25, 4.0, "log")

BALANCES = OneOf(("equal", "uncertainty", "dwa", "imtl_l", "upgrad", "pcgrad"))
"""Two learn weights, one reads the losses' pace, one their logarithms, two compare task gradients."""

RATES = ("optimiser",)
"""What is searched where the model's sizes are given."""

TUNED = ("lr", "weight_decay", "dropout")
"""What every neural trial varies, member by member of a cohort; all else makes another stack."""


def further(searched: Collection[str], variant: Variant, tasks: Sequence[Task]) -> tuple[dict[str, Any], Space]:
    """Defaults and ranges of what is searched beyond `TUNED` for a model of these tasks.

    What an arm itself declares stays: a method of balance other than equal weights, and where tasks leave the trunk.
    """
    default: dict[str, Any] = {}
    space: dict[str, Range | OneOf] = {}

    def add(name: str, now: Any, what: Range | OneOf) -> None:
        default[name], space[name] = now, what

    if "architecture" in searched:
        for name, now, sizes in _sizes(variant.architecture, tasks):
            add(name, now, sizes)
    if "optimiser" in searched:
        from sharewise.training.recipe import Recipe

        usual = asdict(Recipe())
        for name, what in OPTIMISER.items():
            add(name, variant.recipe.get(name, usual[name]), what)
    plain = not {"weighting", "aggregator"} & variant.balance.keys() or method_of(variant) == "static"
    if len(tasks) > 1 and plain:
        said = variant.balance.get("weighting", {}).get("params", {}).get("weights") or {}
        if "weights" in searched:
            for task in tasks:
                weight = float(said.get(task.name, 1.0))
                add(WEIGHT + task.name, weight, Range(min(WEIGHTS.low, weight), max(WEIGHTS.high, weight), "log"))
        if "balance" in searched and not said:
            add("balance", "equal", BALANCES)
    return default, space


def _sizes(choice: Choice, tasks: Sequence[Task]) -> list[tuple[str, int, OneOf]]:
    """(name, the arm's own value, what is tried) of every size that the architecture has."""
    known = {p.name: p.default for p in ARCHITECTURE.parameters(choice.name)}
    said = {name: choice.params.get(name, default) for name, default in known.items()}
    now = {name: size for name in (*WIDTHS, *DEPTHS) if isinstance(size := said.get(name), int)}
    attached = max((task.at_layer or 0 for task in tasks), default=0)
    split = said.get("split")
    made = []
    for name, size in now.items():
        tried = {max(size // 2, 1), size, 2 * size}
        if name in DEPTHS:
            least = max([1, *_whole(split), attached] if name == "depth" else [1])
            tried = {n for n in (size - 1, size, size + 1) if n >= least}
        made.append((name, size, OneOf(tuple(sorted(tried)))))
    if choice.name == "hard" and len(tasks) > 1 and split is None and not attached:
        made.append((SPLIT, 0, OneOf((0, 1))))
    return made


def _whole(split: object) -> list[int]:
    """The shared layers that a split names."""
    given = split.values() if isinstance(split, Mapping) else [split]
    return [n for n in given if isinstance(n, int)]


def sizes_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes that a trial's model has, without those of single tasks' parts."""
    return {name: params[name] for name in (*WIDTHS, *DEPTHS) if name in params}


def drawn(default: Mapping[str, Any], space: Space, number: int, seed: int) -> dict[str, Any]:
    """Trial `number` of the built-in search: the default first, then draws whose luck hangs on the parameter's name
    alone, so that trial n has the same width in every arm that has a width."""
    made = dict(default)
    for name, what in space.items() if number else ():
        random = np.random.default_rng(derive(seed, "trial", number, name))
        if isinstance(what, OneOf):
            made[name] = what.values[int(random.integers(len(what.values)))]
        elif what.law == "uniform":
            made[name] = float(random.uniform(what.low, what.high))
        else:
            value = float(np.exp(random.uniform(np.log(what.low), np.log(what.high))))
            made[name] = round(value) if what.law == "whole" else value
    return made


def beyond(params: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial's parameters change in how the model is built, weighed and trained."""
    return {name: value for name, value in params.items() if name not in TUNED}


def applied(variant: Variant, params: Mapping[str, Any]) -> Variant:
    """The variant with a trial's parameters in it."""
    params = beyond(params)
    if not params:
        return variant
    sizes = {name: int(params[name]) for name in (*WIDTHS, *DEPTHS) if name in params}
    if params.get(SPLIT):
        sizes["split"] = sizes["depth"] - int(params[SPLIT])
    choice = replace(variant.architecture, params={**variant.architecture.params, **sizes})
    recipe = {**variant.recipe, **{name: params[name] for name in OPTIMISER if name in params}}
    return replace(variant, architecture=choice, recipe=recipe, balance=_balanced(variant.balance, params))


def _balanced(said: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Balance with a trial's method; its weights count where the method is to weigh all losses equally."""
    from sharewise.balance.choose import kind_of

    method = params.get("balance", "equal")
    given = {name.removeprefix(WEIGHT): value for name, value in params.items() if name.startswith(WEIGHT)}
    if method != "equal":
        return {**said, kind_of(method): {"name": method, "params": {}}}
    if len(set(given.values())) <= 1:
        return dict(said)
    scale = len(given) / sum(given.values())
    weights = {task: float(f"{scale * weight:.4g}") for task, weight in given.items()}
    return {**said, "weighting": {"name": "static", "params": {"weights": weights}}}
