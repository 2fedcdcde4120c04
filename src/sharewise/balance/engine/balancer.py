"""The balancer: one method, one gradient level, one set of explicit conventions, for any training loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Self

import torch
from torch import Tensor, nn

from sharewise.balance.contracts import Aggregator, Directional, Needs, Scaling, TaskFacts, Weighting
from sharewise.balance.engine import checked, gradients, ranks
from sharewise.balance.engine.conventions import Heads, Level, Scale, renormalised, rescaled
from sharewise.balance.engine.features import Copies
from sharewise.balance.engine.losses import Losses, TaskLosses
from sharewise.balance.engine.rows import RowSource, Trunk, leaves
from sharewise.balance.engine.served import Watch, problems
from sharewise.balance.engine.step import Step
from sharewise.balance.solvers.matrix import uncast
from sharewise.errors import ConfigError, Problem


class Balancer(nn.Module):
    """Runs a weighting or an aggregator in a training step, for one member or a stack of members.

    `level` is where task gradients are compared (default: `losses` for a weighting, `representation`
    otherwise); `refresh` n measures every n-th step and uses those weights between (0: only when `measure` is
    called); `heads` says which gradient the heads get; `scale` which length the direction has; `clip` bounds
    its norm at the level, after aggregation; `trunk` how exact gradients are computed; `freeze_after` n fixes
    the weights after n epochs at their mean over the last; `nonfinite` raises or leaves the task out
    (default: raise for one member, skip in a stack). Give `parameters()` to the optimiser without weight
    decay where there are any.
    """

    held: Tensor
    total: Tensor
    count: Tensor
    tick: Tensor
    epoch: Tensor

    def __init__(
        self,
        method: Weighting | Aggregator | Directional,
        *,
        scaling: Scaling | None = None,
        level: Level | str | None = None,
        refresh: int = 1,
        heads: Heads | str = Heads.OWN,
        scale: Scale | str = Scale.NATIVE,
        clip: float | None = None,
        trunk: Trunk | str = Trunk.AUTO,
        freeze_after: int | None = None,
        nonfinite: Literal["raise", "skip"] | None = None,
    ) -> None:
        super().__init__()
        checked.method(method)
        checked.numbers(refresh, clip, freeze_after, nonfinite)
        self.method = method
        self.scaling = scaling
        default = Level.LOSSES if isinstance(method, Weighting) else Level.REPRESENTATION
        self.level = default if level is None else checked.option(Level, "level", level)
        self.refresh, self.clip, self.freeze_after, self.nonfinite = refresh, clip, freeze_after, nonfinite
        self.heads, self.scale = checked.option(Heads, "heads", heads), checked.option(Scale, "scale", scale)
        self.facts = TaskFacts(0)
        self._rows = RowSource(checked.option(Trunk, "trunk", trunk))
        self._copies: Copies | None = None
        self._watch = Watch()
        self._agree()

    @property
    def needs(self) -> Needs:
        """What the method and the scaling need of the training loop."""
        return self.method.needs if self.scaling is None else self.method.needs | self.scaling.needs

    def _agree(self) -> None:
        name = type(self.method).__name__
        if self.level is Level.LOSSES and not isinstance(self.method, Weighting):
            raise ConfigError(
                Problem(
                    f"'{name}' compares task gradients",
                    "the level 'losses' has none",
                    "set level='representation', 'last_block' or 'parameters'",
                )
            )
        if self.level is Level.LOSSES and (self.clip is not None or self.scale is not Scale.NATIVE):
            raise ConfigError(
                Problem(
                    "'clip' and 'scale' act on a direction made of task gradients",
                    "the level 'losses' has none",
                    "set level='representation', or clip the gradients in the training loop",
                )
            )
        if isinstance(self.method, Directional) and (self.refresh != 1 or self.freeze_after is not None):
            raise ConfigError(Problem(f"'{name}' has no weights to hold", "refresh or freeze_after is set"))

    def check(self, offered: Needs) -> None:
        """Raise ConfigError for every need of the method that a training loop does not offer, and how to meet it."""
        missing = problems(self.method, self.needs, offered)
        if missing:
            raise ConfigError(missing)

    def build(self, tasks: int | TaskFacts, seeds: int | Sequence[int] = 0) -> Self:
        """Make all state: one member where `seeds` is a number, M where it is a sequence."""
        self.facts = TaskFacts(tasks) if isinstance(tasks, int) else tasks
        self.method.build(self.facts, seeds)
        if self.scaling is not None:
            self.scaling.build(self.facts, seeds)
        members = (len(seeds),) if isinstance(seeds, Sequence) else ()
        shape = (*members, self.facts.n_tasks)
        self.register_buffer("held", torch.full(shape, 1.0 / self.facts.n_tasks, dtype=torch.float64))
        self.register_buffer("total", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("count", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("tick", torch.zeros(members, dtype=torch.int64))
        self.register_buffer("epoch", torch.zeros(members, dtype=torch.int64))
        return self

    def keep(self, index: Tensor) -> None:
        """Let members leave the stack (see `Method.keep`)."""
        self.method.keep(index)
        if self.scaling is not None:
            self.scaling.keep(index)
        for name in ("held", "total", "count", "tick", "epoch"):
            self.register_buffer(name, self.get_buffer(name)[index])

    # --- a step ---------------------------------------------------------------------------------------------

    def copies(self, *features: Tensor) -> tuple[Tensor, ...]:
        """One copy of the shared features (B, ...) per task, for its head to read; then call `backward`.

        With one tensor: T tensors. With several: T for the first, T for the second and so on.
        """
        copies = self._copied(features)
        return tuple(copy for leaf in copies.leaves for copy in leaf.unbind(self._lead))

    def backward_from(
        self,
        features: Tensor,
        losses_from: Callable[[Tensor], Tensor],
        present: Tensor | None = None,
        shared: Iterable[Tensor] | None = None,
    ) -> Step:
        """One step from shared features and a callable that evaluates every head; fills `.grad`.

        `features` (..., *rest) carry the trunk's graph; `losses_from` maps them, or per-task copies
        (..., T, *rest), to losses (..., T); `present` (..., T). One backward pass but at level `parameters`.
        """
        if self.level is Level.LOSSES:
            return self.backward(losses_from(features), present)
        copies = self._copied((features,))
        return self.backward(losses_from(copies.leaves[0]), present, shared=shared)

    def backward(
        self,
        losses: Losses,
        present: Tensor | None = None,
        *,
        features: Tensor | Sequence[Tensor] | None = None,
        shared: Iterable[Tensor] | None = None,
    ) -> Step:
        """One step from losses: T scalars, scalars by name in the declared order, or a tensor (..., T).

        Above level `losses` the heads must have read `copies`; or give `features` that they all read, or, for
        exact gradients of any model, `shared` parameters. Fills `.grad` of trunk, heads and the method's
        parameters. Raises ConfigError or DataError for losses that cannot be used, and where no shared
        parameter is found.
        """
        self._ready()
        with uncast(self.held):  # who calls this within one wants exact Gramians too
            return self._backward(losses, present, features, shared)

    def _backward(
        self,
        losses: Losses,
        present: Tensor | None,
        features: Tensor | Sequence[Tensor] | None,
        shared: Iterable[Tensor] | None,
    ) -> Step:
        copies, self._copies = self._copies, None
        task = TaskLosses(losses, present, self.facts.labels, self._skips)
        values, there = ranks.mean_losses(task.clean(), task.present)
        scaled, slopes = self._slopes(values, there)
        if copies is not None and copies.carrier is not None:
            return self._reuse(task, there, slopes, copies)
        if self.level is Level.LOSSES:
            weights = self._held(there) if self._fixed() else self._weights(None, scaled, there)
            task.backward(weights.to(slopes.dtype) * slopes)
            return self._record(task, there, weights, slopes, None, fresh=not self._fixed())
        found = self._gradients(task, slopes, copies, features, shared)
        return self._balance(task, there, scaled, slopes, found)

    def measure(
        self,
        losses: Losses,
        present: Tensor | None = None,
        *,
        features: Tensor | Sequence[Tensor] | None = None,
        shared: Iterable[Tensor] | None = None,
    ) -> Step:
        """Weights from any graph, say of a sub-batch, for the steps to come; touches no `.grad` of the trunk.

        For `refresh` 0. Heads must read `features` directly, not copies; their gradients are left alone too.
        """
        self._ready()
        self._copies = None
        task = TaskLosses(losses, present, self.facts.labels, self._skips)
        values, there = ranks.mean_losses(task.clean(), task.present)
        scaled, slopes = self._slopes(values, there)
        if self.level is Level.PARAMETERS and shared is not None:
            found = gradients.without_features(task, checked.parameters(shared) or [], slopes, own=False)
        else:
            found = gradients.without_copies(task, self._common(features), slopes, own=False)
        matrix = found.gramian()
        weights = self._weights(matrix, scaled, there)
        self.held.copy_(torch.where(there, weights, self.held))
        return Step(task.values, there, weights.to(slopes.dtype) * slopes, slopes, matrix, True)

    def after_step(self, before: Step, after: Tensor) -> None:
        """Hand on the same batch's losses (..., T), evaluated after the optimiser's step."""
        checked.per_task(after, self.facts, "Losses after the step")
        self._watch.after_steps += 1
        new, present = ranks.mean_losses(after.detach().nan_to_num(), before.present & after.isfinite())
        old, _ = ranks.mean_losses(before.losses.nan_to_num(), before.present)
        old, new = (torch.where(present, x, torch.zeros_like(x)) for x in (old, new))
        if self.scaling is not None:
            old, new = self.scaling(old, present), self.scaling(new, present)
        self.method.after_step(old, new, present)

    def after_epoch(self, means: Tensor, present: Tensor | None = None, scores: Tensor | None = None) -> None:
        """End an epoch: means (..., T) of losses, scores where needed; freezes the weights when due."""
        self._ready()
        checked.per_task(means, self.facts, "An epoch's mean losses")
        checked.scores(scores, self.needs.epoch_scores, type(self.method).__name__)
        if self.scaling is not None:
            self.scaling.after_epoch(means, present, scores)
        self.method.after_epoch(means, present, scores)
        self.epoch = self.epoch + 1
        if self.freeze_after is not None and int(self.epoch.max()) == self.freeze_after:
            self.held = torch.where(self.count > 0, self.total / self.count.clamp(min=1), self.held)
        self.total, self.count = torch.zeros_like(self.total), torch.zeros_like(self.count)

    # --- parts ----------------------------------------------------------------------------------------------

    @property
    def _lead(self) -> int:
        return self.held.dim() - 1

    @property
    def _skips(self) -> bool:
        return self._lead > 0 if self.nonfinite is None else self.nonfinite == "skip"

    def _ready(self) -> None:
        if not self.facts.n_tasks:
            raise ConfigError(
                Problem(
                    "A balancer must be built for its tasks before its first step",
                    "it is not",
                    "call build(n_tasks) once, before the optimiser is made",
                )
            )

    def _fixed(self) -> bool:
        """Whether the weights are frozen for good."""
        return self.freeze_after is not None and int(self.epoch.max() if self.epoch.numel() else 0) >= self.freeze_after

    def _due(self) -> bool:
        if self._fixed() or (self.refresh == 0 and not isinstance(self.method, Directional)):
            return False
        return self.refresh <= 1 or int(self.tick.max()) % self.refresh == 0

    def _copied(self, features: Sequence[Tensor]) -> Copies:
        self._ready()
        for one in features:
            checked.features(one)
        self._copies = Copies.of(features, self.facts.n_tasks, self._lead, attached=not self._due())
        return self._copies

    def _held(self, present: Tensor) -> Tensor:
        return renormalised(self.held, present)

    def _slopes(self, values: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled losses and d scaled / d loss, both detached; 0 for absent tasks."""
        if self.scaling is None:
            return values, present.to(values.dtype)
        self.scaling.observe(values, present)
        leaf = values.clone().requires_grad_()
        scaled: Tensor = self.scaling(leaf, present)
        (slopes,) = torch.autograd.grad(scaled.sum(), leaf)
        return scaled.detach(), slopes.masked_fill(~present, 0.0)

    def _weights(self, matrix: Tensor | None, scaled: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T) on the scaled losses, by the conventions."""
        if isinstance(self.method, Weighting):
            leaf = scaled.clone().requires_grad_()
            torch.autograd.backward(self.method(leaf, present).sum())
            found = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
            weights = found.double().masked_fill(~present, 0.0)
        else:
            assert isinstance(self.method, Aggregator)
            assert matrix is not None
            weights = self.method(matrix, scaled, present)
        return weights if matrix is None else rescaled(weights, matrix, present, self.scale, self.clip)

    def _common(self, features: Tensor | Sequence[Tensor] | None) -> tuple[Tensor, ...]:
        if features is None:
            raise ConfigError(
                Problem(
                    f"Level '{self.level}' compares task gradients at shared features",
                    "neither copies nor features are given",
                    "let heads read balancer.copies(z), or pass features=z, or shared= at level 'parameters'",
                )
            )
        return (features,) if isinstance(features, Tensor) else tuple(features)

    def _gradients(
        self,
        task: TaskLosses,
        slopes: Tensor,
        copies: Copies | None,
        features: Tensor | Sequence[Tensor] | None,
        shared: Iterable[Tensor] | None,
    ) -> gradients.Gradients:
        own = self.heads is Heads.OWN
        parameters = checked.parameters(shared)
        if copies is None and features is None and parameters and self.level is Level.PARAMETERS:
            return gradients.without_features(task, parameters, slopes, own)
        if copies is None:
            found = gradients.without_copies(task, self._common(features), slopes, own)
            outputs, lead = self._common(features), 0
            cotangents: list[Tensor] = [b.reshape(-1, *f.shape) for b, f in zip(found.moved, outputs, strict=True)]
            heads = found.heads
        else:
            outputs, lead = copies.features, self._lead
            cotangents = self._cotangents(task, slopes, copies, own)
            heads = None if own else lambda weights: task.backward(weights.to(slopes.dtype) * slopes)
        if self.level is Level.REPRESENTATION:
            return gradients.at_features(outputs, cotangents, lead, heads)
        if parameters is None and self.level is Level.LAST_BLOCK:
            raise ConfigError(
                Problem(
                    "Level 'last_block' compares gradients at the last shared block",
                    "its parameters are not given",
                    "pass shared=block.parameters()",
                )
            )
        used = task.present.reshape(-1, self.facts.n_tasks).any(0).tolist()
        where = leaves(outputs) if parameters is None else parameters
        return gradients.at_parameters(outputs, cotangents, where, self._rows, used, lead, heads, self.level)

    def _cotangents(self, task: TaskLosses, slopes: Tensor, copies: Copies, own: bool) -> list[Tensor]:
        if own:
            plain = self.scaling is None and task.whole and task.stacked is None
            task.backward(None if plain else slopes)
            if all(leaf.grad is None for leaf in copies.leaves) and bool(task.present.any()):
                raise ConfigError(gradients.UNREAD)
            return [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in copies.leaves]
        roots, grads = task.parts(slopes)
        if not roots:
            return [torch.zeros_like(leaf) for leaf in copies.leaves]
        found = torch.autograd.grad(roots, copies.leaves, grads, retain_graph=True, allow_unused=True)
        return [torch.zeros_like(f) if g is None else g for f, g in zip(copies.leaves, found, strict=True)]

    def _balance(
        self, task: TaskLosses, present: Tensor, scaled: Tensor, slopes: Tensor, found: gradients.Gradients
    ) -> Step:
        matrix = found.gramian()
        if task.spoilt or not math.isfinite(float(matrix.sum())):
            present = present & matrix.diagonal(dim1=-2, dim2=-1).isfinite()
            found.clean(present)
            matrix = found.gramian()
        if isinstance(self.method, Directional):
            self.method.prepare(scaled, present)
            directions = found.direct(self.method, present, self.clip)
            weights = found.explained(directions, matrix, present)
            found.put(directions)
        else:
            weights = self._weights(matrix, scaled, present)
            found.combine(weights)
        if found.heads is not None:
            found.heads(weights)
        return self._record(task, present, weights, slopes, matrix, fresh=True)

    def _reuse(self, task: TaskLosses, present: Tensor, slopes: Tensor, copies: Copies) -> Step:
        weights = self._held(present)
        assert copies.carrier is not None
        own = self.heads is Heads.OWN
        copies.carrier.weights = weights if own else torch.ones_like(weights)
        task.backward(slopes if own else slopes * weights.to(slopes.dtype))
        return self._record(task, present, weights, slopes, None, fresh=False)

    def _record(
        self,
        task: TaskLosses,
        present: Tensor,
        weights: Tensor,
        slopes: Tensor,
        matrix: Tensor | None,
        fresh: bool,
    ) -> Step:
        self._watch.step(self.method, self.needs)
        if fresh and (self.refresh != 1 or self.freeze_after is not None):
            self.held.copy_(torch.where(present, weights, self.held))
        if self.freeze_after is not None:
            self.total.add_(weights)
            self.count.add_(present)
        if self.refresh > 1:
            self.tick.add_(1)
        return Step(task.values, present, weights.to(slopes.dtype) * slopes, slopes, matrix, fresh)
