"""What training hands back: members, their best states, curves and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sharewise.models.build import GroupModel
from sharewise.models.stacked import Stack
from sharewise.records import BalanceRecord, Curve, Status
from sharewise.training.data import TrainingData
from sharewise.training.observers import BalanceObserver
from sharewise.training.recipe import Tuned
from sharewise.training.stopping import Checkpoints

EVALUATION_CELLS = 4_000_000
"""Rows times members times features that one evaluation pass may hold."""


@dataclass(frozen=True)
class Member:
    """One model to train: which tasks (study numbers, one per slot), with which seed and tuned values.

    `slots`, where it is given, names the task of every slot instead, of which those in `tasks` are trained and the
    others idle: without labels, whatever the table says. So groups of different tasks stack.
    """

    run_id: str
    tasks: tuple[int, ...]
    seed: int
    tuned: Tuned = field(default_factory=Tuned)
    slots: tuple[int, ...] = ()

    @property
    def layout(self) -> tuple[int, ...]:
        """The task of every slot."""
        return self.slots or self.tasks

    @property
    def busy(self) -> tuple[tuple[int, int], ...]:
        """(slot, task) of the tasks that are trained."""
        return tuple((s, t) for s, t in enumerate(self.layout) if t in self.tasks)


@dataclass(frozen=True)
class State:
    """Parameters at one checkpoint, by name, and the tasks that it answers."""

    epoch: int
    tasks: tuple[int, ...]
    parameters: dict[str, Tensor]


@dataclass(frozen=True)
class FitResult:
    """What became of a member. `predictions[part][task]` are the rows of `TrainingData.rows_of(task, part)`,
    (n, W) as the head predicts them; `weights` the mean effective weight of each task's loss; `sharing` what the
    architecture measures of itself."""

    member: Member
    status: Status
    message: str
    states: tuple[State, ...]
    best_epoch: dict[int, int]
    curves: dict[int, Curve]
    weights: dict[int, float]
    predictions: dict[str, dict[int, np.ndarray]]
    n_parameters: int
    n_train_rows: int
    epochs: int
    seconds: float
    balance: BalanceRecord | None = None
    sharing: dict[str, float] = field(default_factory=dict)
    lookahead: tuple[tuple[float | None, ...], ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of one member: its epoch (from 1) and the losses (S) on train and validation rows."""

    epoch: int
    train: Tensor
    validation: Tensor


def padded(data: TrainingData, members: Sequence[Member], part: str, most: int | None = None) -> tuple[Tensor, Tensor]:
    """Rows of `part` of every member, padded to one length: numbers (M, V) and which are real (M, V)."""
    rows = [data.rows_of_any(m.tasks, part) for m in members]
    if most is not None:
        rows = [r if len(r) <= most else r[np.linspace(0, len(r) - 1, most).astype(int)] for r in rows]
    if data.lengths is not None:
        # Sentences of like length side by side: a pass is as wide as its longest.
        rows = [r[np.argsort(data.lengths[r], kind="stable")] for r in rows]
    longest = max((len(r) for r in rows), default=0)
    numbers = np.zeros((len(rows), longest), dtype=np.int64)
    real = np.zeros((len(rows), longest), dtype=bool)
    for m, r in enumerate(rows):
        numbers[m, : len(r)], real[m, : len(r)] = r, True
    return torch.from_numpy(numbers).to(data.device), torch.from_numpy(real).to(data.device)


