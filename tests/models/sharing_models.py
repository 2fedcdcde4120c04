"""Small models and cohorts for the tests of the sharing architectures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sharewise.balance.choose import Balance
from sharewise.balance.engine.balancer import Balancer
from sharewise.batch import Inputs, Targets
from sharewise.models.build import GroupModel, Slot, slots_of
from sharewise.models.stacked import Stack
from sharewise.plan import Choice
from sharewise.tasks import Task, TaskKind, TaskSet
from sharewise.training.cohort import Cohort
from sharewise.training.data import TrainingData
from sharewise.training.recipe import Recipe, Tuned
from sharewise.training.results import Member

N_IN = 5


def built(name: str, n_slots: int = 3, members: int = 1, n_in: int = N_IN, **params: Any) -> tuple[GroupModel, Stack]:
    """A model of regression slots "t0", "t1", ... on numbers that pass as they are."""
    made = GroupModel({"n_embedding": n_in}, Choice(name, params), [Slot("regression", 1, 1)] * n_slots)
    stack = Stack(made)
    stack.populate(list(range(members)), [[f"t{s}" for s in range(n_slots)]] * members)
    return made, stack


def rows(n: int = 7, members: int = 1, seed: int = 0, n_in: int = N_IN) -> Inputs[Tensor]:
    """Random inputs."""
    return Inputs({"embedding": torch.randn(members, n, n_in, generator=torch.Generator().manual_seed(seed))})


def put(stack: Stack, name: str, value: Tensor | float) -> None:
    """Overwrite a parameter of every member."""
    entry = next(e for e in stack.entries if e.name == name)
    entry.of(stack.flat)[:] = value


def got(stack: Stack, name: str) -> Tensor:
    """A parameter (M, ...)."""
    return next(e.of(stack.flat) for e in stack.entries if e.name == name)


def copy_heads(source: Stack, target: Stack) -> None:
    """Give a model the heads of another."""
    for entry in source.entries:
        if entry.name.startswith("heads."):
            put(target, entry.name, entry.of(source.flat))


def toy(n_tasks: int = 3, n: int = 200, conflict: bool = False) -> TrainingData:
    """Regression tasks y_t = tanh(x a_t) of normal inputs; with `conflict` every other one is minus the first."""
    random = np.random.default_rng(0)
    x = random.normal(size=(n, N_IN)).astype(np.float32)
    a = random.normal(size=(N_IN, n_tasks))
    if conflict:
        a = a[:, :1] * np.where(np.arange(n_tasks) % 2, -1.0, 1.0)
    y = np.tanh(x @ a).astype(np.float32)
    tasks = TaskSet(tuple(Task(f"t{t}", TaskKind.REGRESSION, (f"t{t}",), "rmse") for t in range(n_tasks)))
    order = np.arange(n)
    parts = {"train": order[: n // 2], "validation": order[n // 2 :]}
    slices = tuple(slice(t, t + 1) for t in range(n_tasks))
    return TrainingData.of(tasks, Inputs({"embedding": x}), Targets(y, np.ones_like(y, bool), slices), parts)


def cohort(
    data: TrainingData,
    name: str,
    balancer: Balancer | None = None,
    members: Sequence[int] = (0, 1),
    steps: int = 60,
    **params: Any,
) -> Cohort:
    """Members of one group of all tasks."""
    net = GroupModel({"n_embedding": N_IN}, Choice(name, params), slots_of(data.tasks.tasks))
    tasks = tuple(range(len(data.tasks)))
    everyone = [Member(f"m{seed}", tasks, seed, Tuned(lr=5e-3, weight_decay=0.01, dropout=0.1)) for seed in members]
    balance = None if balancer is None else Balance(balancer)
    return Cohort(everyone, net, data, Recipe(epochs=1, min_steps=steps, batch_size=32), balance)
