"""A primary task that auxiliary gradients never oppose."""

from __future__ import annotations

import torch
from torch import Tensor

from sharewise.balance import masked
from sharewise.balance.contracts import Aggregator, Claim, TaskFacts
from sharewise.balance.solvers.matrix import cosines
from sharewise.errors import ConfigError, Problem


class Primary(Aggregator):
    """The mean, after each auxiliary gradient that opposes the primary task's has lost the part that does.

    w_k = a_k for auxiliaries and w_p = a_p - sum_k a_k min(0, <g_k, g_p>) / |g_p|^2, a = 1/n, or `share` for
    the primary and the rest equally. So <d, g_p> >= a_p |g_p|^2. `task` is its name or position; without it
    the declared primary task is meant. Where the primary has no label in the batch, or another model trains it, the
    plain mean of the others. Cost: none beyond the Gramian.
    """

    claims = frozenset({Claim.DETERMINISTIC})
    main: Tensor

    def __init__(self, *, task: str | int | None = None, share: float | None = None) -> None:
        super().__init__()
        if share is not None and not 0 < share <= 1:
            raise ConfigError(Problem("'share' must lie in (0, 1]", f"it is {share}"))
        self.task, self.share = task, share

    def _state(self, facts: TaskFacts, shape: tuple[int, ...]) -> None:
        index = _index(self.task, facts)
        row = torch.zeros(facts.n_tasks, dtype=torch.bool)
        if index is not None:
            row[index] = True
        self.register_buffer("main", row.expand(shape).clone())

    def weights(self, gramian: Tensor, losses: Tensor, present: Tensor) -> Tensor:
        """Weights (..., T)."""
        self._built()
        main = self.main & present
        there = main.any(-1, keepdim=True)
        plain = masked.uniform(present)
        if self.share is not None:
            others = present & ~main
            rest = (1.0 - self.share) * masked.uniform(others)
            alone = ~others.any(-1, keepdim=True)
            split = torch.where(main, torch.where(alone, 1.0, self.share), rest)
            plain = torch.where(there, split, plain)
        cosine, norms, alive = cosines(gramian, present)
        along = (cosine * main.double().unsqueeze(-2)).sum(-1).clamp(max=0)
        length = (norms * main).sum(-1, keepdim=True)
        given_back = -(plain * along * norms * ~main).sum(-1, keepdim=True)
        extra = torch.where(length > 0, given_back / length.clamp(min=1e-300), torch.zeros_like(length))
        return plain + extra * (main & alive)


def _index(task: str | int | None, facts: TaskFacts) -> int | None:
    """Position of the primary task, None where another model trains it."""
    if task is None:
        if facts.primary is None and not facts.elsewhere:
            raise ConfigError(
                Problem("'primary' needs a primary task", "none is declared", "set task: NAME, or declare one")
            )
        return facts.primary
    if isinstance(task, str):
        return facts.position(task, "The primary must be a task")
    if not 0 <= task < facts.n_tasks:
        raise ConfigError(Problem(f"The primary's position must be below {facts.n_tasks}", f"it is {task}"))
    return task
