"""Higher-order gains from pairs."""

from __future__ import annotations

import numpy as np

from sharewise.grouping.base import Affinity, Estimate, Floats, Measured


class HigherOrder(Affinity):
    """Gain of k in S = mean over j in S of k's gain in the pair {k, j}.

    Standley, Zamir, Chen, Guibas, Malik and Savarese 2020, "Which tasks should be learned together in multi-task
    learning?", section 6 (higher-order approximation). A pair that was not trained, or could not be compared, counts as
    the mean of the pairs that were, with their spread. Cost: K (K - 1) / 2 trained pairs, nothing to fit.
    """

    needs_pairs = True

    def fit(self, measured: Measured, hints: Floats | None = None) -> Estimate:
        """See `Affinity.fit`; hints are not used."""
        k_tasks = measured.n_tasks
        theta = np.full((k_tasks, k_tasks), np.nan)
        variance = np.full((k_tasks, k_tasks), np.nan)
        for i in np.flatnonzero(measured.members.sum(axis=1) == 2):
            k = int(measured.task[i])
            j = int(next(j for j in np.flatnonzero(measured.members[i]) if j != k))
            theta[k, j], variance[k, j] = measured.gain[i], measured.variance[i]
        seen = np.isfinite(theta)
        theta[~seen] = theta[seen].mean() if seen.any() else 0.0
        variance[~seen] = theta[seen].var() + variance[seen].mean() if seen.any() else 1.0
        np.fill_diagonal(theta, 0.0)
        np.fill_diagonal(variance, 0.0)
        covariance = np.zeros((k_tasks, k_tasks + 1, k_tasks + 1))
        for k in range(k_tasks):
            covariance[k, 1:, 1:] = np.diag(variance[k])
        return Estimate(np.zeros(k_tasks), theta, covariance, average=True)
