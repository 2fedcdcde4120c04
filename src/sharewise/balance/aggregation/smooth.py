"""CR-MOGM: any aggregator's weights, smoothed over the steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sharewise.balance.aggregation import CATALOGUE
from sharewise.balance.contracts import Aggregator, Needs, TaskFacts
from sharewise.errors import ConfigError, Problem


class Smooth(Aggregator):
    """Exponential moving average of another aggregator's weights: w = decay w_before + (1 - decay) w_new.

    Zhou et al. 2022 (CR-MOGM, NeurIPS, algorithm 1), which proves convergence for it. `of` names the
    aggregator, `params` its parameters; ConfigError where it is none, or has none such. The first step takes the
    new weights; an absent task keeps its average. Cost: none.
    """

    average: Tensor
    seen: Tensor

    def __init__(self, *, of: str = "mgda", decay: float = 0.9, params: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        wrong = CATALOGUE.problems(of, dict(params or {}))
        if wrong:
            raise ConfigError(wrong)
        inner = CATALOGUE.build(of, **dict(params or {}))
        if not isinstance(inner, Aggregator):
            raise ConfigError(Problem("Only weights can be smoothed", f"'{of}' works on gradient entries"))
        self.inner, self.decay = inner, decay

    @property
    def needs(self) -> Needs:  # type: ignore[override]
        """What the aggregator within needs."""
        return self.inner.needs

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        self.register_buffer("average", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(shape, dtype=torch.bool))

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        self._built()
        new = self.inner.weights(gramian, losses, present)
        mixed = torch.where(self.seen, self.decay * self.average + (1 - self.decay) * new, new)
        self.average = torch.where(present, mixed, self.average)
        self.seen = self.seen | present
        return self.average

    def after_step(self, before: Tensor, after: Tensor, present: Tensor | None = None) -> None:
        """Hand on to the aggregator within."""
        self.inner.after_step(before, after, present)

    def after_epoch(self, means: Tensor, present: Tensor | None = None, scores: Tensor | None = None) -> None:
        """Hand on to the aggregator within."""
        self.inner.after_epoch(means, present, scores)
