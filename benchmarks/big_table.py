"""A Parquet file of 2,000,000 rows and 40 columns: read, checked, encoded and trained on for one epoch; peak memory.

The table is made in a temporary folder first, in a process of its own, so that making it does not count.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

N_COLUMNS = 40


def make(path: str, n_rows: int) -> None:
    """34 numbers, 4 categories, 2 targets, in row groups of 100,000."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    writer = None
    for start in range(0, n_rows, 100_000):
        n = min(100_000, n_rows - start)
        x = random.normal(size=(n, N_COLUMNS - 6))
        columns = {f"x{i}": x[:, i] for i in range(x.shape[1])}
        columns |= {f"c{i}": random.choice(["red", "green", "blue", "grey"], n) for i in range(4)}
        columns["y"] = x[:, 0] * x[:, 1] + random.normal(size=n)
        columns["z"] = (x[:, 2] + random.normal(size=n) > 0).astype(np.int8)
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def train(path: str, pipe: multiprocessing.connection.Connection) -> None:
    """Everything a study does before its first run, then one epoch of the shared model."""
    import torch

    from sharewise.models.build import GroupModel, slots_of
    from sharewise.plan import Choice
    from sharewise.study.study import Study
    from sharewise.training.cohort import Cohort
    from sharewise.training.recipe import Recipe
    from sharewise.training.results import Member

    torch.set_num_threads(1)
    start = time.perf_counter()
    study = Study(path, ["y", {"name": "z", "kind": "binary"}], budget="quick")
    _, prepared, _ = study.session(Path("unused")).design()
    encoded = time.perf_counter()
    model = GroupModel(prepared.encoder, Choice("hard"), slots_of(prepared.tasks.tasks))
    Cohort([Member("m", (0, 1), 0)], model, prepared.data, Recipe(epochs=1, min_steps=0)).fit(())
    done = time.perf_counter()
    pipe.send((encoded - start, done - encoded, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows; the printout says so")
    n_rows = 200_000 if parser.parse_args().quick else 2_000_000
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "big.parquet")
        maker = context.Process(target=make, args=(path, n_rows))
        maker.start()
        maker.join()
        mine, theirs = context.Pipe()
        worker = context.Process(target=train, args=(path, theirs))
        worker.start()
        encoded, trained, peak = mine.recv()
        worker.join()
    print(
        f"{n_rows:,} rows x {N_COLUMNS} columns: read, check, encode {encoded:.0f} s; one epoch {trained:.0f} s; peak {peak:.2f} GB"
    )


if __name__ == "__main__":
    main()
