"""MultiMNIST: two digits in one picture by a small network, each alone and both together, several seeds.

    python benchmarks/two_digits.py --rows 3000 --epochs 10 --seeds 3 --widths 8 8 --trunk 32

The known case where sharing hurts a small net (Sener and Koltun 2018; figures there are of larger nets and 60,000
pictures). Prints the test accuracy of every task, its mean and standard deviation over seeds, and the relative change with a
90 % t interval over seeds (paired by nothing, since runs are independent).
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from sharewise.models.build import GroupModel, slots_of
from sharewise.plan import Choice
from sharewise.study.inputs import encoder_config
from sharewise.tables.codec import Codec
from sharewise.tables.read import read
from sharewise.tables.resolve import resolve
from sharewise.tables.schema import Declaration, InputDeclaration, InputKind, TaskDeclaration
from sharewise.tasks import TaskKind
from sharewise.training.cohort import Cohort
from sharewise.training.data import TrainingData
from sharewise.training.recipe import Recipe, Tuned
from sharewise.training.results import Member

TASKS = ("digit_left", "digit_right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3000, help="train rows")
    parser.add_argument("--test", type=int, default=5000, help="test rows")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 8])
    parser.add_argument("--trunk", type=int, default=32)
    said = parser.parse_args()
    torch.set_num_threads(1)
    table = read(Path(os.environ["SHAREWISE_DATA"]) / "multimnist.parquet")
    image = InputDeclaration("image", InputKind.IMAGE, encoder=Choice("picture", {"widths": said.widths}))
    declared = tuple(TaskDeclaration(t, TaskKind.MULTICLASS) for t in TASKS)
    schema = resolve(table, Declaration(declared, (image,))).schema
    split = np.array(table.column("split").to_pylist())
    most = {"train": said.rows, "validation": 1000, "test": said.test}
    parts = {part: np.flatnonzero(split == part)[:n] for part, n in most.items()}
    codec = Codec.fit(table, schema, parts["train"])
    inputs = codec.encode(table)
    data = TrainingData.of(schema.tasks, inputs, codec.targets(table), parts)
    encoder = encoder_config(codec, inputs, parts["train"], {})
    found: dict[tuple[str, str], np.ndarray] = {}
    for arm, group in (("alone", TASKS[:1]), ("alone", TASKS[1:]), ("together", TASKS)):
        started = time.process_time()
        numbers = tuple(schema.tasks.index(t) for t in group)
        net = GroupModel(
            encoder, Choice("hard", {"width": said.trunk, "depth": 1}), slots_of([schema.tasks[t] for t in group])
        )
        runs = [Member(f"run{i}", numbers, 1000 * len(group) + i, Tuned()) for i in range(said.seeds)]
        results = Cohort(runs, net, data, Recipe(epochs=said.epochs, min_steps=1)).fit(("test",))
        for number, task in zip(numbers, group, strict=True):
            truth = codec.truth(table, task)[0][parts["test"], 0]
            scores = [float((r.predictions["test"][number].argmax(1) == truth).mean()) for r in results]
            found[task, arm] = np.array(scores)
            listed = " ".join(f"{s:.3f}" for s in scores)
            print(f"{task} {arm}: {np.mean(scores):.4f} ± {np.std(scores, ddof=1):.4f} ({listed})", flush=True)
        print(f"  {time.process_time() - started:.0f} s, {results[0].n_parameters:,} parameters", flush=True)
    for task in TASKS:
        alone, both = found[task, "alone"], found[task, "together"]
        change = both.mean() / alone.mean() - 1
        spread = np.sqrt(both.var(ddof=1) / len(both) + alone.var(ddof=1) / len(alone)) / alone.mean()
        reach = stats.t.ppf(0.95, 2 * (said.seeds - 1)) * spread
        print(f"{task}: {100 * change:+.1f} % [{100 * (change - reach):+.1f}, {100 * (change + reach):+.1f}]")


if __name__ == "__main__":
    main()
