"""YAML text -> plain data and the line of every key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sharewise.errors import ConfigError, Problem
from sharewise.study.complaints import Lines


def parse(path: str) -> tuple[dict[str, Any], Lines]:
    """A YAML file as plain data, with its lines; raises ConfigError where it cannot be read or is no mapping."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        with open(path, encoding="utf-8-sig") as stream:
            text = stream.read()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ConfigError(
            Problem("A study file must exist", f"there is no file '{path}'", "Write one with: sharewise init TABLE")
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            Problem("A study file must be readable UTF-8 text", f"reading it failed ({error})", file=path)
        ) from None
    try:
        # The round-trip loader keeps lines and, like the safe one, builds plain data only.
        loaded = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        fact = str(error.problem or error.context).splitlines()[0]
        raise ConfigError(
            Problem("A study file must be valid YAML", fact, "Check indentation, colons and quotes", path, line)
        ) from None
    except YAMLError as error:
        raise ConfigError(Problem("A study file must be valid YAML", str(error).splitlines()[0], file=path)) from None
    if not isinstance(loaded, Mapping):
        fact = "it is empty" if loaded is None else f"it is a {'list' if isinstance(loaded, list) else 'single value'}"
        raise ConfigError(
            Problem(
                "A study file is a mapping with the keys data and tasks",
                fact,
                "Write one with: sharewise init TABLE",
                path,
            )
        )
    lines = Lines()
    plain = _walk(loaded, (), lines)
    return plain, lines


def _walk(node: Any, path: tuple[str | int, ...], lines: Lines) -> Any:
    """Plain copies of ruamel's nodes, noting lines on the way."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarbool import ScalarBoolean
    from ruamel.yaml.scalarfloat import ScalarFloat
    from ruamel.yaml.scalarint import ScalarInt
    from ruamel.yaml.scalarstring import ScalarString

    if isinstance(node, CommentedMap):
        made: dict[Any, Any] = {}
        for n, (key, value) in enumerate(node.items()):
            lines.put((*path, key), node.lc.key(key)[0] + 1)
            if path == ("inputs",):
                # Inputs written as a mapping are read as a list.
                lines.put((*path, n), node.lc.key(key)[0] + 1)
            made[_walk(key, path, lines)] = _walk(value, (*path, key), lines)
        return made
    if isinstance(node, CommentedSeq):
        for n in range(len(node)):
            lines.put((*path, n), node.lc.item(n)[0] + 1)
        return [_walk(value, (*path, n), lines) for n, value in enumerate(node)]
    for kind, plain in ((ScalarBoolean, bool), (ScalarInt, int), (ScalarFloat, float), (ScalarString, str)):
        if isinstance(node, kind):
            return plain(node)
    return node
