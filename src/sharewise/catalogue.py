"""A family's literal list of siblings, readable without importing any of them.

A family's `__init__` holds one `Catalogue` that maps a name to "module:Class". The class is imported only when
it is built, and its parameters are read from its source text, so that a study file is checked, and its JSON
Schema written, before torch is loaded.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from sharewise.errors import Problem, nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Parameter:
    """One keyword argument of a sibling's constructor: its annotation as text, and its default if it has one."""

    name: str
    annotation: str
    default: Any
    required: bool


class Catalogue(Mapping[str, str], Generic[T]):
    """Names of a family's siblings and where they live."""

    def __init__(self, family: str, entries: dict[str, str]) -> None:
        self.family = family
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> str:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def load(self, name: str) -> type[T]:
        """The class called `name`; also "module:Class" of a plug-in."""
        path = self._entries.get(name, name)
        module, _, attribute = path.partition(":")
        if not attribute:
            raise KeyError(f"A {self.family} must be known; however, '{name}' is not. {nearest(name, self)}")
        return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]

    def build(self, name: str, /, **params: Any) -> T:
        """An instance of the class called `name` with the given parameters."""
        kind = self.load(name)
        valid = inspect.signature(kind).parameters
        for key in params:
            if key not in valid:
                raise TypeError(
                    f"A parameter of '{name}' must be known; however, '{key}' is not. {nearest(key, valid)}"
                )
        return kind(**params)

    def parameters(self, name: str) -> tuple[Parameter, ...]:
        """Keyword arguments of the class called `name`, read from its source without importing it."""
        path = self._entries.get(name, name)
        module, _, attribute = path.partition(":")
        return _parameters(module, attribute)

    def problems(self, name: str, params: Mapping[str, Any], supplied: Collection[str] = ()) -> list[Problem]:
        """What is wrong with a name and its parameters, as far as it shows without importing the class; those that are
        `supplied` by others are none of the user's."""
        if name not in self._entries and ":" not in name:
            return [Problem(f"{_a(self.family)} must be known", f"'{name}' is not", nearest(name, self))]
        try:
            known = {p.name: p for p in self.parameters(name) if p.name not in supplied}
        except (KeyError, ImportError):
            fact = f"'{name}' cannot be found"
            return [
                Problem(f"{_a(self.family)} from elsewhere is module:Class", fact, "install it, or correct its name")
            ]
        found = [
            Problem(f"A parameter of '{name}' must be known", f"'{key}' is not", nearest(key, known))
            for key in params
            if key not in known
        ]
        found += [
            Problem(f"'{name}' needs its parameter '{p.name}'", "it is not given", f"add {p.name}: {p.annotation}")
            for p in known.values()
            if p.required and p.name not in params
        ]
        return found


def _a(family: str) -> str:
    return f"{'An' if family[0] in 'aeiou' else 'A'} {family}"


@cache
def _parameters(module: str, attribute: str) -> tuple[Parameter, ...]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise KeyError(f"Module '{module}' cannot be found.")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == attribute:
            return _of_class(node)
        if isinstance(node, ast.FunctionDef) and node.name == attribute:
            return _of_function(node, skip_self=False)
    raise KeyError(f"Module '{module}' has no class '{attribute}'.")


def _of_class(node: ast.ClassDef) -> tuple[Parameter, ...]:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return _of_function(item, skip_self=True)
    is_dataclass = any("dataclass" in ast.unparse(d) for d in node.decorator_list)
    if not is_dataclass:
        return ()
    return tuple(
        Parameter(item.target.id, ast.unparse(item.annotation), _literal(item.value), item.value is None)
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    )


def _of_function(node: ast.FunctionDef, *, skip_self: bool) -> tuple[Parameter, ...]:
    positional = node.args.args[1:] if skip_self else node.args.args
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(node.args.defaults))
    defaults += node.args.defaults
    pairs = [
        *zip(positional, defaults, strict=True),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    return tuple(
        Parameter(
            argument.arg,
            "" if argument.annotation is None else ast.unparse(argument.annotation),
            _literal(default),
            default is None,
        )
        for argument, default in pairs
    )


def _literal(node: ast.expr | None) -> Any:
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
