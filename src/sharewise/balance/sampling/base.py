"""The contract of a sampler, and what all share: strata, tilting to task rates, quotas, shuffled cycles.

Rows that carry the same labels form a stratum. A sampler says which share of an epoch each stratum gets;
where tasks are labelled on disjoint rows any task rates can be met, where every row carries all labels none
can be changed, and in between the nearest distribution to the natural one is taken. Needs numpy only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sharewise.errors import ConfigError, DataError, Problem
from sharewise.seeds import derive

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Strata:
    """S groups of rows: `counts` (S), `labelled` (S, T), `classes` (S, T), -1 where there is none."""

    counts: Floats
    labelled: NDArray[np.bool_]
    classes: Integers
    names: tuple[str, ...]

    @property
    def task_counts(self) -> Floats:
        """Labels per task (T)."""
        found: Floats = self.counts @ self.labelled
        return found

    @property
    def natural(self) -> Floats:
        """Shares of the strata in the table (S)."""
        found: Floats = self.counts / self.counts.sum()
        return found


class Sampler(ABC):
    """Which rows an epoch shows, in which order; an epoch is as long as the number of labelled rows.

    `build` once, then `epoch` for every epoch and member: the same number and seed give the same rows. No row
    is shown more than `repeat_cap` times an epoch (None: no cap); what a capped stratum gives up goes to the
    others.
    """

    by_class: bool = False
    """Whether strata are split by class as well; `build` then needs the classes."""

    repeat_cap: float | None = None

    varies: bool = False
    """Whether shares change over the epochs."""

    def applies_to(self, names: Sequence[str]) -> bool:
        """Whether it has anything to say about a model of these tasks."""
        return True

    def build(
        self,
        present: NDArray[np.bool_],
        classes: Integers | None = None,
        names: Sequence[str] = (),
        epochs: int = 1,
    ) -> Self:
        """Take note of the labelled rows of each task (N, T), the class codes (N, T) and the epochs planned.

        Raises DataError where no row is labelled, ConfigError where classes are needed and not given.
        """
        rows = np.flatnonzero(present.any(1))
        if not rows.size:
            raise DataError(Problem("A sampler needs labelled rows", "no task has a label"))
        if self.by_class and classes is None:
            raise ConfigError(
                Problem(
                    f"'{type(self).__name__}' needs class codes",
                    "none are given",
                    "pass classes (N, T) to build",
                )
            )
        codes = np.full(present.shape, -1, np.int64)
        if self.by_class and classes is not None:
            codes = np.where(present, classes, -1)
        key = np.concatenate([present[rows].astype(np.int64), codes[rows]], 1)
        kinds, stratum = np.unique(key, axis=0, return_inverse=True)
        stratum = stratum.reshape(-1)
        order = np.argsort(stratum, kind="stable")
        n_tasks = present.shape[1]
        counts = np.bincount(stratum, minlength=len(kinds))
        self.members = np.split(rows[order], np.cumsum(counts)[:-1])
        labels = tuple(names) or tuple(str(t) for t in range(n_tasks))
        self.strata = Strata(counts.astype(float), kinds[:, :n_tasks].astype(bool), kinds[:, n_tasks:], labels)
        self.epochs, self.n_rows = epochs, len(rows)
        self._quota: Integers | None = None
        return self

    @abstractmethod
    def shares(self, strata: Strata, progress: float) -> Floats:
        """Share of the epoch (S) of each stratum; `progress` runs from 0 in the first to 1 in the last."""

    def epoch(self, number: int, seed: int = 0) -> Integers:
        """Row indices of epoch `number` (from 0), shuffled."""
        generator = np.random.default_rng(derive(seed, "sampler", number))
        if self._quota is None or self.varies:
            progress = min(number / max(self.epochs - 1, 1), 1.0)
            shares = self.shares(self.strata, progress)
            self._quota = quotas(shares, self.strata.counts, self.n_rows, self.repeat_cap)
        parts = [cycle(rows, int(n), generator) for rows, n in zip(self.members, self._quota, strict=True)]
        found: Integers = generator.permutation(np.concatenate(parts))
        return found


def tilted(strata: Strata, rates: Floats, sweeps: int = 200, limit: float = 1e3) -> Floats:
    """Shares (S) nearest to the natural ones whose labels spread over tasks like `rates` (T), if they can.

    Exponential tilting q_s ~ n_s exp(sum of lambda_t over the stratum's tasks) by iterative scaling (Darroch
    and Ratcliff 1972); exact for disjoint tasks, the natural shares where all rows carry all labels. No
    stratum is tilted by more than a factor `limit`.
    """
    rates = rates / rates.sum()
    known = rates > 0
    bound = np.log(limit)
    tilt = np.zeros(len(rates))
    labels = strata.labelled.astype(float)
    share = strata.natural
    for _ in range(sweeps):
        logits = np.log(strata.natural) + np.clip(labels @ tilt, -bound, bound)
        share = np.exp(logits - logits.max())
        share /= share.sum()
        now = share @ labels
        now = now / now.sum()
        step = np.where(known, np.log(np.maximum(rates, 1e-300) / np.maximum(now, 1e-300)), -bound)
        if np.abs(step[known]).max() < 1e-9:
            break
        tilt = np.clip(tilt + step / max(labels.sum(1).max(), 1.0), -bound, bound)
        tilt -= tilt[known].mean()
    return share


def quotas(shares: Floats, counts: Floats, total: int, repeat_cap: float | None) -> Integers:
    """Whole numbers of rows per stratum, by greatest remainder, at most `repeat_cap` times their counts."""
    shares = shares / shares.sum()
    if repeat_cap is not None:
        shares = _capped(shares, counts * repeat_cap / total)
    exact = shares * total
    found = np.floor(exact + 1e-9).astype(np.int64)
    missing = total - int(found.sum())
    if missing > 0:
        found[np.argsort(-(exact - found), kind="stable")[:missing]] += 1
    return found


def _capped(shares: Floats, cap: Floats) -> Floats:
    if cap.sum() <= 1.0:
        found: Floats = cap / cap.sum()
        return found
    shares = shares.copy()
    for _ in range(len(shares)):
        over = shares > cap + 1e-12
        if not over.any():
            break
        spare = (shares[over] - cap[over]).sum()
        shares[over] = cap[over]
        room = shares < cap - 1e-12
        weight = np.where(room, np.maximum(shares, 1e-12), 0.0)
        shares = shares + spare * weight / weight.sum()
    return shares


def cycle(rows: Integers, n: int, generator: np.random.Generator) -> Integers:
    """n rows: whole shuffled passes over `rows`, then a part of one, so that counts differ by at most one."""
    whole, rest = divmod(n, len(rows))
    parts: list[Any] = [rows] * whole + [generator.permutation(rows)[:rest]]
    return np.concatenate(parts)
