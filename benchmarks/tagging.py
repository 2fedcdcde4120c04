"""Tags and sentence tasks by an encoder of tokens, alone and together, on a real table: one run each.

    python benchmarks/tagging.py snips --rows 13084 --epochs 10 slots intent
    python benchmarks/tagging.py snips --encoder embedded slots intent
    python benchmarks/tagging.py runs/named/ewt/ewt.parquet upos deprel ner --only-together --weights ner=0.1

Prints a line a model: seconds on one core, and the metric of every task on the test rows. No intervals: it tells whether
the encoder is worth comparing at all, beside the linear figures of the data card.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch

from sharewise import metrics
from sharewise.batch import Inputs
from sharewise.models.backbones.store import cache_folder
from sharewise.models.build import GroupModel, slots_of
from sharewise.models.reading import encode
from sharewise.plan import Choice
from sharewise.study.inputs import blocks_read, encoder_config
from sharewise.tables import tags
from sharewise.tables.codec import Codec
from sharewise.tables.read import read
from sharewise.tables.resolve import resolve
from sharewise.tables.schema import Declaration, InputDeclaration, InputKind, TaskDeclaration
from sharewise.tasks import TaskKind
from sharewise.training.cohort import Cohort
from sharewise.training.data import TrainingData
from sharewise.training.recipe import Recipe, Tuned
from sharewise.training.results import Member


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="a table of SHAREWISE_DATA, or a parquet file")
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--rows", type=int, default=10**9, help="train rows")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--only-together", action="store_true")
    parser.add_argument("--split", default="split")
    parser.add_argument("--encoder", default="words", help="words, or embedded: a frozen sentence model's word vectors")
    parser.add_argument("--weights", nargs="*", default=(), help="TASK=WEIGHT of a task's loss in the joint model")
    said = parser.parse_args()
    torch.set_num_threads(1)
    own = said.table.endswith(".parquet")
    table = read(Path(said.table) if own else Path(os.environ["SHAREWISE_DATA"]) / f"{said.table}.parquet")
    kinds = {t: TaskKind.TOKEN_TAGGING if "list" in str(table.column(t).type) else None for t in said.tasks}
    weights = {name: float(value) for name, value in (w.split("=") for w in said.weights)}
    declared = Declaration(
        tuple(TaskDeclaration(t, kinds[t], weight=weights.get(t, 1.0)) for t in said.tasks),
        (InputDeclaration("tokens", InputKind.TOKENS, encoder=Choice(said.encoder)),),
    )
    schema = resolve(table, declared).schema
    split = np.array([str(s) for s in table.column(said.split).to_pylist()])
    parts = {part: np.flatnonzero(split == part) for part in ("train", "validation", "test")}
    parts["train"] = np.sort(np.random.default_rng(0).permutation(parts["train"])[: said.rows])
    codec = Codec.fit(table, schema, parts["train"])
    inputs = tags.shortened(encode(codec, table, cache_folder()))
    encoder = encoder_config(codec, inputs, parts["train"], {})
    wanted = blocks_read(encoder)
    read_by = Inputs({name: block for name, block in inputs.blocks.items() if wanted is None or name in wanted})
    data = TrainingData.of(schema.tasks, read_by, codec.targets(table), parts)
    groups = [said.tasks] if said.only_together else [*([t] for t in said.tasks), said.tasks]
    for group in groups:
        started = time.process_time()
        tasks = [schema.tasks[t] for t in group]
        net = GroupModel(encoder, Choice("hard"), slots_of(tasks))
        numbers = tuple(schema.tasks.index(t) for t in group)
        run = Cohort([Member("run", numbers, 0, Tuned())], net, data, Recipe(epochs=said.epochs, min_steps=1))
        result = run.fit(("test",))[0]
        scores = []
        for number, task in zip(numbers, tasks, strict=True):
            truth, present = codec.truth(table, task.name)
            rows = data.rows_of(number, "test")
            score = metrics.metric(task.metric).score(truth[rows], present[rows], result.predictions["test"][number])
            scores.append(f"{task.name} {task.metric} {score:.4f}")
        seconds = time.process_time() - started
        print(f"{' + '.join(group)}: {', '.join(scores)} ({seconds:.0f} s, {result.epochs} epochs)", flush=True)


if __name__ == "__main__":
    main()
