"""A linear model on a text's features beside the linear baseline of the data card, task by task.

    SHAREWISE_DATA=... python benchmarks/text_probes.py olid ngrams
    SHAREWISE_DATA=... python benchmarks/text_probes.py tweeteval embedded
    SHAREWISE_DATA=... python benchmarks/text_probes.py goemotions embedded ngrams --rows 8000    # both at once

The regularised linear model of a study (its penalty chosen on validation rows) reads the features of a text or a pair,
fitted on train rows; the score is that of the test rows in the card's metric with a 90 % bootstrap interval over them.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from sharewise import metrics
from sharewise.models.backbones.store import cache_folder
from sharewise.models.linear import Linear
from sharewise.models.reading import encode
from sharewise.study.file import StudyFile
from sharewise.tables.codec import Codec
from sharewise.tables.prepare import prepare
from sharewise.tables.read import Table, read

F1 = {"metric": "f1_macro"}
RANKED = {"metric": "auroc"}
TABLES = {
    "goemotions": {
        "curiosity": (RANKED, 0.947),
        "confusion": (RANKED, 0.926),
        "surprise": (RANKED, 0.912),
        "gratitude": (RANKED, 0.991),
        "anger": (RANKED, 0.892),
        "realization": (RANKED, 0.784),
    },
    "olid": {"subtask_a": (F1, 0.691), "subtask_b": (F1, 0.504), "subtask_c": (F1, 0.491)},
    "sick": {"relatedness_score": ({"metric": "r2"}, 0.597), "entailment_judgment": ({"metric": "accuracy"}, 0.834)},
    "tweeteval": {
        "emotion": (F1, 0.571),
        "hate": (F1, 0.436),
        "irony": (F1, 0.636),
        "offensive": (F1, 0.675),
        "sentiment": (F1, 0.371),
        "stance_abortion": (F1, 0.445),
        "stance_atheism": (F1, 0.353),
        "stance_climate": (F1, 0.427),
        "stance_feminist": (F1, 0.460),
        "stance_hillary": (F1, 0.307),
    },
}
"""Task to its metric and the card's linear baseline; `emoji` has no labels in the copy."""

BINARY = ("subtask_a", "subtask_b", *TABLES["goemotions"])
KINDS = {"relatedness_score": "regression", **dict.fromkeys(BINARY, "binary")}
TEXTS = {"goemotions": ["text"], "olid": ["tweet"], "sick": ["sentence_A", "sentence_B"], "tweeteval": ["text"]}


def labelled(table: Table, tasks: list[str]) -> Table:
    """The rows with a label of any task."""
    some = pc.or_(table.column(tasks[0]).is_valid(), False)
    for task in tasks[1:]:
        some = pc.or_(some, table.column(task).is_valid())
    return Table(table.arrow.filter(some), table.name)


def main() -> None:
    """One line a task, then how many reach the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=sorted(TABLES))
    parser.add_argument("encoder", choices=["ngrams", "embedded"], nargs="+")
    parser.add_argument("--rows", type=int, help="of the table, evenly spread; all where left out")
    asked = parser.parse_args()
    said, columns = TABLES[asked.table], TEXTS[asked.table]
    path = Path(os.environ["SHAREWISE_DATA"]) / f"{asked.table}.parquet"
    table = labelled(read(str(path)), list(said))
    if asked.rows is not None and asked.rows < table.n_rows:
        some = np.linspace(0, table.n_rows - 1, asked.rows).astype(np.int64)
        table = Table(table.arrow.take(some), table.name)
    one = {"kind": "text", "encoder": asked.encoder}
    inputs = {columns[0]: one} if len(columns) == 1 else {"pair": {**one, "columns": columns}}
    tasks = [{"name": t, "kind": KINDS.get(t, "multiclass"), **m} for t, (m, _) in said.items()]
    study = StudyFile.from_dict({"data": str(path), "split": {"column": "split"}, "inputs": inputs, "tasks": tasks})
    made = prepare(table, study.declaration(table), study.split_spec(), 0)
    codec = Codec.fit(table, made.schema, made.split.train)
    blocks, targets = encode(codec, table, cache_folder()), codec.targets(table)
    reached, scores, how = 0, [], " + ".join(asked.encoder)
    for task, where in zip(made.schema.tasks, targets.slices, strict=True):
        values, present = targets.values[:, where], targets.present[:, where]
        model = Linear.fit(
            task, blocks, values, present, made.split.train, made.split.validation, Linear.search_space(0, 0), 0
        )
        rows = made.split.test[present[made.split.test, 0]]
        predicted = codec.inverse(task.name, model.predict(blocks.at(rows)))
        truth, there = codec.truth(table, task.name)
        metric, draw = metrics.metric(task.metric), np.random.default_rng(0)
        score = metric.score(truth[rows], there[rows], predicted)
        again = []
        for _ in range(400):
            drawn = draw.integers(0, len(rows), len(rows))
            again.append(metric.score(truth[rows[drawn]], there[rows[drawn]], predicted[drawn]))
        low, high = np.quantile([a for a in again if a is not None], [0.05, 0.95])
        card = said[task.name][1]
        reached += score >= card
        scores.append(score)
        print(f"{asked.table} | {task.name} | {how} | {score:.3f} [{low:.3f}, {high:.3f}] | {card:.3f}")
    print(f"mean of {len(said)} tasks: {np.mean(scores):.3f}")
    print(f"{reached} of {len(said)} tasks reach the linear baseline of the card")


if __name__ == "__main__":
    main()
