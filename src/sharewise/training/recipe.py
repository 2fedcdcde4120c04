"""How a member is trained: batch size, schedule, regularisation and stopping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sharewise.models.space import OneOf, Range, Space
from sharewise.seeds import derive


@dataclass(frozen=True)
class Recipe:
    """What all members of a cohort have in common.

    `epochs` passes over a member's labelled rows, but at least `min_steps` steps, so that a task with few rows is
    trained long enough; `batch_size` None chooses one by the member's rows (`batch_size_for`). The learning rate
    warms up linearly over the first `warmup` share of the steps and then falls along a half cosine to 1 % of its
    top. AdamW with betas (0.9, `beta2`); 0.95 follows RealMLP (Holzmueller et al. 2024, table A.1). Gradients are
    clipped to the norm `clip` member by member. A criterion that has not improved for `patience` evaluations is
    stale; a member whose criteria are all stale stops. `checkpoint` "group" keeps the one epoch with the least mean
    relative validation loss, so that one forward pass answers every task; "task" keeps each task's own best epoch.
    """

    epochs: int = 60
    min_steps: int = 800
    batch_size: int | None = None
    patience: int = 12
    warmup: float = 0.05
    beta2: float = 0.95
    clip: float = 1.0
    checkpoint: Literal["group", "task"] = "group"
    evaluate_every: int = 1
    max_validation_rows: int = 20_000


@dataclass(frozen=True)
class Tuned:
    """What a tuning trial varies for each member."""

    lr: float = 2e-3
    weight_decay: float = 1e-2
    dropout: float = 0.1


SPACE: Space = {
    "lr": Range(5e-4, 1e-2, "log"),
    "weight_decay": Range(1e-4, 0.3, "log"),
    "dropout": OneOf((0.0, 0.05, 0.1, 0.2, 0.3, 0.4)),
}
"""What every neural arm may vary, whatever its tasks."""


def trial(number: int, seed: int) -> Tuned:
    """Trial 0 is the default; later trials draw from the same space for every arm, whatever its tasks.

    lr log-uniform on [5e-4, 1e-2], weight decay log-uniform on [1e-4, 0.3], dropout uniform on
    {0, 0.05, 0.1, 0.2, 0.3, 0.4}.
    """
    if number == 0:
        return Tuned()
    random = np.random.default_rng(derive(seed, "trial", number))
    return Tuned(
        lr=float(np.exp(random.uniform(np.log(5e-4), np.log(1e-2)))),
        weight_decay=float(np.exp(random.uniform(np.log(1e-4), np.log(0.3)))),
        dropout=float(random.choice([0.0, 0.05, 0.1, 0.2, 0.3, 0.4])),
    )


def batch_size_for(n_rows: int) -> int:
    """The power of two nearest below a sixteenth of the rows, between 16 and 256; all rows where there are fewer."""
    if n_rows < 16:
        return max(n_rows, 1)
    return min(max(1 << max(n_rows // 16, 1).bit_length() - 1, 16), 256)
