"""Small synthetic tables in which nothing is wrong, between them with something for every kind of defect."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
from audit_defects import Case

from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tasks import Task, TaskKind, TaskSet

N = 2400
MARGIN = 0.08


def _parts(n: int) -> np.ndarray:
    return np.repeat([0, 1, 2], [int(0.6 * n), int(0.15 * n), n - int(0.6 * n) - int(0.15 * n)]).astype(np.int8)


@cache
def numbers(dated: bool = True) -> Case:
    """Five numbers and a category, four tasks of three kinds; with a time column, over six years with all months in
    every part, or without one."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(N, 5))
    place = rng.integers(0, 4, N)
    score = 2.2 * x[:, 0] - 2.0 * x[:, 1] + 1.2 * (place == 2) + 0.3 * rng.normal(size=N)
    level = np.digitize(1.5 * x[:, 2] + 1.5 * x[:, 3] + 0.15 * rng.normal(size=N), [-0.9, 0.9])
    load = 3 * x[:, 0] + 2 * x[:, 2] - 1.5 * x[:, 4] + 0.3 * rng.normal(size=N)
    heat = 2 * x[:, 1] - 2 * x[:, 3] + x[:, 4] + 0.3 * rng.normal(size=N)
    columns = {f"x{i}": 20 + 2 * x[:, i] for i in range(5)}
    columns |= {
        "id": np.array([f"r{i}" for i in range(N)]),
        "place": np.array(["north", "east", "south", "west"])[place],
        "churn": (score > 0.2).astype(int),
        "level": np.array(["low", "middle", "high"])[level],
        "load": load,
        "heat": heat,
    }
    inputs = (*(Input(f"x{i}", InputKind.NUMERIC) for i in range(5)), Input("place", InputKind.CATEGORICAL))
    tasks = TaskSet(
        (
            Task("churn", TaskKind.BINARY, ("churn",), "auroc", MARGIN, (0, 1)),
            Task("level", TaskKind.MULTICLASS, ("level",), "accuracy", MARGIN, ("high", "low", "middle")),
            Task("load", TaskKind.REGRESSION, ("load",), "rmse", MARGIN),
            Task("heat", TaskKind.REGRESSION, ("heat",), "rmse", MARGIN),
        )
    )
    if dated:
        start = np.datetime64("2015-01-01T00:00:00")
        columns["when"] = start + (np.arange(N) * (6 * 365 * 86400 // N)).astype("timedelta64[s]")
        return Case(pa.table(columns), Schema(inputs, tasks, "id", time="when"), _parts(N))
    return Case(pa.table(columns), Schema(inputs, tasks, "id"), rng.permutation(_parts(N)))


WORDS = [
    "river", "stone", "cloud", "window", "garden", "pencil", "rocket", "silver", "market", "winter", "summer",
    "candle", "bridge", "forest", "kitchen", "ladder", "mirror", "blanket", "basket", "button", "carpet",
    "coffee", "cousin", "dragon", "engine", "father", "guitar", "hammer", "island", "jacket", "ketchup",
    "lemon", "monkey", "needle", "orange", "pepper", "quiver", "rabbit", "saddle", "tunnel", "violin", "wallet",
    "yellow", "zipper",
]  # fmt: skip


@cache
def texts() -> Case:
    """Sentences of eight to fourteen words with a tag for each word, and two labels that single words decide."""
    rng = np.random.default_rng(11)
    n = 1500
    tokens = [[WORDS[k] for k in rng.integers(0, len(WORDS), rng.integers(8, 15))] for _ in range(n)]
    # A few frames recur, so that tags have repeated contexts.
    for row in tokens:
        row[:3] = ["the", WORDS[int(rng.integers(0, 6))], "was"]
    tags = [[("D" if w == "the" else "V" if w == "was" else "N") for w in row] for row in tokens]
    nice = np.array([int("candle" in r or "garden" in r) for r in tokens])
    table = pa.table(
        {
            "id": [f"t{i}" for i in range(n)],
            "text": [" ".join(r) for r in tokens],
            "tokens": pa.array(tokens),
            "tags": pa.array(tags),
            "nice": nice,
        }
    )
    tasks = TaskSet(
        (
            Task("tags", TaskKind.TOKEN_TAGGING, ("tags",), "accuracy", MARGIN, ("D", "N", "V")),
            Task("nice", TaskKind.BINARY, ("nice",), "auroc", MARGIN, (0, 1)),
        )
    )
    inputs = (Input("text", InputKind.TEXT), Input("tokens", InputKind.TOKENS))
    return Case(table, Schema(inputs, tasks, "id"), rng.permutation(_parts(n)))


@cache
def sentences() -> Case:
    """The texts alone, without tokens."""
    case = texts()
    schema = Schema((Input("text", InputKind.TEXT),), TaskSet((case.schema.tasks["nice"],)), "id")
    return Case(case.table.drop_columns(["tokens", "tags"]), schema, case.part)


@cache
def pictures() -> Case:
    """Grey pictures of 12 x 12 pixels, bright above or below."""
    rng = np.random.default_rng(13)
    n = 900
    side = rng.integers(0, 2, n)
    shade = rng.integers(0, 200, (n, 12, 12))
    shade[:, :6] += (side * 40)[:, None, None]
    pixels = np.clip(shade, 0, 255).astype(np.uint8).reshape(n, -1)
    table = pa.table(
        {
            "id": [f"p{i}" for i in range(n)],
            "image": pa.array([p.tobytes() for p in pixels], pa.binary(144)),
            "above": side,
        }
    )
    tasks = TaskSet((Task("above", TaskKind.BINARY, ("above",), "auroc", MARGIN, (0, 1)),))
    return Case(table, Schema((Input("image", InputKind.IMAGE),), tasks, "id"), rng.permutation(_parts(n)))


def every() -> dict[str, Case]:
    """All clean tables by name."""
    return {
        "dated numbers": numbers(True),
        "numbers": numbers(False),
        "texts": texts(),
        "sentences": sentences(),
        "pictures": pictures(),
    }
