"""Small tables for the trainer."""

from __future__ import annotations

import numpy as np
import pytest

from sharewise.batch import Inputs, Targets
from sharewise.tasks import Task, TaskKind, TaskSet
from sharewise.training.data import TrainingData


@pytest.fixture(scope="session")
def three_tasks() -> TrainingData:
    """One binary and two regression tasks of which 30 % of the labels are missing; task 1 and 2 share structure."""
    random = np.random.default_rng(0)
    n = 600
    x = random.normal(size=(n, 6)).astype(np.float32)
    y = np.tanh(x @ random.normal(size=(6, 3))).astype(np.float32)
    y[:, 0] = y[:, 0] > 0
    present = random.random((n, 3)) < 0.7
    tasks = TaskSet(
        (
            Task("yes", TaskKind.BINARY, ("yes",), "auroc", classes=(0, 1)),
            Task("level", TaskKind.REGRESSION, ("level",), "rmse"),
            Task("depth", TaskKind.REGRESSION, ("depth",), "rmse"),
        )
    )
    parts = {"train": np.arange(400), "validation": np.arange(400, 500), "test": np.arange(500, n)}
    slices = tuple(slice(i, i + 1) for i in range(3))
    return TrainingData.of(tasks, Inputs({"numeric": x}), Targets(y * present, present, slices), parts)
