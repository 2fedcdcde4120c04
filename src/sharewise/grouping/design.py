"""Which groups to train: a sample of overlapping groups that puts every pair of tasks together about equally often."""

from __future__ import annotations

import itertools
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from sharewise.errors import ConfigError, Problem
from sharewise.grouping.base import Group
from sharewise.seeds import derive

LARGEST = 12
"""Most tasks of a sampled group."""

TRIES = 100
"""Draws of a group that is not made yet; then the first that is not is taken."""


@dataclass(frozen=True)
class Cost:
    """Trained models of a search with T tasks: `single` T, `together` 1, `groups` sampled, `plans` kept for plans."""

    single: int
    together: int
    groups: int
    plans: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.single + self.together + self.groups + self.plans


def most_runs(n_tasks: int) -> int:
    """3 T + 20: what a whole search may cost, each task alone included."""
    return 3 * n_tasks + 20


def least_runs(n_tasks: int) -> int:
    """The smallest search that can tell partners apart: 2 T + 4 models, T of them each task alone."""
    return 2 * n_tasks + 4


def share(n_tasks: int, runs: int, trials: int = 1) -> Cost:
    """How `runs` models are spent: T alone, one of all, about T / 3 + 4 (times `trials`) for the plans found, the
    others for groups.

    Raises ConfigError below `least_runs`, and says what would do.
    """
    least = least_runs(n_tasks)
    if runs < least:
        raise ConfigError(
            Problem(
                f"A search over {n_tasks} tasks needs at least {least} models, each task alone included",
                f"its budget is {runs}",
                f"set runs: {least} or more (about {most_runs(n_tasks)} do well), or switch the search off",
            )
        )
    left = runs - n_tasks - 1
    plans = min((n_tasks // 3 + 4) * trials, left // 2)
    groups = min(left - plans, n_subsets(n_tasks))
    return Cost(n_tasks, 1, groups, left - groups if groups < left - plans else plans)


def n_subsets(n_tasks: int) -> int:
    """Groups of two tasks or more that are not all of them."""
    return 2**n_tasks - n_tasks - 2 if n_tasks < 20 else 2**20


def sample_groups(n_tasks: int, n_groups: int, seed: int) -> tuple[Group, ...]:
    """`n_groups` different groups of K tasks, in the order they are best trained; at most `n_subsets`.

    Up to K = 6 pairs first and then triples; beyond that groups of K / 2 tasks (at most 12): a weighing of half of the
    things tells most of each (Hotelling 1944, "Some improvements in weighing and other experimental techniques"), and
    the joint run of all tasks tells what sharing costs from what each partner brings. Each group is grown by the task
    that has been least often with those in it, ties by the seed, so that every pair meets about equally often. The same
    arguments give the same groups. Cost: O(n_groups K^2).
    """
    random = np.random.default_rng(derive(seed, "groups", n_tasks))
    met = np.zeros((n_tasks, n_tasks))
    if n_tasks <= 6:
        sizes: Sequence[int] = [s for s in range(2, n_tasks) for _ in itertools.combinations(range(n_tasks), s)]
    else:
        sizes = [min(n_tasks // 2, LARGEST)] * n_groups
    made: dict[Group, None] = {}
    for size in sizes[:n_groups]:
        group = _another(size, made, met, random)
        made[group] = None
        members = np.array(group)
        met[np.ix_(members, members)] += 1.0
    return tuple(made)


def _another(size: int, made: Container[Group], met: np.ndarray, random: np.random.Generator) -> Group:
    """A group that is not made yet, of `size` tasks; of the nearest other size where all of these are made."""
    for _ in range(TRIES):
        group = _grow(size, met, random)
        if group not in made:
            return group
    by_size = sorted(range(2, len(met)), key=lambda other: abs(other - size))
    left = (g for other in by_size for g in itertools.combinations(range(len(met)), other) if g not in made)
    return next(left)


def _grow(size: int, met: np.ndarray, random: np.random.Generator) -> Group:
    """A group of tasks that have met least; noise in the counts breaks ties, and keeps a repeat from repeating."""
    n_tasks = len(met)
    noisy = met + random.random((n_tasks, n_tasks)) * 0.9
    first = int(np.argmin(np.diag(met) + random.random(n_tasks) * 0.9))
    group = [first]
    while len(group) < size:
        together = noisy[group].sum(axis=0)
        together[group] = np.inf
        group.append(int(np.argmin(together)))
    return tuple(sorted(group))


def too_few_for_pairs(n_tasks: int, runs: int, needed: int) -> Problem:
    """What is wrong with a budget that does not pay for every pair of tasks."""
    return Problem(
        f"A search over all {len(pairs(n_tasks))} pairs of {n_tasks} tasks needs {needed} models",
        f"its budget is {runs}",
        f"set runs: {needed}, or search by surrogate",
    )


def pairs(n_tasks: int) -> tuple[Group, ...]:
    """Every pair of K tasks."""
    return tuple(itertools.combinations(range(n_tasks), 2))
