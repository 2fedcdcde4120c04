"""What a group is worth: its tasks' expected gains, less a price for the risk of harm."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr

from sharewise.grouping.base import Estimate, Floats, Group
from sharewise.grouping.constraints import Constraints

MOST = 3.0
"""Expected gains count up to three margins either way: what is linear in the partners promises too much of groups
larger than those it was measured on, and without a cap such groups swallow tasks that are strangers to them."""


def worth(mean: Floats, sd: Floats, risk: float) -> Floats:
    """clip(E gain, -3, 3) - risk P(gain < -1), in margins, for gains of normal mean and standard deviation."""
    harm = np.where(sd > 0, ndtr((-1.0 - mean) / np.where(sd > 0, sd, 1.0)), (mean < -1.0).astype(float))
    made: Floats = np.clip(mean, -MOST, MOST) - risk * harm
    return made


@dataclass
class Objective:
    """Worth of groups, summed over their tasks; a task alone is worth nothing. Worth is remembered by group."""

    estimate: Estimate
    limits: Constraints
    risk: float = 1.0
    _known: dict[Group, float] = field(default_factory=dict)

    def of(self, group: Group) -> float:
        """Worth of one group (tasks ascending); minus infinity where a constraint forbids it."""
        if len(group) < 2:
            return 0.0
        known = self._known.get(group)
        if known is None:
            known = -np.inf
            if self.limits.allows(group):
                known = float(worth(*self.estimate.gains(group), self.risk).sum())
            self._known[group] = known
        return known

    def of_many(self, members: Floats) -> Floats:
        """Worth of many groups at once (G,), members (G, K) 0/1."""
        mean, sd = self.estimate.all_gains(members)
        total: Floats = (worth(mean, sd, self.risk) * members).sum(axis=1)
        total[members.sum(axis=1) < 2] = 0.0
        for a, b in self.limits.apart:
            total[(members[:, a] > 0) & (members[:, b] > 0)] = -np.inf
        return total
