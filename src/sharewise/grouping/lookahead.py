"""Suggestions from what a step on one task does to another."""

from __future__ import annotations

from sharewise.errors import ConfigError, Problem
from sharewise.grouping.base import Affinity, Estimate, Floats, Measured
from sharewise.grouping.cosine import suggested


class Lookahead(Affinity):
    """Tasks whose steps lower one another's loss more than steps of tasks do on average are suggested as partners.

    theta_kj = (Z_kj - mean) / sd over all pairs, Z_kj = 1 - L_k(theta - lr g_j) / L_k(theta) the mean over steps of
    one joint run (Fifty et al. 2021, TAG); gain_k(S) their mean over S. It has no unit and no error, and its rank
    correlation with real gains is about 0 on published tables, so that it only suggests plans to train. Cost: one
    joint run, and at 16 of its steps T further ones.
    """

    measures_groups = False
    joint_run = True

    def fit(self, measured: Measured, hints: Floats | None = None) -> Estimate:
        """See `Affinity.fit`; raises ConfigError where no step was looked at."""
        made = suggested(hints)
        if made is None:
            raise ConfigError(
                Problem(
                    "The search by lookahead reads what steps of the joint run did",
                    "no two tasks were labelled in one batch of it",
                    "search by surrogate",
                )
            )
        return made
