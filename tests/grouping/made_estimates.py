"""Estimates drawn at random, for searches to be tried on."""

from __future__ import annotations

import numpy as np

from sharewise.grouping.base import Estimate


def drawn(n_tasks: int, seed: int, *, average: bool = False) -> Estimate:
    """Thetas of either sign with a full covariance, zero where a task would partner itself."""
    random = np.random.default_rng(seed)
    theta = random.normal(size=(n_tasks, n_tasks)) * 0.6 - 0.1
    np.fill_diagonal(theta, 0.0)
    covariance = np.zeros((n_tasks, n_tasks + 1, n_tasks + 1))
    for k in range(n_tasks):
        root = random.normal(size=(n_tasks + 1, n_tasks + 1)) * 0.1
        covariance[k] = root @ root.T / 3
        covariance[k, k + 1, :] = covariance[k, :, k + 1] = 0.0
    return Estimate(random.normal(size=n_tasks) * 0.3, theta, covariance, average)
