"""A million rows, thirty columns, five tasks: is the audit over in a minute, in three gigabytes, on two cores?

    python benchmarks/audit_scale.py [--rows 1000000]

Prints seconds by check, in all, and the peak memory of the process (the table itself included); exits with 1 above 60
seconds or 3 GB. The table holds 18 numbers, 6 categories, a time and five labels (three kinds, two of them partly
missing), with one duplicate in a hundred rows, so that nothing is skipped for lack of findings. A second, smaller line
shows that near-duplicate search grows with the rows and not with their square.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np
import pyarrow as pa

from sharewise.audit import run
from sharewise.audit.neighbours import near_pairs
from sharewise.audit.run import view_of
from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tables.split import Split
from sharewise.tasks import Task, TaskKind, TaskSet


def make(n: int) -> tuple[pa.Table, Schema, Split]:
    """The table, its schema and a split by time."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 18)).astype(np.float32)
    categories = rng.integers(0, 12, size=(n, 6))
    twins = rng.choice(n, n // 100, replace=False)
    x[twins], categories[twins] = x[twins - 1], categories[twins - 1]
    x[twins[::2]] += 1e-4
    signal = 1.5 * x[:, 0] + x[:, 1] * (categories[:, 0] > 5) + 0.5 * rng.normal(size=n)
    labels = {
        "buys": (signal > 0.5).astype(np.int8),
        "segment": np.digitize(x[:, 2] + 0.3 * x[:, 3] + 0.2 * rng.normal(size=n), [-1, 0, 1]).astype(np.int8),
        "returns": pa.array((x[:, 4] + 0.5 * signal > 1).astype(np.int8), mask=rng.random(n) < 0.4),
        "spend": 3 * x[:, 0] + 2 * x[:, 5] + 0.5 * rng.normal(size=n),
        "visits": pa.array(np.exp(0.3 * x[:, 6] + 0.2 * x[:, 7]), mask=rng.random(n) < 0.2),
    }
    columns: dict[str, object] = {f"x{i}": x[:, i] for i in range(18)}
    columns |= {f"c{i}": pa.array([f"k{j}" for j in range(12)]).take(pa.array(categories[:, i])) for i in range(6)}
    columns |= {"when": np.datetime64("2024-01-01T00:00:00") + np.arange(n).astype("timedelta64[s]") * 40, **labels}
    inputs = [Input(f"x{i}", InputKind.NUMERIC) for i in range(18)]
    inputs += [Input(f"c{i}", InputKind.CATEGORICAL) for i in range(6)]
    tasks = TaskSet(
        (
            Task("buys", TaskKind.BINARY, ("buys",), "auroc", classes=(0, 1)),
            Task("segment", TaskKind.MULTICLASS, ("segment",), "accuracy", classes=(0, 1, 2, 3)),
            Task("returns", TaskKind.BINARY, ("returns",), "auroc", classes=(0, 1)),
            Task("spend", TaskKind.REGRESSION, ("spend",), "rmse"),
            Task("visits", TaskKind.REGRESSION, ("visits",), "rmse"),
        )
    )
    cuts = np.split(np.arange(n), [int(0.7 * n), int(0.85 * n)])
    return pa.table(columns), Schema(tuple(inputs), tasks, time="when"), Split(*cuts)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    n = parser.parse_args().rows
    table, schema, split = make(n)
    print(
        f"{table.num_rows:,} rows x {table.num_columns} columns, {len(schema.tasks)} tasks, {table.nbytes / 1e9:.2f} GB"
    )
    start, cpu = time.perf_counter(), time.process_time()
    report = run(table, schema, split)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    for name in sorted(report.seconds, key=lambda k: -report.seconds[k])[:12]:
        print(f"  {name:<20}{report.seconds[name]:7.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"audit: {seconds:.1f} s ({cpu:.1f} s of CPU), peak memory {peak:.2f} GB, {len(report.findings)} findings")
    for failure in report.failed:
        print(f"  failed: {failure.check}: {failure.error}")
    timings = []
    for rows in (n // 16, n // 4):
        small = np.arange(rows)
        view = view_of(table.take(pa.array(small)), schema, Split(small, small[:0], small[:0]))
        start = time.process_time()
        near_pairs(view)
        timings.append(time.process_time() - start)
    print(f"near-duplicate search, 4 times the rows: {timings[1] / timings[0]:.1f} times the CPU time")
    sys.exit(int(seconds > 60 or peak > 3 or bool(report.failed)))


if __name__ == "__main__":
    main()
