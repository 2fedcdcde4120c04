"""A limit on latency as a study file writes it."""

from __future__ import annotations

import re

from sharewise.errors import Problem

UNITS = {"ms": 1.0, "s": 1000.0}
WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*")


def milliseconds(said: float | str | None) -> float | None:
    """A limit that is written in milliseconds or seconds ("25 ms"); None for one in times of a model."""
    found = WRITTEN.fullmatch(said) if isinstance(said, str) else None
    return None if found is None else float(found[1]) * UNITS[found[2]]


def problem(said: object) -> Problem | None:
    """What is wrong with a limit, if anything."""
    number = isinstance(said, int | float) and not isinstance(said, bool) and 0 < said < float("inf")
    if number or (isinstance(said, str) and milliseconds(said)):
        return None
    rule = "'max_latency' is a number of times one model for all tasks, or milliseconds"
    return Problem(rule, f"it is {said!r}", "Write max_latency: 2.5, or max_latency: 25 ms")
