"""A study file's `balance:` as plain data: its short forms, what is wrong with it, and its sweeps as candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sharewise.balance import aggregation, choose, unequal, weighting
from sharewise.errors import ConfigError, Problem, nearest
from sharewise.study.choices import AGGREGATOR, WEIGHTING, wrong_parameters
from sharewise.tasks import TaskSet

if TYPE_CHECKING:
    from sharewise.study.design import Design
    from sharewise.study.prepare import Prepared

SHORT: dict[str, dict[bool | str, dict[str, Any]]] = {
    "freeze": {True: {}},
    "stop": {watch: {"watch": watch} for watch in ("all", "primary", "composite")},
}
"""What `freeze: true` and `stop: primary` mean."""


def long_form(said: object) -> object:
    """`nash` as `{aggregator: nash}`; anything else as it is. Raises ValueError with a problem for an unknown name."""
    if not isinstance(said, str):
        return said
    if said in weighting.CATALOGUE:
        return {WEIGHTING.key: said}
    if said in aggregation.CATALOGUE:
        return {AGGREGATOR.key: said}
    rule = "A balance is a weighting or an aggregator"
    raise ValueError(Problem(rule, f"'{said}' is neither", nearest(said, choose.names())))


def rule(key: str, said: object) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Parameters of a rule for unequal convergence (`rates`, `freeze`, `stop`), or what is wrong with them."""
    if isinstance(said, str | bool) and said in SHORT.get(key, {}):
        said = SHORT[key][said]
    if not isinstance(said, Mapping):
        remedy = nearest(said, [k for k in SHORT.get(key, {}) if isinstance(k, str)]) if isinstance(said, str) else ""
        return None, [Problem(f"'{key}' is a mapping of parameters", f"it is {said!r}", remedy)]
    params = {str(k): v for k, v in said.items()}
    found = unequal.CATALOGUE.problems(key, params)
    found = found or [p for item in unequal.CATALOGUE.parameters(key) for p in wrong_parameters(key, item, params)]
    return (None, found) if found else (params, [])


def conflicts(said: Mapping[str, Any]) -> list[Problem]:
    """What does not go together in a balance, given as the plain data that `choose.build` takes."""
    methods = [key for key in ("weighting", "aggregator") if key in said]
    if len(methods) == 2:
        fact = f"'{said['weighting']['name']}' and '{said['aggregator']['name']}' are given"
        remedy = "Keep one of them; a scaling goes with either"
        return [Problem("A step has one method, a weighting or an aggregator", fact, remedy)]
    if "sweep" in said and methods:
        fact = f"'{said[methods[0]]['name']}' is given beside it"
        return [Problem("A sweep is of plain static weights", fact, "Remove one of them")]
    return choose.engine_problems(said[methods[0]]["name"] if methods else None, said)


def unknown_tasks(said: Mapping[str, Any], known: Iterable[str]) -> list[Problem]:
    """A problem for every task that a balance names and the study does not have."""
    names = list(known)
    return [
        Problem("A balance names tasks of the study", f"'{task}' under '{where}' is none", nearest(task, names))
        for where, task in choose.task_names(said)
        if task.partition("@")[0] not in names and task not in names
    ]


def resolved(said: Mapping[str, Any], tasks: TaskSet) -> dict[str, Any]:
    """The same for the tasks that the study has in the end: a grouped declaration's name stands for all its tasks,
    and tasks that were set aside are left out."""
    families: dict[str, list[str]] = {}
    for task in tasks:
        families.setdefault(task.family or task.name, []).append(task.name)
        families[task.name] = [task.name]
    return choose.renamed(said, lambda name: families.get(name, ()))


def check(design: Design, prepared: Prepared) -> None:
    """Build what every arm balances with, so that a value it refuses is an error before anything is trained."""
    from sharewise.training.order import samplers
    from sharewise.training.results import Member
    from sharewise.training.tempo import facts_of

    problems: list[Problem] = []
    for arm in design.record.arms:
        if arm.name not in design.variants:
            continue
        variant = design.variants[arm.name]
        for group in arm.plan.groups if variant.balance else ():
            member = Member("", tuple(prepared.numbers(group.tasks)), 0)
            try:
                balance = prepared.balance(variant, len(group.tasks))
                facts = facts_of(member.tasks, prepared.data)
                balance.balancer.build(facts)
                if balance.rates is not None:
                    balance.rates.build(facts, 1)
                if balance.stopper is not None:
                    balance.stopper.build(facts)
                rows = prepared.data.rows_of_any(member.tasks, "train")
                for sampler in samplers(balance.sampler, [member], prepared.data, [rows], 2):
                    if sampler is not None:
                        sampler.epoch(0)
            except ConfigError as error:
                problems += [p for p in error.problems if p not in problems]
    if problems:
        raise ConfigError(problems)
