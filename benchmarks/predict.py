"""Rows per second of `sharewise predict` from Parquet to Parquet, as a share of the bare forward's.

The bare forward runs the same network over the same rows, already encoded and in memory, in the same pieces;
predict reads, encodes, answers in original labels and units, and writes. Both are measured in turn and their medians
compared. Run: python benchmarks/predict.py [--rows 300000] [--repeats 5] [--threads N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save as save_tensors

from sharewise.batch import Inputs
from sharewise.bundle import Artifact, Bundle, Reroute, Routes, save
from sharewise.bundle.neural import FORWARD_ROWS
from sharewise.bundle.stream import PIECE, predict_file
from sharewise.models.build import GroupModel, slots_of
from sharewise.models.encoders.tabular import quantile_bins
from sharewise.models.stacked import Stack
from sharewise.plan import Choice, Plan
from sharewise.tables.codec import Codec
from sharewise.tables.read import Table
from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tasks import Task, TaskKind, TaskSet

N_NUMERIC, N_CATEGORICAL = 20, 5


def table(n: int) -> Table:
    """Numbers with gaps, categories, and labels of four tasks."""
    draw = np.random.default_rng(0)
    columns: dict[str, object] = {"id": pa.array(np.arange(n))}
    for i in range(N_NUMERIC):
        values = draw.normal(size=n)
        columns[f"x{i}"] = pa.array(values, mask=draw.random(n) < 0.02 if i % 4 == 0 else None)
    for i in range(N_CATEGORICAL):
        columns[f"c{i}"] = pa.array([f"level {k}" for k in range(8 + i)]).take(pa.array(draw.integers(0, 8 + i, n)))
    columns["sick"] = pa.array(["no", "yes"]).take(pa.array(draw.integers(0, 2, n)))
    columns["size"] = pa.array(["s", "m", "l", "xl"]).take(pa.array(draw.integers(0, 4, n)))
    columns["price"], columns["rate"] = pa.array(draw.normal(size=n)), pa.array(draw.normal(size=n))
    return Table(pa.table(columns), "generated")


def bundle(data: Table, where: Path) -> Bundle:
    """One network of the default architecture that answers all four tasks."""
    tasks = TaskSet(
        (
            Task("sick", TaskKind.BINARY, ("sick",), "auroc", classes=("no", "yes")),
            Task("size", TaskKind.MULTICLASS, ("size",), "accuracy", classes=("s", "m", "l", "xl")),
            Task("price", TaskKind.REGRESSION, ("price",), "rmse"),
            Task("rate", TaskKind.REGRESSION, ("rate",), "rmse"),
        )
    )
    numbers = tuple(Input(f"x{i}", InputKind.NUMERIC) for i in range(N_NUMERIC))
    words = tuple(Input(f"c{i}", InputKind.CATEGORICAL) for i in range(N_CATEGORICAL))
    codec = Codec.fit(data, Schema(numbers + words, tasks, row_id="id"), np.arange(20_000))
    numeric = codec.encode(data.slice(0, 20_000))["numeric"]
    encoder = {
        "name": "tabular",
        "n_numeric": codec.n_numeric,
        "cardinalities": list(codec.cardinalities),
        "n_embedding": 0,
        "bins": quantile_bins(numeric),
    }
    model = GroupModel(encoder, Choice("hard"), slots_of(tasks.tasks))
    stack = Stack(model)
    stack.populate([0], [tasks.names])
    config = {**model.config, "tasks": list(tasks.names), "answers": list(tasks.names), "epoch": 1}
    artifact = Artifact.of_neural("together", [save_tensors(stack.state(0), {"config": json.dumps(config)})])
    routes = Routes(tuple(Reroute(t, artifact.address, "benchmark", "2026-01-01T00:00:00+00:00") for t in tasks.names))
    path = save(
        where,
        plan=Plan.all_together(tasks.names),
        codec=codec,
        artifacts=[artifact],
        routes=routes,
        provenance={},
        card="",
    )
    return Bundle.load(path)


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    data = table(given.rows)
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "in.parquet", Path(folder) / "out.parquet"
        pq.write_table(data.arrow, source)
        loaded = bundle(data, Path(folder) / "bundle")
        encoded = loaded.codec.encode(data)
        answerer = next(iter(loaded.artifacts.values())).answerer("benchmark")
        network = answerer.checkpoints[0][1]  # type: ignore[attr-defined]
        tensors = {name: torch.from_numpy(block)[None] for name, block in encoded.blocks.items()}

        def bare() -> None:
            for start in range(0, given.rows, FORWARD_ROWS):
                network.predict(Inputs({n: t[:, start : start + FORWARD_ROWS] for n, t in tensors.items()}))

        actions: dict[str, Callable[[], object]] = {
            "bare forward": bare,
            "encode alone": lambda: [
                loaded.codec.encode(data.slice(start, PIECE)) for start in range(0, given.rows, PIECE)
            ],
            "predict": lambda: predict_file(loaded, str(source), output),
        }
        times: dict[str, list[float]] = {name: [] for name in actions}
        for action in actions.values():
            action()
        for _ in range(given.repeats):
            for name, action in actions.items():
                times[name].append(seconds(action))
    rates = {name: given.rows / statistics.median(t) for name, t in times.items()}
    for name, rate in rates.items():
        print(f"{name:14} {rate:12,.0f} rows/s")
    print(f"predict / bare forward: {rates['predict'] / rates['bare forward']:.2f} (target: at least 0.70)")


if __name__ == "__main__":
    main()
