"""What training owes to the way tasks share: where gradients meet, what freezes when, and what ties the trunks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sharewise.balance.engine.balancer import Balancer
from sharewise.balance.engine.conventions import Level
from sharewise.models.build import GroupModel
from sharewise.models.stacked import Entry, Stack


def is_shared(entry: Entry) -> bool:
    """Whether several tasks' losses reach a parameter of the encoder or the trunk."""
    return entry.shared and not entry.name.startswith("heads.")


class Shared:
    """The shared parameters of a stack, as a training step needs them.

    Where two tasks' gradients cannot meet at the representation (`Sharing.common` False, or tasks that read different
    inputs), a balancer that would
    compare them there compares exact gradients at all shared parameters instead, one trunk backward per task, and
    `compared` are these parameters; else it is None.
    """

    def __init__(self, model: GroupModel, stack: Stack, balancer: Balancer) -> None:
        self._sharing = model.sharing
        self._rates = stack.rates()
        self._trained = stack.mask(lambda entry: not is_shared(entry))
        self.compared: list[torch.nn.Parameter] | None = None
        if balancer.level is Level.REPRESENTATION and not (model.sharing.common and model.views is None):
            balancer.level = Level.LAST_BLOCK
            self.compared = [entry.parameter for entry in stack.entries if is_shared(entry)]

    def rates(self, lr: Tensor, step: int, total: np.ndarray) -> Tensor:
        """Learning rates (M, 1), or (M, P) where parameters have their own, or where shared ones of members past the
        share of their `total` steps at which these freeze have 0."""
        if self._rates is not None:
            lr = lr * self._rates.to(lr.device)
        after = self._sharing.freeze_after
        if after is None:
            return lr
        frozen = torch.from_numpy(step >= after * total).to(lr.device).unsqueeze(1)
        return torch.where(frozen, lr * self._trained.to(lr.device), lr)

    def regularise(self) -> None:
        """Add the gradient of the architecture's own penalty to `.grad`, at full weight whatever balances the tasks."""
        penalty = self._sharing.penalty()
        if penalty is not None:
            torch.autograd.backward(penalty.sum())
