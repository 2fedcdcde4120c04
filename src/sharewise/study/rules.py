"""Who leaves a contest of tuning trials, as plain data that travels with a unit of work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Key = tuple[str, str, tuple[str, ...]]
"""Kind, arm and tasks of a group that is tuned."""


@dataclass(frozen=True)
class Past:
    """An earlier trial of a group: its number, what it was judged by at each pause, and whether it went to its end."""

    trial: int
    standings: tuple[float | None, ...]
    ended: bool


@dataclass(frozen=True)
class Rules:
    """Who leaves a contest: `pruner` is halving or one of Optuna's, `past` the earlier trials of each group, which
    Optuna's pruners compare with, `seed` the study's."""

    pruner: str
    past: Mapping[Key, tuple[Past, ...]]
    seed: int
