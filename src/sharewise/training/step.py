"""One step of a stack: rows -> losses kept apart -> one gradient per member."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sharewise.models.build import GroupModel
from sharewise.training.data import TrainingData


class Slots:
    """Which task each member's slots hold, as the index tensors that fetch their targets.

    `numbers` (M, S) are task numbers of the study, `auxiliary` (M, S) whether they decide nothing; `units` (M, S)
    divide losses: each task's scale over its weight, weights having mean 1 over a member's trained slots; for every
    block of the model, `columns` (M, S_block, K) are the target columns and `class_weights` (M, S_block, C) the class
    weights, or None where no task has any. `busy` (M, S) says which slots are trained, None all of them: the cells of
    an idle slot are never present.
    """

    def __init__(self, numbers: Tensor, model: GroupModel, data: TrainingData, busy: Tensor | None = None) -> None:
        self.numbers, self.busy = numbers, busy
        self._model, self._data = model, data
        self.scales = data.scales[numbers]
        tasks = data.tasks.tasks
        weight = torch.tensor([task.weight for task in tasks], device=data.device)[numbers]
        trained = torch.ones_like(weight) if busy is None else busy.to(weight.dtype)
        self.weights = weight / ((weight * trained).sum(1, keepdim=True) / trained.sum(1, keepdim=True))
        self.units = self.scales / self.weights
        self.auxiliary = torch.tensor([task.auxiliary for task in tasks], device=data.device)[numbers]
        starts = torch.tensor([s.start for s in data.targets.slices], device=data.device)
        self.columns: list[Tensor] = []
        self._busy: list[Tensor | None] = []
        self.class_weights: list[Tensor | None] = []
        for members in model.blocks:
            mine = numbers[:, list(members)]
            width = model.slots[members[0]].n_targets
            self._busy.append(None if busy is None else busy[:, list(members), None, None])
            self.columns.append(starts[mine].unsqueeze(-1) + torch.arange(width, device=data.device))
            weights = [[tasks[int(t)].class_weights for t in row] for row in mine]
            if any(w for row in weights for w in row):
                n = max(len(w) for row in weights for w in row)
                table = [[list(w) if w else [1.0] * n for w in row] for row in weights]
                self.class_weights.append(torch.tensor(table, device=data.device))
            else:
                self.class_weights.append(None)

    def keep(self, members: Tensor) -> Slots:
        """The slots of the members at these positions."""
        busy = None if self.busy is None else self.busy[members]
        return Slots(self.numbers[members], self._model, self._data, busy)

    def targets(self, rows: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Values and present cells of rows (M, B) for every block, each (M, S_block, B, K)."""
        data = self._data.targets
        n_columns = data.values.shape[1]
        base = (rows * n_columns).unsqueeze(1).unsqueeze(-1)
        values, present = [], []
        for columns, busy in zip(self.columns, self._busy, strict=True):
            cells = base + columns.unsqueeze(2)
            values.append(data.values.take(cells))
            there = data.present.take(cells)
            present.append(there if busy is None else there & busy)
        return values, present


def labelled(present: Sequence[Tensor], model: GroupModel) -> Tensor:
    """Which slots have a label in the batch, (M, S) bool, from the blocks' present cells."""
    return model.in_slot_order([p.any(-1).any(-1) for p in present])
