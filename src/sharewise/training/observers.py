"""What balancing did, noted while a cohort trains: observers read and cannot write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sharewise.balance.engine.step import Step
from sharewise.balance.observe import Log, conflict_rate, exact, look
from sharewise.records import BalanceRecord, Series

POINTS = 24
"""Most entries of a series in a record."""

LOOKS, APART = 16, 50
"""How often a run's gradients are compared where its method compares none, and the fewest steps between."""

LAYER_SHARE = 0.02
"""Share of a run's time that looks at its layers may take, of which there are at most three."""

ALIKE = 60
"""Most tasks whose magnitude similarities are kept: a record of very many tasks stays small."""

LAYER_CELLS = 20_000_000
"""Task gradients times members times parameters that one look at the layers may hold."""

Point = tuple[int, dict[str, np.ndarray]]


class BalanceObserver:
    """Notes of every member: means over the steps between evaluations, tables over the whole run.

    Where the method compares no gradients a member is looked at now and then, by its own step count, so that what is
    seen of it does not depend on its company; so are layers, where time and memory allow it. `meets` says whether
    gradients can be compared at the representation; where not, only looks at the layers see any.
    """

    def __init__(self, method: str, level: str, n_slots: int, total: np.ndarray, cells: int, meets: bool) -> None:
        self.method, self.level, self.meets = method, level, meets
        self.log = Log()
        members = len(total)
        self.points: list[list[Point]] = [[] for _ in range(members)]
        self.tables: list[dict[str, np.ndarray]] = [{} for _ in range(members)]
        self.layers: list[dict[str, list[float]]] = [{} for _ in range(members)]
        self.rested = np.zeros((members, n_slots))
        self.evaluations = np.zeros(members)
        self._alive = np.arange(members)
        self._every = np.maximum(total // LOOKS, APART)
        self._by_layer = [_layer_steps(int(n), n_slots) if cells * n_slots <= LAYER_CELLS else () for n in total]
        self._last_gramian = -(10**9)
        self._next = self._next_look(0)

    def _next_look(self, step: int) -> int:
        """The first step from `step` on at which a living member is due for a look."""
        every = self._every[self._alive]
        steps = [int(n) for n in every // 2 + every * -(-(step - every // 2).clip(0) // every)]
        steps += [n for m in self._alive for n in self._by_layer[m] if n >= step]
        return min(steps, default=-1)

    def step(
        self,
        number: int,
        done: Step,
        features: Tensor,
        losses_from: Callable[[Tensor], Tensor],
        trunk: Callable[[], tuple[Tensor, list[tuple[str, Tensor]]]],
    ) -> None:
        """Note step `number` (from 0), before the optimiser moves anything.

        `trunk` makes the shared features anew with their graph, and names the trunk's parameters.
        """
        if done.gramian is not None:
            self._last_gramian = number
        if number < self._next:
            self.log.add(done)
            return
        self._next = self._next_look(number + 1)
        every = self._every[self._alive]
        due = (number % every == every // 2) & (number - self._last_gramian > every) & self.meets
        if due.any():
            seen = look(features.detach(), losses_from, done)
            mine = torch.from_numpy(due).to(seen.present.device).unsqueeze(-1)
            self.log.add(replace(done, present=done.present & ~mine))
            self.log.add(replace(seen, present=done.present & mine))
        else:
            self.log.add(done)
        by_layer = np.array([number in self._by_layer[m] for m in self._alive])
        if by_layer.any():
            again, shared = trunk()
            self._look_at_layers(by_layer, done, exact(again, losses_from, done, shared))

    def _look_at_layers(self, which: np.ndarray, done: Step, found: dict[str, Tensor]) -> None:
        for layer, matrix in found.items():
            rates = conflict_rate(matrix, done.present)
            for position in np.flatnonzero(which):
                rate = float(rates[position])
                if rate == rate:
                    self.layers[self._alive[position]].setdefault(layer, []).append(rate)
        if not self.meets and done.gramian is None:
            mine = torch.from_numpy(which).to(done.present.device).unsqueeze(-1)
            self.log.add(replace(done, gramian=torch.stack(list(found.values())).sum(0), present=done.present & mine))

    def evaluated(self, chosen: Tensor, epochs: Sequence[int], frozen: Tensor | None) -> None:
        """End a stretch for the living members at positions `chosen`: their epochs, and whose heads rest (M, S)."""
        means = {name: value.cpu().numpy() for name, value in self.log.take(chosen).items()}
        for i, (position, epoch) in enumerate(zip(chosen.tolist(), epochs, strict=True)):
            member = self._alive[position]
            self.points[member].append((int(epoch), {name: value[i] for name, value in means.items()}))
            self.evaluations[member] += 1
            if frozen is not None:
                self.rested[member] += frozen[position].cpu().numpy()

    def keep(self, index: Tensor) -> None:
        """Members leave the stack; their tables are closed."""
        tables = {name: value.cpu().numpy() for name, value in self.log.tables().items()}
        for position in sorted(set(range(len(self._alive))) - set(index.tolist())):
            self.tables[self._alive[position]] = {name: value[position] for name, value in tables.items()}
        self.log.keep(index)
        self._alive = self._alive[index.cpu().numpy()]

    def record(self, m: int, slots: Mapping[str, int]) -> BalanceRecord:
        """What was noted of member m, whose tasks are trained in `slots`; the others of a wider stack stand idle."""
        epochs, columns = _thinned(self.points[m])

        def by_task(name: str) -> dict[str, Series]:
            values = columns.get(name)
            return {} if values is None else {task: _series(values[:, s]) for task, s in slots.items()}

        def by_pair(name: str) -> tuple[Series, ...]:
            values, mine = self.tables[m].get(name), list(slots.values())
            return () if values is None else tuple(_series(row) for row in np.round(values[np.ix_(mine, mine)], 3))

        rested = self.rested[m] / max(self.evaluations[m], 1)
        return BalanceRecord(
            method=self.method,
            level=self.level,
            epochs=epochs,
            effective_weights=by_task("weights"),
            loss_shares=by_task("loss_shares"),
            gradient_norms=by_task("norms"),
            gradient_norm_shares=by_task("norm_shares"),
            conflict_rate=_series(columns["conflict_rate"]) if "conflict_rate" in columns else (),
            cosines=by_pair("cosines"),
            magnitude_similarities=by_pair("similarities") if len(slots) <= ALIKE else (),
            conflict_rate_by_layer={name: short(float(np.mean(v))) for name, v in self.layers[m].items()},
            frozen={task: float(f"{rested[s]:.3g}") for task, s in slots.items() if rested[s] > 0},
        )


def _layer_steps(total: int, n_tasks: int) -> tuple[int, ...]:
    """Steps at which a member's layers are looked at: early, and twice later; each look costs 2 T / 3 steps."""
    affordable = int(LAYER_SHARE * total / (2 * n_tasks / 3))
    return (total // 8, total // 40, total // 3)[: min(affordable, 3)]


def _thinned(points: Sequence[Point]) -> tuple[tuple[int, ...], dict[str, np.ndarray]]:
    """At most `POINTS` epochs, and what was seen up to each as means over the stretches between, (n, ...) by name."""
    width = -(-len(points) // POINTS) or 1
    starts = range(0, len(points), width)
    epochs = tuple(points[min(i + width, len(points)) - 1][0] for i in starts)
    shapes = {name: value.shape for _, values in points for name, value in values.items()}
    columns = {}
    for name, shape in shapes.items():
        whole = np.stack([values.get(name, np.full(shape, np.nan)) for _, values in points])
        known = np.isfinite(whole)
        sums = np.add.reduceat(np.where(known, whole, 0.0), list(starts), axis=0)
        counts = np.add.reduceat(known.astype(float), list(starts), axis=0)
        columns[name] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return epochs, columns


def short(value: float) -> float | None:
    """A number with four digits, None for what is none."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _series(values: np.ndarray) -> Series:
    return tuple(short(float(v)) for v in values)
