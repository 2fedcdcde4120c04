"""A study's encoded table as the trainer reads it: tensors in memory, rows picked by index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from sharewise.batch import Inputs, Targets
from sharewise.tasks import TaskKind, TaskSet


@dataclass(frozen=True)
class TrainingData:
    """Inputs and targets of all rows, and which rows are for what.

    `parts` maps "train", "validation" and "test" to row numbers. `scales` (T,) is each task's loss under the best
    constant prediction (label entropy, or 1 for standardised numbers): losses divided by it are in comparable units.
    """

    tasks: TaskSet
    inputs: Inputs[Tensor]
    targets: Targets[Tensor]
    parts: Mapping[str, np.ndarray]
    scales: Tensor

    @classmethod
    def of(
        cls,
        tasks: TaskSet,
        inputs: Inputs[np.ndarray],
        targets: Targets[np.ndarray],
        parts: Mapping[str, np.ndarray],
        device: str = "cpu",
    ) -> TrainingData:
        """Tensors that share the arrays' memory on the CPU."""
        # Sentences cut to what is judged are a view of a block that may be mapped from disk: it is not copied.
        held = {n: b if n.startswith("tokens:") else np.ascontiguousarray(b) for n, b in inputs.blocks.items()}
        blocks = {name: torch.from_numpy(np.asarray(b)).to(device) for name, b in held.items()}
        values = torch.from_numpy(np.ascontiguousarray(targets.values, dtype=np.float32)).to(device)
        present = torch.from_numpy(np.ascontiguousarray(targets.present)).to(device)
        train = parts["train"]
        scales = [
            _scale(task.kind, len(task.classes), targets.values[train, where], targets.present[train, where])
            for task, where in zip(tasks, targets.slices, strict=True)
        ]
        return cls(
            tasks,
            Inputs(blocks),
            Targets(values, present, targets.slices),
            dict(parts),
            torch.tensor(scales, dtype=torch.float32, device=device),
        )

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.targets.values.device

    @cached_property
    def lengths(self) -> np.ndarray | None:
        """Tokens of every row (N,), of its longest sentence, where blocks hold sentences."""
        blocks = [b for name, b in self.inputs.blocks.items() if name.startswith("tokens:")]
        if not blocks:
            return None
        longest: np.ndarray = np.max([(b[..., 0] != 0).sum(1).cpu().numpy() for b in blocks], axis=0)
        return longest

    def rows_of(self, task: int, part: str) -> np.ndarray:
        """Row numbers of `part` with at least one labelled cell of a task, ascending as in the part."""
        return self.rows_of_any([task], part)

    def rows_of_any(self, tasks: Sequence[int], part: str) -> np.ndarray:
        """Row numbers of `part` labelled for at least one of the tasks."""
        rows = self.parts[part]
        labelled = np.zeros(len(rows), dtype=bool)
        present = self.targets.present
        index = torch.from_numpy(rows).to(self.device)
        for task in tasks:
            where = self.targets.slices[task]
            labelled |= present[index, where].any(dim=1).cpu().numpy()
        return rows[labelled]

    def labels(self, tasks: Sequence[int], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of the tasks each row is labelled for (N, S), and the class codes (N, S), -1 where there is none."""
        index = torch.from_numpy(rows).to(self.device)
        present = np.empty((len(rows), len(tasks)), dtype=bool)
        classes = np.full((len(rows), len(tasks)), -1, dtype=np.int64)
        for s, t in enumerate(tasks):
            task, where = self.tasks.tasks[t], self.targets.slices[t]
            present[:, s] = self.targets.present[index, where].any(dim=1).cpu().numpy()
            if task.is_classification and task.n_targets == 1:
                codes = self.targets.values[index, where.start].cpu().numpy().astype(np.int64)
                classes[:, s] = np.where(present[:, s], codes, -1)
        return present, classes

    def gather(self, rows: Tensor) -> Inputs[Tensor]:
        """Inputs of the rows (M, B), block by block (M, B, ...); sentences as wide as the longest of these rows."""
        flat = rows.reshape(-1)
        made = {}
        for name, block in self.inputs.blocks.items():
            if self.lengths is not None and name.startswith("tokens:"):
                block = block[:, : max(int(self.lengths[flat.cpu().numpy()].max(initial=1)), 1)]
            made[name] = block.index_select(0, flat).view(*rows.shape, *block.shape[1:])
        return Inputs(made)


def _scale(kind: TaskKind, n_classes: int, values: np.ndarray, present: np.ndarray) -> float:
    if kind in (TaskKind.REGRESSION, TaskKind.RECONSTRUCTION):
        return 1.0
    if kind is TaskKind.MULTILABEL:
        counts = present.sum(0).clip(1)
        p = ((values * present).sum(0) + 0.5) / (counts + 1)
        return float(max(np.mean(-p * np.log(p) - (1 - p) * np.log(1 - p)), 1e-3))
    codes = values[present].astype(np.int64)
    shares = (np.bincount(codes, minlength=max(n_classes, 2)) + 0.5) / (len(codes) + 0.5 * max(n_classes, 2))
    return float(max(-(shares * np.log(shares)).sum(), 1e-3))