def chunks(model: GroupModel, rows: Tensor) -> list[tuple[int, int]]:
    """Spans of the columns of `rows` (M, V) that one evaluation pass takes each."""
    width = model.sharing.n_cells + max(model.encoder.n_out, model.encoder.cells)
    size = max(EVALUATION_CELLS // max(rows.shape[0] * width, 1), 16)
    return [(start, min(start + size, rows.shape[1])) for start in range(0, rows.shape[1], size)]


def model_measures(model: GroupModel) -> dict[str, list[float]]:
    """What the architecture measures of the members bound now, by name."""
    return {name: [float(v) for v in values] for name, values in model.sharing.measured().items()}


class Collector:
    """Turns checkpoints and evaluations of a cohort's members into their results."""

    def __init__(self, members: Sequence[Member], model: GroupModel, stack: Stack, data: TrainingData) -> None:
        self.members, self.model, self.stack, self.data = list(members), model, stack, data
        self.measured: list[dict[str, float]] = [{} for _ in members]
        self.states: list[list[State]] = [[] for _ in members]
        self.predictions: list[dict[str, dict[int, np.ndarray]]] = [{} for _ in members]

    def answer(self, checkpoints: Checkpoints, parts: Sequence[str]) -> None:
        """Bind every best checkpoint in turn, keep its state, and predict the rows of `parts` from it."""
        for made in self.predictions:
            made.update({part: {} for part in parts})
        n_criteria = checkpoints.value.shape[1]
        for c in range(n_criteria):
            self.stack.bind(checkpoints.flat[:, c].clone())
            for name, values in model_measures(self.model).items():
                for measured, value in zip(self.measured, values, strict=True):
                    measured[name] = value
            answered = list(range(len(self.model.slots))) if n_criteria == 1 else [c]
            for m, member in enumerate(self.members):
                tasks = tuple(t for s, t in member.busy if s in answered)
                if tasks:
                    self.states[m].append(State(int(checkpoints.epoch[m, c]), tasks, self.stack.state(m)))
            for part in parts:
                self._predict(part, answered)

    def result(
        self,
        m: int,
        evaluations: Sequence[Evaluation],
        weights: Tensor,
        ended: tuple[Status, str],
        n_train_rows: int,
        seconds: float,
        observer: BalanceObserver | None,
    ) -> FitResult:
        """The result of member m: `weights` (S) are its mean effective weights, `ended` how and why it ended."""
        member = self.members[m]
        slots = {self.data.tasks.tasks[t].name: member.layout.index(t) for t in member.tasks}
        return FitResult(
            member=member,
            status=ended[0],
            message=ended[1],
            states=tuple(self.states[m]),
            best_epoch={t: state.epoch for state in self.states[m] for t in state.tasks},
            curves=_curves(member, evaluations),
            weights={t: float(weights[s]) for s, t in member.busy},
            predictions=self.predictions[m],
            n_parameters=self.stack.size,
            n_train_rows=n_train_rows,
            epochs=max((e.epoch for e in evaluations), default=0),
            seconds=seconds,
            balance=None if observer is None or len(slots) < 2 else observer.record(m, slots),
            sharing=self.measured[m],
        )

    def _predict(self, part: str, answered: Sequence[int]) -> None:
        """Predictions of the slots `answered` for the labelled rows of `part`, from the parameters bound now."""
        rows, _ = padded(self.data, self.members, part)
        made: list[list[Tensor]] = []
        for start, stop in chunks(self.model, rows):
            outputs = self.model.predict(self.data.gather(rows[:, start:stop]))
            made.append([outputs[s] for s in answered])
        for position, s in enumerate(answered):
            tagged = any(head.per_token for slots, head in self.model.block_heads if s in slots)
            width = self.model.slots[s].n_targets if tagged else None
            whole = _side_by_side([chunk[position] for chunk in made], width).cpu().numpy()
            for m, member in enumerate(self.members):
                task = member.layout[s]
                if task not in member.tasks:
                    continue
                all_rows = self.data.rows_of_any(member.tasks, part)
                mine = np.searchsorted(all_rows, self.data.rows_of(task, part))
                if self.data.lengths is not None:
                    mine = np.argsort(np.argsort(self.data.lengths[all_rows], kind="stable"))[mine]
                self.predictions[m][part][task] = whole[m, : len(all_rows)][mine].astype(np.float32)


def _side_by_side(chunks_: Sequence[Tensor], width: int | None) -> Tensor:
    """Answers (M, B, W) to chunks of rows as one; tags are as wide as the longest sentence that has any, -1 where
    there is no token."""
    if width is not None:
        chunks_ = [F.pad(chunk, (0, width - chunk.shape[2]), value=-1.0) for chunk in chunks_]
    return torch.cat(list(chunks_), dim=1)


def _curves(member: Member, evaluations: Sequence[Evaluation]) -> dict[int, Curve]:
    def column(losses: Sequence[Tensor], s: int) -> tuple[float | None, ...]:
        values = [float(loss[s]) for loss in losses]
        return tuple(v if np.isfinite(v) else None for v in values)

    epochs = tuple(e.epoch for e in evaluations)
    train, validation = [e.train for e in evaluations], [e.validation for e in evaluations]
    blank = (None,) * len(evaluations)
    return {t: Curve(epochs, column(train, s), column(validation, s), blank) for s, t in member.busy}
