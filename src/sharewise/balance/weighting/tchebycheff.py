"""Smooth Tchebycheff: mostly the worst task, smoothly."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Claim, Needs, TaskFacts, Weighting
from sharewise.balance.scaling.log import Log


class Tchebycheff(Weighting):
    """mu log sum_k exp(f_k / mu), f_k = log(l_k / nadir_k): effective weights softmax(f / mu) / l.

    Lin et al. 2024 (STCH, arXiv 2402.19078, equation 12). As in the authors' multi-task experiments the nadir
    is each task's mean loss of epoch `warmup`, before which the mean log loss is minimised. Small `mu` is the
    worst task alone. Scale-invariant. Losses must be positive. Cost: one backward pass.
    """

    needs = Needs(epoch_means=True)
    claims = frozenset({Claim.SCALE_INVARIANT, Claim.DETERMINISTIC})
    nadir: Tensor
    epochs: Tensor

    def __init__(self, *, mu: float = 1.0, warmup: int = 4, floor: float = 1e-12) -> None:
        super().__init__()
        self.mu, self.warmup = mu, warmup
        self.log = Log(floor=floor)

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.register_buffer("nadir", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("epochs", torch.zeros(shape, dtype=torch.int64))

    def forward(self, losses: Tensor, present: Tensor) -> Tensor:
        """Objective (...,)."""
        self._built()
        log_losses = self.log(losses, present)
        known = self.nadir > 0
        nadir = self.nadir.where(known, torch.ones_like(self.nadir)).log().to(losses.dtype)
        relative = (log_losses - nadir).masked_fill(~present, -torch.inf)
        some = present.any(-1)
        relative = relative.masked_fill(~some.unsqueeze(-1), 0.0)
        worst = self.mu * torch.logsumexp(relative / self.mu, -1)
        begun = (known | ~present).all(-1)
        return torch.where(begun & some, worst, masked.mean(log_losses, present))

    def after_epoch(self, means: Tensor, present: Tensor | None = None, scores: Tensor | None = None) -> None:
        """Count the epoch; the means of the warm-up's last become the nadir (later for tasks absent then)."""
        self._built()
        there = torch.ones_like(means, dtype=torch.bool) if present is None else present
        self.epochs = self.epochs + 1
        due = there & (self.epochs >= self.warmup) & (self.nadir <= 0)
        self.nadir = torch.where(due, means.double(), self.nadir)
