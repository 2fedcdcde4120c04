"""How long a study will take, from a few steps of its own models, timed on this machine before it starts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sharewise.study.inputs import stackable
from sharewise.study.prepare import Prepared
from sharewise.study.work import COHORT, Run, Unit, members_of, stack_of

PATIENCE = 2.0
"""Seconds after which no further stack is timed; the rest is taken from rough counts, corrected by what was timed."""

OVERHEAD = 1.15
"""Evaluations, predictions and files, beside the steps."""


class Clock:
    """Seconds of work on one core, where every run goes to its last step: what stops early, or leaves, costs less.

    Each kind of stack (architecture, sizes, tasks, members) is built as it will be trained and takes four steps. Nets
    that do not stack are not timed.
    """

    def __init__(self, prepared: Prepared, directory: Path) -> None:
        self.prepared, self.directory = prepared, directory
        self._known: dict[tuple[Any, ...], float] = {}
        self._started = time.monotonic()
        self._timed, self._counted = 0.0, 0.0

    def seconds(self, unit: Unit) -> float:
        """Seconds of one unit of work."""
        if unit.runs[0].kind != "neural" or not stackable(self.prepared.encoder):
            return unit.cost
        stacks: dict[tuple[Any, ...], list[Run]] = {}
        for run in unit.runs:
            stacks.setdefault(stack_of(run, self.prepared), []).append(run)
        total = 0.0
        for key, runs in stacks.items():
            share = len(runs) / len(unit.runs)
            for start in range(0, len(runs), COHORT):
                part = runs[start : start + COHORT]
                total += self._stack((*key, len(part)), part, unit.cost * share * len(part) / len(runs))
        return total

    def of(self, units: Sequence[Unit]) -> float:
        """Seconds of all units on one core."""
        return sum(self.seconds(unit) for unit in units)

    def minutes(self, units: Sequence[Unit], workers: int) -> float:
        """Minutes of all units with so many workers, none of which is split."""
        each = [self.seconds(unit) for unit in units]
        return max(sum(each) / max(workers, 1), max(each, default=0.0)) / 60

    def _stack(self, key: tuple[Any, ...], runs: Sequence[Run], rough: float) -> float:
        if key not in self._known and time.monotonic() - self._started < PATIENCE:
            cohort = members_of(runs, self.prepared, self.directory)
            self._known[key] = OVERHEAD * cohort.timed() * float(cohort.total.max())
            self._timed, self._counted = self._timed + self._known[key], self._counted + rough
        if key in self._known:
            return self._known[key]
        return rough * (self._timed / self._counted if self._counted else 1.0)


def at_most(minutes: float) -> str:
    """A clock's minutes in words: it has every run go to its last step."""
    said = about(minutes)
    return said if said.startswith("under") else f"at most {said}"


def about(minutes: float) -> str:
    """Minutes in words."""
    if minutes < 1:
        return "under a minute"
    if minutes < 90:
        return f"about {minutes:.0f} minute{'s' if minutes >= 1.5 else ''}"
    return f"about {minutes / 60:.1f} hours"
