"""Rows to parts (0 train, 1 validation, 2 test) in given shares: with labels balanced, by time, by whole groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sharewise.errors import DataError, Problem
from sharewise.tables.columns import Floats

Rows = npt.NDArray[np.int64]


def stratify(
    labels: list[Rows], n_rows: int, shares: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.int8]:
    """Part of each row such that every label's rows are shared out in proportion.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, algorithm 1), taking all rows of the rarest
    label at once instead of one by one, which costs O(label cells). A label with at least as many rows as parts
    has one in every part unless rarer labels have placed its rows already. Rows without a label follow the shares.
    """
    part = np.full(n_rows, -1, dtype=np.int8)
    used = shares > 0
    for rows in [*sorted(labels, key=len), np.arange(n_rows)]:
        free = rows[part[rows] < 0]
        if len(free) == 0:
            continue
        placed = np.bincount(part[rows][part[rows] >= 0], minlength=3)
        wanted = np.maximum(shares * len(rows) - placed, 0.0)
        # Each part's first row of a label is worth more than another part's many: it goes first.
        starved = np.flatnonzero(used & (placed == 0)) if len(rows) < n_rows else np.zeros(0, dtype=np.int64)
        counts = np.zeros(3, dtype=np.int64)
        counts[starved[np.argsort(-shares[starved], kind="stable")][: len(free)]] = 1
        counts += _round((np.maximum(wanted - counts, 0.0)), len(free) - int(counts.sum()), shares)
        part[rng.permutation(free)] = np.repeat(np.arange(3), counts).astype(np.int8)
    return part


def _round(wanted: npt.NDArray[np.float64], total: int, shares: npt.NDArray[np.float64]) -> Rows:
    """Whole numbers that sum to `total`, in proportion to `wanted` (largest remainder; ties to the larger share)."""
    if total == 0:
        return np.zeros(3, dtype=np.int64)
    weights = wanted if wanted.sum() > 0 else shares
    exact = weights / weights.sum() * total
    counts: Rows = np.floor(exact).astype(np.int64)
    order = np.lexsort((-shares, -(exact - counts)))
    counts[order[: total - int(counts.sum())]] += 1
    return counts


def by_time(when: Floats, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    """Earliest rows train, latest test; rows of one moment stay together."""
    ordered = np.sort(when)
    n = len(when)
    ends = np.cumsum(shares)
    first = ordered[min(round(float(ends[0]) * n), n - 1)]
    second = ordered[min(round(float(ends[1]) * n), n - 1)]
    part = np.zeros(n, dtype=np.int8)
    if shares[1] > 0:
        part[when >= first] = 1
    if shares[2] > 0:
        part[when >= second] = 2
    return part


def by_group(
    entity: Rows, labels: list[Rows], shares: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.int8]:
    """Whole entities: the largest first, each to the part that lacks most of what the entity carries."""
    n_entities = int(entity.max()) + 1
    sizes = np.bincount(entity, minlength=n_entities)
    if np.count_nonzero(sizes) < np.count_nonzero(shares):
        raise DataError(
            Problem(
                "A split by group needs a group for every part",
                f"the column has {np.count_nonzero(sizes)} values",
                "Split another way",
            )
        )
    carried = np.stack([sizes, *(np.bincount(entity[rows], minlength=n_entities) for rows in labels)], axis=1).astype(
        np.float64
    )
    totals = carried.sum(axis=0)
    lack = shares[:, None] * np.ones_like(totals)
    carried /= np.maximum(totals, 1.0)
    order = rng.permutation(n_entities)
    order = order[np.argsort(-sizes[order], kind="stable")]
    where = np.zeros(n_entities, dtype=np.int8)
    n_placed = np.zeros(3, dtype=np.int64)
    usable = shares > 0
    left = int(np.count_nonzero(sizes))
    for g in order:
        if sizes[g] == 0:
            continue
        starved = usable & (n_placed == 0)
        allowed = starved if left <= np.count_nonzero(starved) else usable
        gain = _need(lack, carried[g], shares)
        best = int(np.argmax(np.where(allowed, gain, -np.inf)))
        lack[best] -= carried[g]
        where[g] = best
        n_placed[best] += 1
        left -= 1
    return where[entity]


def _need(
    lack: npt.NDArray[np.float64], carried: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]
) -> npt.NDArray[Any]:
    """How much each part still lacks, relative to its share, of what an entity carries."""
    relative = lack / np.maximum(shares, 1e-12)[:, None]
    return (relative * (carried > 0)).sum(axis=1)  # type: ignore[no-any-return]
