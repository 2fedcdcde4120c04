"""What a plan may look like."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sharewise.errors import ConfigError, Problem, nearest
from sharewise.grouping.base import Group


@dataclass(frozen=True)
class Constraints:
    """Limits of a plan: at most `max_models` models (None: any number), `together` sets of tasks that one model must
    answer, `apart` pairs that no model may hold both of. Tasks by number; `together` sets are disjoint."""

    max_models: int | None = None
    together: tuple[Group, ...] = ()
    apart: tuple[Group, ...] = ()

    def blocks(self, n_tasks: int) -> tuple[Group, ...]:
        """The tasks as blocks that are never cut, in the order of their first task."""
        held = {task for block in self.together for task in block}
        return tuple(sorted([*self.together, *((t,) for t in range(n_tasks) if t not in held)]))

    def allows(self, group: Sequence[int]) -> bool:
        """Whether no pair of a group is kept apart."""
        there = set(group)
        return not any(a in there and b in there for a, b in self.apart)

    @property
    def binding(self) -> bool:
        """Whether leaving every task alone is ruled out."""
        return bool(self.together) or self.max_models is not None


def models_within(most: Mapping[str, float], trunk: Mapping[str, float], tasks: Mapping[str, float]) -> int | None:
    """The number of models that every limit leaves room for, or None where nothing is limited.

    A model of s tasks costs trunk + sum of its tasks' own parts, in parameters as in milliseconds, so that a plan of n
    models costs n trunk + a constant, and a limit L is n <= (L - tasks) / trunk: limits on latency and parameters are
    limits on the number of models.
    """
    rooms = [int((limit - tasks[name]) // trunk[name]) for name, limit in most.items()]
    return min(rooms) if rooms else None


def constraints(
    names: Sequence[str],
    together: Sequence[Sequence[str]] = (),
    apart: Sequence[Sequence[str]] = (),
    max_models: int | None = None,
) -> Constraints:
    """Constraints from task names: sets with a common task are one set, every pair of an `apart` list is kept apart.

    Raises ConfigError with every problem: an unknown name, a pair both together and apart, fewer models than tasks that
    must stand apart from one another.
    """
    unknown = [n for group in (*together, *apart) for n in group if n not in names]
    problems = [
        Problem("A constraint names tasks of the study", f"'{n}' is none", nearest(n, names))
        for n in dict.fromkeys(unknown)
    ]
    for group in (*together, *apart):
        twice = next((n for n in group if list(group).count(n) > 1), None)
        if twice is not None:
            problems.append(Problem("A constraint names a task once", f"'{twice}' stands twice in one", "remove one"))
    if problems:
        raise ConfigError(problems)
    number = {name: i for i, name in enumerate(names)}
    merged = _merged([{number[n] for n in group} for group in together if len(set(group)) > 1])
    kept = sorted({(a, b) for g in apart for a, b in itertools.combinations(sorted({number[n] for n in g}), 2)})
    for a, b in kept:
        if any(a in block and b in block for block in merged):
            problems.append(
                Problem(
                    "Constraints must not contradict one another",
                    f"'{names[a]}' and '{names[b]}' must ship together and must not share",
                    "remove one of the two",
                )
            )
    made = Constraints(max_models, tuple(tuple(sorted(b)) for b in merged), tuple(kept))
    if max_models is not None and max_models < 1:
        problems.append(
            Problem("A plan has at least one model", f"the limits leave room for {max_models}", "raise them")
        )
    elif not problems and max_models is not None and (crowd := _mutual(made, len(names))) > max_models:
        problems.append(
            Problem(
                "Constraints must not contradict one another",
                f"{crowd} tasks must not share with one another and the limits leave room for {max_models} "
                f"model{'s' if max_models != 1 else ''}",
                f"allow {crowd} models or more, or let some of them share",
            )
        )
    if problems:
        raise ConfigError(problems)
    return made


def _merged(sets: list[set[int]]) -> list[set[int]]:
    made: list[set[int]] = []
    for item in sets:
        touching = [s for s in made if s & item]
        made = [s for s in made if not s & item] + [set().union(item, *touching)]
    return made


def _mutual(limits: Constraints, n_tasks: int) -> int:
    """Size of a set of blocks that pairwise must not share: the largest that a greedy search from each block finds."""
    blocks = limits.blocks(n_tasks)
    of = {task: i for i, block in enumerate(blocks) for task in block}
    rivals: dict[int, set[int]] = {i: set() for i in range(len(blocks))}
    for a, b in limits.apart:
        rivals[of[a]].add(of[b])
        rivals[of[b]].add(of[a])
    best = 1
    for start in rivals:
        crowd = {start}
        for other in sorted(rivals[start], key=lambda i: -len(rivals[i])):
            if crowd <= rivals[other]:
                crowd.add(other)
        best = max(best, len(crowd))
    return best
