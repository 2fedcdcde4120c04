"""A tiny study's worth of parts for a bundle: every task kind, trees, a linear model and two networks."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.torch import save as save_tensors

from sharewise.bundle import Address, Artifact, Reroute, Routes
from sharewise.models.boosted import Boosted
from sharewise.models.build import GroupModel, slots_of
from sharewise.models.linear import Linear
from sharewise.models.stacked import Stack
from sharewise.plan import Choice, Group, Plan
from sharewise.tables.codec import Codec
from sharewise.tables.read import Table
from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tasks import Task, TaskKind, TaskSet

N = 120
ODD = "rate/per hour é"
WHEN = "2026-01-01T00:00:00+00:00"


def table(n: int = N, seed: int = 0) -> Table:
    """Numbers, categories, a truth value, a date and a vector; labels of all kinds."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=n)
    z = draw.normal(size=n)
    columns: dict[str, Any] = {
        "id": [f"row-{i}" for i in range(n)],
        "x": x,
        "z": np.where(draw.random(n) < 0.1, np.nan, z),
        "colour": draw.choice(["red", "green", "blue"], n),
        "on": draw.random(n) < 0.5,
        "day": (np.datetime64("2024-01-01") + draw.integers(0, 400, n)).astype("datetime64[ms]"),
        "bits": list((draw.random((n, 6)) < 0.3).astype(np.uint8)),
        "school": draw.choice(["a", "b", "c"], n),
        "yes": np.where(x > 0, "yes", "no"),
        "kind": np.where(x > 0.5, "high", np.where(z > 0, "mid", "low")),
        "grade": np.digitize(x + z, [-1, 0, 1]),
        "tag_a": (x > 0.3).astype(int),
        "tag_b": (z > 0.3).astype(int),
        ODD: np.exp(x) + 3.0,
        "score": 50 + 10 * x,
    }
    arrow = pa.table({name: pa.array(v, from_pandas=True) for name, v in columns.items()})
    bits = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(columns["bits"])), 6)
    return Table(arrow.set_column(arrow.column_names.index("bits"), "bits", bits), "tiny")


def tasks() -> TaskSet:
    """One task of each kind and a grouped declaration."""
    regression = TaskKind.REGRESSION
    return TaskSet(
        (
            Task("yes", TaskKind.BINARY, ("yes",), "auroc", classes=("no", "yes")),
            Task("kind", TaskKind.MULTICLASS, ("kind",), "accuracy", classes=("high", "low", "mid")),
            Task("grade", TaskKind.ORDINAL, ("grade",), "kappa", classes=(0, 1, 2, 3)),
            Task("tags", TaskKind.MULTILABEL, ("tag_a", "tag_b"), "f1_macro", classes=("tag_a", "tag_b")),
            Task(ODD, regression, (ODD,), "rmse", transform="log1p"),
            Task("again", TaskKind.RECONSTRUCTION, ("x", "z"), "rmse", classes=("x", "z")),
            Task("score@a", regression, ("score",), "rmse", family="score", where=("school", "a")),
            Task("score@b", regression, ("score",), "rmse", family="score", where=("school", "b")),
        )
    )


def schema() -> Schema:
    """All input kinds that are encoded today."""
    kinds = {
        "x": "numeric",
        "z": "numeric",
        "colour": "categorical",
        "on": "boolean",
        "day": "datetime",
        "bits": "embedding",
    }
    return Schema(tuple(Input(name, InputKind(kind)) for name, kind in kinds.items()), tasks(), row_id="id")


def codec() -> Codec:
    """Fitted on the first two thirds."""
    return Codec.fit(table(), schema(), np.arange(80))


def single(kind: type, name: str, fitted: Codec) -> Artifact:
    """A single-task model of one of the tasks."""
    position = schema().tasks.index(name)
    targets = fitted.targets(table())
    where = targets.slices[position]
    model = kind.fit(
        tasks()[name],
        fitted.encode(table()),
        targets.values[:, where],
        targets.present[:, where],
        np.arange(80),
        np.arange(80, N),
        kind.search_space(0, 0) | ({"rounds": 12} if kind is Boosted else {}),
        0,
    )
    return Artifact.of_single(f"single:{name}", name, model.to_files())


def neural(group: str, names: tuple[str, ...], fitted: Codec, answers: list[list[str]]) -> Artifact:
    """A network with random weights: one checkpoint for each list of tasks it answers."""
    encoder = {
        "name": "tabular",
        "n_numeric": fitted.n_numeric,
        "cardinalities": list(fitted.cardinalities),
        "n_embedding": fitted.n_embedding,
        "bins": [],
    }
    model = GroupModel(encoder, Choice("hard", {"width": 16}), slots_of([tasks()[name] for name in names]))
    stack = Stack(model)
    states = []
    for i, mine in enumerate(answers):
        stack.populate([i], [names])
        config = {**model.config, "tasks": list(names), "answers": mine, "epoch": i + 3}
        states.append(save_tensors(stack.state(0), {"config": json.dumps(config)}))
    return Artifact.of_neural(group, states)


def parts() -> dict[str, Any]:
    """Keyword arguments of `save`."""
    return dict(_parts())


@functools.cache
def _parts() -> dict[str, Any]:
    fitted = codec()
    together = ("kind", ODD, "again")
    artifacts = [
        single(Boosted, "yes", fitted),
        single(Linear, "grade", fitted),
        single(Linear, "tags", fitted),
        neural("together", together, fitted, [["kind"], [ODD, "again"]]),
        neural("schools", ("score@a", "score@b"), fitted, [["score@a", "score@b"]]),
    ]
    homes = {task: artifact.address for artifact in artifacts for task in artifact.tasks}
    log = tuple(Reroute(t, homes[t], "it won", WHEN, {"gain": 0.1}) for t in tasks().names)
    groups = tuple(Group(a.address.group, a.tasks) for a in artifacts)
    return {
        "plan": Plan("shipped", groups),
        "codec": fitted,
        "artifacts": artifacts,
        "routes": Routes(log),
        "provenance": {"seed": 0, "data_hash": "none"},
        "card": "# A tiny bundle\n",
    }


def together() -> Address:
    """Where the network of three tasks lies."""
    return Address("together")
