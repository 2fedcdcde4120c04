"""What a model reads and what it is asked: arrays by block, targets with `present`.

The same two types hold a whole table as numpy arrays and a batch of it as torch tensors, so that a missing
label becomes `present = False` once, here, and never again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

A = TypeVar("A")
"""numpy.ndarray for a table, torch.Tensor for a batch."""


@dataclass(frozen=True)
class Inputs(Generic[A]):
    """Encoded inputs: `blocks` maps a block's name to an array whose leading axes are the rows.

    Blocks of the tabular codec: `numeric` (B, F) float32, imputed and scaled; `categorical` (B, C) integer codes,
    0 for missing or unseen; `embedding` (B, D) float32 or uint8, wide vectors taken as they are.
    An input of another kind has blocks of its own, named KIND:NAME: `text:review` (B, D) float16 features or
    (B, L) int32 token numbers, `id:user` (B, 1) int32 codes. Beside them `present` (B, K) uint8 has a column for each
    such block, in order: 0 where the row has no value, and what the block holds there means nothing.
    A batch of a cohort has M in front: (M, B, F).
    """

    blocks: Mapping[str, A]

    def __getitem__(self, name: str) -> A:
        return self.blocks[name]

    def __contains__(self, name: object) -> bool:
        return name in self.blocks

    def at(self, index: Any) -> Inputs[A]:
        """The rows at `index` (any index that the arrays themselves accept), block by block."""
        return Inputs({name: block[index] for name, block in self.blocks.items()})  # type: ignore[index]


@dataclass(frozen=True)
class Targets(Generic[A]):
    """Labels of all tasks side by side.

    `values` (B, K) float32: class codes for binary, multiclass and ordinal tasks, 0/1 for each label of a
    multilabel task, the transformed and standardised number for regression. `present` (B, K) bool says which
    cells are labelled; an absent cell's value is 0 and means nothing. `slices[t]` are the columns of task t, in
    task order; K = sum of the tasks' `n_targets`.
    """

    values: A
    present: A
    slices: tuple[slice, ...]

    def at(self, index: Any) -> Targets[A]:
        """The rows at `index`."""
        return Targets(self.values[index], self.present[index], self.slices)  # type: ignore[index]
