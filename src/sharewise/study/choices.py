"""Families that a study file chooses from, checked by their catalogues without importing any sibling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sharewise.catalogue import Catalogue, Parameter
from sharewise.errors import Problem
from sharewise.plan import Choice


@dataclass(frozen=True)
class Family:
    """A key of the study file, the package whose CATALOGUE it names, and the parameters that the engine supplies."""

    key: str
    package: str
    supplied: frozenset[str] = frozenset()

    def catalogue(self) -> Catalogue[Any]:
        """The family's catalogue; importing it imports no sibling and no torch."""
        catalogue: Catalogue[Any] = import_module(self.package).CATALOGUE
        return catalogue

    def parameters(self, name: str) -> tuple[Parameter, ...]:
        """What a user may set."""
        return tuple(p for p in self.catalogue().parameters(name) if p.name not in self.supplied)


ARCHITECTURE = Family("architecture", "sharewise.models.sharing", frozenset({"n_in", "n_slots", "at_layer"}))
WEIGHTING = Family("weighting", "sharewise.balance.weighting")
AGGREGATOR = Family("aggregator", "sharewise.balance.aggregation")
SCALING = Family("scaling", "sharewise.balance.scaling")
SAMPLER = Family("sampler", "sharewise.balance.sampling")

READING = Family("encoder", "sharewise.tables.readings")
TEXT = Family("encoder", "sharewise.tables.texts")
IMAGE = Family("encoder", "sharewise.tables.images")
TOKENS = Family("encoder", "sharewise.tables.sentences")

SCALARS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "text"),
    "dict[str, int]": ((dict,), "a mapping of tasks to whole numbers"),
    "Mapping[str, int]": ((dict,), "a mapping of tasks to whole numbers"),
    "Mapping[str, float]": ((dict,), "a mapping of tasks to numbers"),
    "Sequence[float]": ((list, tuple), "a list of numbers"),
    "Sequence[int]": ((list, tuple), "a list of whole numbers"),
}
"""Annotations whose values are checked here; others are checked when the sibling is built."""


def choice(family: Family, said: object) -> tuple[Choice | None, list[Problem]]:
    """A choice from `NAME` or `{name: NAME, PARAMETER: VALUE, ...}`, or what is wrong with it."""
    if isinstance(said, Choice):
        said = {"name": said.name, **said.params}
    if isinstance(said, str):
        said = {"name": said}
    if not isinstance(said, Mapping) or not isinstance(said.get("name"), str):
        fact = f"it is {said!r}"
        return None, [
            Problem(
                f"'{family.key}' is a name, or a mapping with a name and parameters",
                fact,
                f"Names: {', '.join(family.catalogue())}",
            )
        ]
    name = str(said["name"])
    params = {str(k): v for k, v in said.items() if k != "name"}
    own = {key: value for key, value in params.items() if key not in family.supplied}
    found = family.catalogue().problems(name, own, family.supplied)
    found += [
        Problem("A parameter that the engine supplies may not be set", f"'{key}' of '{name}' is given", "Remove it")
        for key in params
        if key in family.supplied
    ]
    if not found:
        found = [p for parameter in family.parameters(name) for p in wrong_parameters(name, parameter, params)]
    return (None, found) if found else (Choice(name, params), [])


def wrong_parameters(name: str, parameter: Parameter, params: Mapping[str, object]) -> list[Problem]:
    """What is wrong with the type of one parameter's value."""
    if parameter.name not in params:
        return []
    value = params[parameter.name]
    words = [w.strip() for w in parameter.annotation.split("|")]
    if value is None and "None" in words:
        return []
    known = [SCALARS[w] for w in words if w in SCALARS]
    if len(known) != len([w for w in words if w != "None"]) or not known:
        return []
    types = tuple(t for kinds, _ in known for t in kinds)
    inside = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    odd = [v for v in inside if isinstance(v, bool) or not isinstance(v, int | float)]
    if isinstance(value, types) and (not isinstance(value, bool) or bool in types) and not odd:
        return []
    wanted = " or ".join(words for _, words in known)
    return [
        Problem(
            f"Parameter '{parameter.name}' of '{name}' must be {wanted}",
            f"it is {value!r}",
            f"The default is {parameter.default}" if not parameter.required else "",
        )
    ]
