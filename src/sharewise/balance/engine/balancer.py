"""The balancer: one method, one gradient level, one set of explicit conventions, for any training loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Self

import torch
from torch import Tensor, nn

from sharewise.balance.contracts import Aggregator, Needs, Scaling, TaskFacts, Weighting
from sharewise.balance.engine import features as shared_features
from sharewise.balance.engine.step import Step
from sharewise.errors import ConfigError, Problem


class Level(StrEnum):
    """Where task gradients are compared; costs in units of a plain step."""

    LOSSES = "losses"
    REPRESENTATION = "representation"


class Heads(StrEnum):
    """Which gradient the heads get: of their own (scaled) loss, or weighted like the trunk's."""

    OWN = "own"
    WEIGHTED = "weighted"


class Balancer(nn.Module):
    """Runs a weighting or an aggregator in a training step, for one member or a stack of members.

    `level` is where task gradients are compared; `refresh` n uses the weights of every n-th step in between;
    `heads` says which gradient the heads get; `clip` bounds the norm of the aggregated gradient at the level,
    after aggregation.
    """

    held: Tensor
    tick: Tensor

    def __init__(
        self,
        method: Weighting | Aggregator,
        *,
        scaling: Scaling | None = None,
        level: Level | str | None = None,
        refresh: int = 1,
        heads: Heads | str = Heads.OWN,
        clip: float | None = None,
    ) -> None:
        super().__init__()
        self.method = method
        self.scaling = scaling
        default = Level.LOSSES if isinstance(method, Weighting) else Level.REPRESENTATION
        self.level = default if level is None else Level(level)
        self.refresh, self.clip = refresh, clip
        self.heads = Heads(heads)
        if isinstance(method, Aggregator) and self.level is Level.LOSSES:
            raise ConfigError(
                Problem("An aggregator compares gradients", "the level is 'losses'", "set level='representation'")
            )

    @property
    def needs(self) -> Needs:
        """What the method and the scaling need of the training loop."""
        return self.method.needs if self.scaling is None else self.method.needs | self.scaling.needs

    def build(self, tasks: int | TaskFacts, seeds: int | Sequence[int] = 0) -> Self:
        """Make all state: one member where `seeds` is a number, M where it is a sequence."""
        facts = TaskFacts(tasks) if isinstance(tasks, int) else tasks
        self.n_tasks = facts.n_tasks
        self.method.build(facts, seeds)
        if self.scaling is not None:
            self.scaling.build(facts, seeds)
        members = (len(seeds),) if isinstance(seeds, Sequence) else ()
        self.register_buffer("held", torch.full((*members, facts.n_tasks), 1.0 / facts.n_tasks, dtype=torch.float64))
        self.register_buffer("tick", torch.zeros(members, dtype=torch.int64))
        return self

    def keep(self, index: Tensor) -> None:
        """Let members leave the stack (see `Method.keep`)."""
        self.method.keep(index)
        if self.scaling is not None:
            self.scaling.keep(index)
        self.held, self.tick = self.held[index], self.tick[index]

    # --- a step ---------------------------------------------------------------------------------------------

    def backward_from(
        self, features: Tensor, losses_from: Callable[[Tensor], Tensor], present: Tensor | None = None
    ) -> Step:
        """One step from shared features and a callable that evaluates every head; fills `.grad`.

        `features` (..., *rest) carry the trunk's graph; `losses_from` maps them, or per-task copies (..., T,
        *rest), to losses (..., T). Cost: one backward pass.
        """
        lead = self.held.dim() - 1
        if self.level is Level.LOSSES:
            return self.backward(losses_from(features), present)
        if not self._due():
            carrier = shared_features.Carrier()
            copies = shared_features.attached_copies(features, self.n_tasks, lead, carrier)
            return self._reuse(losses_from(copies), present, carrier)
        copies = shared_features.detached_copies(features, self.n_tasks, lead)
        return self._apart(losses_from(copies), present, features, copies)

    def backward(self, losses: Tensor, present: Tensor | None = None) -> Step:
        """One step at level `losses`: objective, one backward pass through everything, measured weights."""
        present = _present(losses, present)
        clean = _clean(losses, present)
        clean.retain_grad()
        torch.autograd.backward(self.method(self._scaled(clean, present), present).sum())
        weights = torch.zeros_like(clean) if clean.grad is None else clean.grad
        self.tick += 1
        return Step(losses.detach(), present, weights, torch.ones_like(weights), None, True)

    def after_step(self, before: Step, after: Tensor) -> None:
        """Hand on the same batch's losses (..., T), evaluated after the optimiser's step."""
        present = before.present & after.isfinite()
        old, new = _clean(before.losses, present), _clean(after.detach(), present)
        if self.scaling is not None:
            old, new = self.scaling(old, present), self.scaling(new, present)
        self.method.after_step(old, new, present)

    def after_epoch(self, means: Tensor, present: Tensor | None = None, scores: Tensor | None = None) -> None:
        """Hand epoch means (..., T), and scores where needed, to the method and the scaling."""
        if self.scaling is not None:
            self.scaling.after_epoch(means, present, scores)
        self.method.after_epoch(means, present, scores)

    # --- parts ----------------------------------------------------------------------------------------------

    def _due(self) -> bool:
        return isinstance(self.method, Weighting) or int(self.tick.max()) % self.refresh == 0

    def _scaled(self, losses: Tensor, present: Tensor) -> Tensor:
        if self.scaling is None:
            return losses
        self.scaling.observe(losses.detach(), present)
        scaled: Tensor = self.scaling(losses, present)
        return scaled

    def _slopes(self, losses: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled losses and d scaled / d loss, both detached."""
        leaf = _clean(losses.detach(), present).requires_grad_()
        scaled = self._scaled(leaf, present)
        (slopes,) = torch.autograd.grad(scaled.sum(), leaf)
        return scaled.detach(), slopes.masked_fill(~present, 0.0)

    def _apart(self, losses: Tensor, present: Tensor | None, features: Tensor, copies: Tensor) -> Step:
        lead = losses.dim() - 1
        present = _present(losses, present)
        scaled, slopes = self._slopes(losses, present)
        if self.heads is Heads.OWN:
            torch.autograd.backward(losses, slopes)
            cotangents = copies.grad
            assert cotangents is not None
        else:
            (cotangents,) = torch.autograd.grad(losses, copies, slopes, retain_graph=True)
        matrix = shared_features.gramian(cotangents, lead)
        weights = self._weights(matrix, scaled, present)
        if self.heads is Heads.WEIGHTED:
            copies.requires_grad_(False)
            torch.autograd.backward(losses, slopes * weights.to(slopes.dtype))
        torch.autograd.backward(features, shared_features.combine(cotangents, weights, lead))
        self.held = torch.where(present, weights, self.held)
        self.tick += 1
        return Step(losses.detach(), present, weights.to(slopes.dtype) * slopes, slopes, matrix, True)

    def _weights(self, matrix: Tensor, scaled: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T) on the scaled losses, clipped."""
        if isinstance(self.method, Weighting):
            leaf = scaled.clone().requires_grad_()
            torch.autograd.backward(self.method(leaf, present).sum())
            weights = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
            weights = weights.double().masked_fill(~present, 0.0)
        else:
            weights = self.method(matrix, scaled, present)
        if self.clip is None:
            return weights
        norm = (weights.unsqueeze(-2) @ matrix @ weights.unsqueeze(-1)).squeeze(-1).clamp(min=0).sqrt()
        return weights * (self.clip / norm.clamp(min=1e-300)).clamp(max=1.0)

    def _reuse(self, losses: Tensor, present: Tensor | None, carrier: shared_features.Carrier) -> Step:
        present = _present(losses, present)
        _, slopes = self._slopes(losses, present)
        weights = _renormalised(self.held, present)
        carrier.weights = weights if self.heads is Heads.OWN else torch.ones_like(weights)
        effective = slopes * weights.to(slopes.dtype)
        torch.autograd.backward(losses, slopes if self.heads is Heads.OWN else effective)
        self.tick += 1
        return Step(losses.detach(), present, effective, slopes, None, False)


def _present(losses: Tensor, present: Tensor | None) -> Tensor:
    finite = losses.detach().isfinite()
    return finite if present is None else finite & present


def _clean(losses: Tensor, present: Tensor) -> Tensor:
    """A copy with 0 where absent."""
    return torch.where(present, losses, torch.zeros_like(losses))


def _renormalised(held: Tensor, present: Tensor) -> Tensor:
    """Held weights of the tasks present, with the sum that all held weights have."""
    kept = held * present
    there, whole = kept.sum(-1, keepdim=True), held.sum(-1, keepdim=True)
    usable = (there > 0) & (whole > 0)
    return kept * torch.where(usable, whole / there.where(usable, torch.ones_like(there)), torch.ones_like(there))
