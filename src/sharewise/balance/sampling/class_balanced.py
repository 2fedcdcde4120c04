"""Rare classes of a task more often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharewise.balance.sampling.base import Floats, Sampler, Strata
from sharewise.errors import ConfigError, Problem, nearest


class ClassBalanced(Sampler):
    """Rows of class c of one task weigh 1 / E_c, with E_c = (1 - beta^n_c) / (1 - beta) the effective number.

    Cui et al. 2019 (arXiv 1901.05555, equation 2): beta 0 leaves the natural shares, beta to 1 balances the
    classes. `task` is the name or position of the task; its unlabelled rows keep their share. Predicted
    probabilities shift with the sampling: recalibrate.
    """

    by_class = True

    def __init__(self, *, task: str | int, beta: float = 0.999, repeat_cap: float | None = 20.0) -> None:
        if not 0 <= beta < 1:
            raise ConfigError(Problem("'beta' must lie in [0, 1)", f"it is {beta}"))
        self.task, self.beta, self.repeat_cap = task, beta, repeat_cap

    def applies_to(self, names: Sequence[str]) -> bool:
        """Only to models that train its task."""
        return not isinstance(self.task, str) or self.task in names

    def _column(self) -> int:
        names = self.strata.names
        if isinstance(self.task, str) and self.task not in names:
            raise ConfigError(Problem("Classes belong to a task", f"'{self.task}' is none", nearest(self.task, names)))
        if isinstance(self.task, int) and not 0 <= self.task < len(names):
            raise ConfigError(Problem(f"A task's position must be below {len(names)}", f"it is {self.task}"))
        return names.index(self.task) if isinstance(self.task, str) else self.task

    def shares(self, strata: Strata, progress: float) -> Floats:
        """Shares (S)."""
        column = self._column()
        codes = strata.classes[:, column]
        if (codes < 0).all():
            fact = f"'{strata.names[column]}' has none"
            raise ConfigError(Problem("Balancing classes needs a task with one class a row", fact, "name another task"))
        weight = np.ones(len(codes))
        for code in np.unique(codes[codes >= 0]):
            n = strata.counts[codes == code].sum()
            weight[codes == code] = (1.0 - self.beta) / (1.0 - self.beta**n)
        there = codes >= 0
        raw = strata.natural * weight
        raw[there] *= strata.natural[there].sum() / raw[there].sum() if there.any() else 1.0
        return raw
