"""Good partitions of many blocks, by moves, merges and swaps."""

from __future__ import annotations

import numpy as np

from sharewise.grouping.base import Floats, Group, Ints
from sharewise.grouping.objective import Objective, worth
from sharewise.seeds import derive

LEAST = 1e-9
"""Improvements below this are rounding."""

FORBIDDEN = 1e4
"""Price of a pair that must not share: no gain makes up for it, and a climb gets rid of it step by step."""


SWAPS = 60


class LocalSearch:
    """Hill climbing over partitions: move a block, merge two groups, swap two blocks, until nothing improves.

    Starts: every block alone where the number of models is free, and random partitions. The same seed gives the same
    plans. Cost: O(K B^2) a move for K tasks in B blocks, and a few moves a block.
    """

    def __init__(self, objective: Objective, blocks: tuple[Group, ...], seed: int, starts: int | None = None) -> None:
        self.objective, self.blocks = objective, blocks
        self.random = np.random.default_rng(derive(seed, "local search"))
        self.starts = starts or (16 if len(blocks) <= 20 else 8 if len(blocks) <= 40 else 2)
        self.limit = objective.limits.max_models or len(blocks)

    def best_partitions(self, n_best: int) -> list[tuple[float, list[Group]]]:
        """The best partitions at the end of a climb, or one move from the best, best first, as (worth, groups)."""
        n = len(self.blocks)
        ends: dict[float, Ints] = {}
        for start in range(self.starts):
            labels = np.arange(n)
            if start or self.limit < n:
                labels = self.random.integers(0, min(max(n // 5, 2), self.limit), n)
            board = _Board(self.objective, self.blocks, labels, self.limit)
            board.climb()
            ends.setdefault(board.total(), board.labels.copy())
        board = _Board(self.objective, self.blocks, ends[max(ends)], self.limit)
        while board.swap():
            board.climb()
        found: dict[tuple[Group, ...], float] = {}
        for labels in [board.labels, *board.neighbours(4 * n_best), *ends.values()]:
            groups = self._groups(labels)
            value = sum(self.objective.of(g) for g in groups)
            if np.isfinite(value) and len(groups) <= self.limit:
                found[groups] = value
        ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return [(value, list(groups)) for groups, value in ranked[:n_best]]

    def _groups(self, labels: Ints) -> tuple[Group, ...]:
        made = ([self.blocks[b] for b in np.flatnonzero(labels == g)] for g in np.unique(labels))
        return tuple(sorted(tuple(sorted(t for block in group for t in block)) for group in made))


class _Board:
    """A partition of B blocks with what is needed to price every change of it at once.

    Of task k in a group with indicator z (B,): its summed thetas a_k = T_k z, and the parts of its variance,
    v_k = C_k00 + 2 c C_k0 z + c^2 z' C_k z, where T and C have their columns summed over the tasks of each block.
    """

    def __init__(self, objective: Objective, blocks: tuple[Group, ...], labels: Ints, limit: int) -> None:
        e = objective.estimate
        self.risk, self.average, self.limit = objective.risk, e.average, limit
        self.n_blocks, self.n_tasks = len(blocks), e.n_tasks
        sums = np.zeros((e.n_tasks, len(blocks)))
        for b, block in enumerate(blocks):
            sums[list(block), b] = 1.0
        self.block_of = sums.argmax(axis=1)
        self.sizes = sums.sum(axis=0)
        self.intercept, self.theta = e.intercept, e.theta @ sums
        self.fixed = e.covariance[:, 0, 0]
        self.crossed = e.covariance[:, 0, 1:] @ sums
        self.spread = sums.T @ e.covariance[:, 1:, 1:] @ sums
        self.corner = np.diagonal(self.spread, axis1=1, axis2=2)
        self.rivals = np.zeros((len(blocks), len(blocks)))
        for a, b in objective.limits.apart:
            self.rivals[self.block_of[a], self.block_of[b]] = self.rivals[self.block_of[b], self.block_of[a]] = 1.0
        self.labels = labels.copy()
        self._refresh()

    def _refresh(self) -> None:
        """Everything that follows from the labels."""
        _, self.labels = np.unique(self.labels, return_inverse=True)
        self.n_groups = int(self.labels.max()) + 1
        self.z = np.zeros((self.n_groups, self.n_blocks))
        self.z[self.labels, np.arange(self.n_blocks)] = 1.0
        self.count = self.z @ self.sizes
        self.group = self.labels[self.block_of]
        mine = self.z[self.group]
        self.a = (self.theta * mine).sum(axis=1)
        self.c = (self.crossed * mine).sum(axis=1)
        self.u = np.matmul(self.spread, mine[:, :, None])[:, :, 0]
        self.v = (self.u * mine).sum(axis=1)
        self.worths = self._summed(self._worth(self.a, self.c, self.v, self.count[self.group], self._all))
        self.clashes = self.z @ self.rivals

    @property
    def _all(self) -> Ints:
        return np.arange(self.n_tasks)

    def total(self) -> float:
        """Worth of the whole partition, with the price of what is forbidden."""
        return float(self.worths.sum() - FORBIDDEN * 0.5 * (self.clashes * self.z).sum())

    def _worth(self, a: Floats, c: Floats, v: Floats, count: Floats, tasks: Ints) -> Floats:
        """Worth of `tasks` (rows) whose groups hold `count` tasks; nothing for a task alone."""
        scale = 1.0 / np.maximum(count - 1.0, 1.0) if self.average else np.ones_like(count)
        shape = (-1,) + (1,) * (a.ndim - 1)
        variance = self.fixed[tasks].reshape(shape) + 2 * scale * c + scale**2 * v
        value = worth(self.intercept[tasks].reshape(shape) + scale * a, np.sqrt(np.maximum(variance, 0.0)), self.risk)
        return np.where(count > 1.5, value, 0.0)

    def _summed(self, values: Floats) -> Floats:
        made: Floats = np.bincount(self.group, weights=values, minlength=self.n_groups).astype(np.float64)
        return made

    # --- moves ----------------------------------------------------------------------------------------------

    def moves(self, block: int) -> Floats:
        """Gain of moving `block` to every group, and last to a group of its own; 0 where it is, (G + 1,)."""
        home = self.labels[block]
        sign = np.where(self.group == home, -1.0, 1.0)
        a, c = self.a + sign * self.theta[:, block], self.c + sign * self.crossed[:, block]
        v = self.v + 2 * sign * self.u[:, block] + self.corner[:, block]
        count = self.count[self.group] + sign * self.sizes[block]
        value = self._worth(a, c, v, count, self._all)
        own = np.flatnonzero(self.block_of == block)
        value[own] = 0.0
        others = self._summed(value)
        x = np.concatenate([self.z, np.zeros((1, self.n_blocks))])
        x[:, block] = 1.0
        counts = np.append(self.count, 0.0) + self.sizes[block]
        others = np.append(others, 0.0)
        for t in own:
            spread = ((x @ self.spread[t]) * x).sum(axis=1)
            parts = x @ self.theta[t], x @ self.crossed[t]
            others += self._worth(parts[0][None], parts[1][None], spread[None], counts[None], np.array([t]))[0]
        gains: Floats = others - np.append(self.worths, 0.0) - FORBIDDEN * np.append(self.clashes[:, block], 0.0)
        gains += self._summed(value)[home] - self.worths[home] + FORBIDDEN * self.clashes[home, block]
        gains[home] = 0.0
        alone = self.count[home] == self.sizes[block]
        if alone or self.n_groups >= self.limit:
            gains[-1] = -np.inf
        return gains

    def climb(self) -> None:
        """Moves and merges until none improves."""
        while self._move_all() or self._merge():
            pass

    def _move_all(self) -> bool:
        """Each block to the group where the total grows most, again and again until none moves; whether any did."""
        moved, still = False, 0
        while still < self.n_blocks:
            for block in range(self.n_blocks):
                gains = self.moves(block)
                place = int(np.argmax(gains))
                still += 1
                if gains[place] > LEAST:
                    self.labels[block] = place
                    self._refresh()
                    moved, still = True, 0
        return moved

    def _merge(self) -> bool:
        """The two groups that gain most as one, if any do."""
        if self.n_groups < 2:
            return False
        z = self.z
        a, c = self.a[:, None] + self.theta @ z.T, self.c[:, None] + self.crossed @ z.T
        v = self.v[:, None] + 2 * self.u @ z.T + ((z @ self.spread) * z).sum(axis=2)
        value = self._worth(a, c, v, self.count[self.group][:, None] + self.count, self._all)
        side = np.zeros((self.n_groups, self.n_groups))
        np.add.at(side, self.group, value)
        gains = side + side.T - self.worths[:, None] - self.worths[None, :] - FORBIDDEN * self.clashes @ z.T
        np.fill_diagonal(gains, -np.inf)
        best = np.unravel_index(int(np.argmax(gains)), gains.shape)
        if gains[best] <= LEAST:
            return False
        self.labels[self.labels == best[1]] = best[0]
        self._refresh()
        return True

    # --- swaps ----------------------------------------------------------------------------------------------

    def swap(self) -> bool:
        """Exchange the two blocks of different groups that gain most by it, if any do.

        A swap is worth about its two moves less what the two blocks are to each other, which both moves count; the
        best 60 by that are priced exactly.
        """
        moves = np.stack([self._full(block) for block in range(self.n_blocks)])[:, : self.n_groups]
        about = moves[:, self.labels]
        kin = np.zeros((self.n_blocks, self.n_blocks))
        np.add.at(kin, self.block_of, self.theta)
        about = about + about.T - 2 * (kin + kin.T)
        about[self.labels[:, None] >= self.labels[None, :]] = -np.inf
        order = np.argsort(-about, axis=None, kind="stable")[:SWAPS]
        base, kept = self.total(), self.labels.copy()
        best, chosen = base + LEAST, kept
        for first, second in zip(*np.unravel_index(order, about.shape), strict=True):
            if not np.isfinite(about[first, second]):
                break
            self.labels = kept.copy()
            self.labels[[first, second]] = kept[[second, first]]
            self._refresh()
            if self.total() > best:
                best, chosen = self.total(), self.labels.copy()
        self.labels = chosen
        self._refresh()
        return chosen is not kept

    def _full(self, block: int) -> Floats:
        """`moves` with what is not allowed now left in: a swap keeps the number of groups."""
        gains = self.moves(block)
        gains[-1] = 0.0
        return gains

    def neighbours(self, n: int) -> list[Ints]:
        """The `n` best partitions one move away."""
        near: list[tuple[float, int, int]] = []
        for block in range(self.n_blocks):
            gains = self.moves(block)
            near += [(-float(g), block, p) for p, g in enumerate(gains) if np.isfinite(g) and p != self.labels[block]]
        made = []
        for _, block, place in sorted(near)[:n]:
            labels = self.labels.copy()
            labels[block] = place
            made.append(labels)
        return made
