"""The best partitions of few blocks, exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sharewise.grouping.base import Group
from sharewise.grouping.objective import Objective

Ints = npt.NDArray[np.int64]

MOST_BLOCKS = 12
"""Blocks up to which every partition is considered: 3^12 / 2 steps, under a second."""


def best_partitions(objective: Objective, blocks: tuple[Group, ...], n_best: int) -> list[tuple[float, list[Group]]]:
    """The `n_best` partitions of all blocks of greatest total worth, best first, as (worth, groups).

    Dynamic programming over subsets: V_g(S) = max over T in S that holds S's first block of worth(T) + V_{g-1}(S - T),
    with g models left where their number is limited, and the n best of every V. Partitions that a constraint forbids
    are left out; the list is empty where none is allowed. Cost: 3^B / 2 steps, times models, times n_best.
    """
    n = len(blocks)
    n_tasks = objective.estimate.n_tasks
    table = np.zeros((2**n, n_tasks))
    for i, block in enumerate(blocks):
        for task in block:
            table[np.arange(2**n) >> i & 1 == 1, task] = 1.0
    worth = objective.of_many(table)
    limit = objective.limits.max_models
    layers = 0 if limit is None else min(limit, n)
    value = np.full((2**n, layers + 1, n_best), -np.inf)
    chosen = np.zeros((2**n, layers + 1, n_best, 2), dtype=np.int64)
    value[0, :, 0] = 0.0
    for whole in range(1, 2**n):
        first = whole & -whole
        subs = first | _submasks(whole ^ first)
        for layer in range(1, layers + 1) if limit is not None else (0,):
            below = layer if limit is None else layer - 1
            totals = (worth[subs][:, None] + value[whole ^ subs, below]).ravel()
            top = _largest(totals, n_best)
            value[whole, layer, : len(top)] = totals[top]
            chosen[whole, layer, : len(top), 0] = subs[top // n_best]
            chosen[whole, layer, : len(top), 1] = top % n_best
    found = []
    last = layers
    for rank in range(n_best):
        if np.isfinite(value[-1, last, rank]):
            found.append((float(value[-1, last, rank]), _traced(chosen, blocks, last, rank, limit is not None)))
    return found


def _submasks(mask: int) -> Ints:
    """Every subset of the bits of `mask`, itself and nothing included."""
    made = np.zeros(1, dtype=np.int64)
    while mask:
        bit = mask & -mask
        made = np.concatenate([made, made | bit])
        mask ^= bit
    return made


def _largest(totals: np.ndarray, n: int) -> Ints:
    """Positions of the n largest, largest first; ties by position, so that the answer never depends on the sort."""
    if len(totals) > 4 * n:
        cut = np.partition(totals, -n)[-n]
        some = np.flatnonzero(totals >= cut)
        return some[np.argsort(-totals[some], kind="stable")[:n]]
    return np.argsort(-totals, kind="stable")[:n]


def _traced(chosen: Ints, blocks: tuple[Group, ...], layer: int, rank: int, limited: bool) -> list[Group]:
    groups = []
    whole = 2 ** len(blocks) - 1
    while whole:
        sub, rank = (int(v) for v in chosen[whole, layer, rank])
        groups.append(tuple(sorted(t for i, b in enumerate(blocks) if sub >> i & 1 for t in b)))
        whole ^= sub
        layer -= limited
    return sorted(groups)
