"""Best checkpoints and when to stop, for every member and criterion of a stack at once."""

from __future__ import annotations

import torch
from torch import Tensor


class Checkpoints:
    """The best parameters so far of every member under each of its criteria.

    A criterion is one number per evaluation, smaller is better: the mean relative validation loss of the group
    (C = 1), or each slot's own (C = S). `value` (M, C), `epoch` (M, C), `flat` (M, C, P), `stale` (M, C) evaluations
    without improvement.
    """

    def __init__(self, flat: Tensor, n_criteria: int) -> None:
        m = flat.shape[0]
        self.value = torch.full((m, n_criteria), float("inf"), device=flat.device)
        self.epoch = torch.zeros(m, n_criteria, dtype=torch.long, device=flat.device)
        self.stale = torch.zeros(m, n_criteria, dtype=torch.long, device=flat.device)
        self.flat = flat.unsqueeze(1).expand(-1, n_criteria, -1).clone()

    def update(self, members: Tensor, values: Tensor, epochs: Tensor, flat: Tensor) -> None:
        """Take note of one evaluation of `members` (m,): criteria (m, C), their epoch (m,), parameters (m, P).

        A criterion that is not a number (no label to judge by) never improves.
        """
        better = values < self.value[members]
        self.stale[members] = torch.where(better, 0, self.stale[members] + 1)
        who, which = better.nonzero(as_tuple=True)
        rows = members[who]
        self.value[rows, which] = values[who, which]
        self.epoch[rows, which] = epochs[who]
        self.flat[rows, which] = flat[who]

    def exhausted(self, patience: int) -> Tensor:
        """Members (M,) none of whose criteria has improved for `patience` evaluations."""
        return (self.stale >= patience).all(dim=1)

    def keep(self, members: Tensor) -> None:
        """Only the members at these positions stay."""
        self.value, self.epoch = self.value[members], self.epoch[members]
        self.stale, self.flat = self.stale[members], self.flat[members]
