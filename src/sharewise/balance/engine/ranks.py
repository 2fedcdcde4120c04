"""Statistics over the ranks of a data-parallel run, so that every replica finds the same weights.

With losses that are means over a rank's rows the global gradient is the mean over ranks. At the
representation the features of the ranks are different rows of one batch, so the global Gramian is the sum of
the ranks' over R^2: T x T numbers. At parameters the rows themselves must be averaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> int:
    """Number of ranks, 1 where nothing is distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_losses(values: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the ranks where a task is present, and the tasks present on any rank."""
    if world() == 1:
        return values, present
    both = torch.stack([torch.where(present, values, torch.zeros_like(values)).double(), present.double()])
    dist.all_reduce(both)
    found = both[0] / both[1].clamp(min=1.0)
    return found.to(values.dtype), both[1] > 0


def sum_gramian(matrix: Tensor) -> Tensor:
    """Gramian of the features of all ranks, each loss being the mean over ranks."""
    n = world()
    if n == 1:
        return matrix
    matrix = matrix.contiguous()
    dist.all_reduce(matrix)
    return matrix / n**2


def mean_rows(rows: Sequence[Tensor]) -> None:
    """Average rows over ranks in place."""
    n = world()
    if n == 1:
        return
    for row in rows:
        dist.all_reduce(row)
        row /= n
