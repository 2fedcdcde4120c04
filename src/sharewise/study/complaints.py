"""Pydantic's findings in our words, with the line of the file that each is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from sharewise.errors import Problem, nearest

Step = str | int


@dataclass
class Lines:
    """Line of every key and list item of a file, by its path."""

    at: dict[tuple[Step, ...], int] = field(default_factory=dict)

    def put(self, path: tuple[Step, ...], line: int) -> None:
        """Note a line."""
        self.at[path] = line

    def of(self, *path: Step) -> int | None:
        """Line of the path, or of the nearest part of it that the file has."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.at:
                return self.at[path[:end]]
        return None


NOUNS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def problems_of(error: ValidationError, model: type[BaseModel], lines: Lines, file: str | None) -> list[Problem]:
    """One problem for each finding; alternatives of one value (a union) become one."""
    found: list[Problem] = []
    seen: set[tuple[Step, ...]] = set()
    every = error.errors(include_url=False)
    paths = [_path(item["loc"]) for item in every]
    for item, path in zip(every, paths, strict=True):
        line = lines.of(*path)
        if len(path) < len(item["loc"]) and any(_within(path, other) for other in paths):
            # A form of the value that was not meant: the problem lies inside another form.
            continue
        if item["type"] == "problems":
            found += [replace(p, file=file, line=line) for p in item["ctx"]["problems"]]
            continue
        if item["type"] == "too_short" and item["input"] and any(_within(item["loc"], e["loc"]) for e in every):
            # Pydantic counts only the items that are sound; the others have problems of their own.
            continue
        if path in seen and item["type"] not in ("extra_forbidden", "missing"):
            continue
        seen.add(path)
        forms = [NOUNS[e["type"]] for e, p in zip(every, paths, strict=True) if p == path and e["type"] in NOUNS]
        found.append(replace(_problem(item, path, model, forms), file=file, line=line))
    return found


def _within(outer: tuple[Step, ...], inner: tuple[Step, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _path(loc: tuple[Step, ...]) -> tuple[Step, ...]:
    """The location without the names that pydantic adds for the members of a union."""
    added = ("str", "int", "float", "bool")
    return tuple(
        step
        for step in loc
        if isinstance(step, int) or not (step in added or "[" in step or step.startswith("function-"))
    )


def _named(path: tuple[Step, ...]) -> str:
    text = ""
    for step in path:
        text += f"[{step + 1}]" if isinstance(step, int) else (f".{step}" if text else str(step))
    return text


def _problem(item: Any, path: tuple[Step, ...], model: type[BaseModel], forms: Sequence[str]) -> Problem:
    """One finding; `forms` are what the value may be beside words of a list."""
    kind, name, value, context = item["type"], _named(path), item.get("input"), item.get("ctx", {})
    if kind == "extra_forbidden":
        owner = _model_at(model, path[:-1])
        place = f"of '{_named(path[:-1])}'" if len(path) > 1 else "of a study file"
        return Problem(
            f"A key {place} must be known", f"'{path[-1]}' is not", nearest(str(path[-1]), owner.model_fields)
        )
    if kind == "missing":
        place = f"'{_named(path[:-1])}'" if len(path) > 1 else "A study file"
        return Problem(f"{place} needs the key '{path[-1]}'", "it is not given", f"Add {path[-1]}: ...")
    if kind in ("enum", "literal_error"):
        valid = [w.strip().strip("'") for w in str(context["expected"]).replace(" or ", ", ").split(",")]
        remedy = nearest(str(value), valid)
        words = " or ".join([", ".join(valid), *forms])
        return Problem(
            f"'{name}' must be {'one of ' if len(valid) > 1 else ''}{words}",
            f"it is {value!r}",
            remedy if remedy.startswith("Did") else "",
        )
    if kind in BOUNDS:
        word, key = BOUNDS[kind]
        return Problem(f"'{name}' must be {word} {context[key]:g}", f"it is {value!r}")
    if kind == "too_short" and value:
        return Problem(
            f"'{name}' needs at least {context['min_length']} entries", f"it has {len(value)}", "Add another"
        )
    if kind in ("too_short", "string_too_short"):
        return Problem(f"'{name}' must not be empty", "it is", "Fill it, or remove the key")
    return Problem(f"'{name}' must be {NOUNS.get(kind, 'of another type')}", f"it is {_shown(value)}")


def _shown(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(value)


def _model_at(model: type[BaseModel], path: tuple[Step, ...]) -> type[BaseModel]:
    """The model whose keys stand at a path."""
    here = model
    for step in path:
        if isinstance(step, int):
            continue
        annotation = here.model_fields[step].annotation
        found = _model_in(annotation)
        if found is None:
            return here
        here = found
    return here


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
