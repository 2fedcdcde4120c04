"""A small table with tasks that should and should not share, made from scikit-learn's handwritten digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sharewise.seeds import derive

STUDY = """\
# Six tasks on 1,797 pictures of 8 x 8 pixels. Run with: sharewise run study.yaml
data:
  path: digits.parquet
  id: id
inputs:
  pixels: embedding
tasks:
  - {name: digit, kind: multiclass}                 # which digit it is
  - {name: parity, kind: binary}                    # odd or even: follows from the digit
  - {name: ink, kind: regression}                   # how much ink: follows from the pixels
  - {name: loop, kind: binary}                      # has a closed loop (0, 6, 8, 9): only 40 train rows are labelled
  - {name: coin, kind: binary}                      # a coin toss: nothing can predict it, nothing may claim to
  - {name: pixels again, kind: reconstruction, columns: [pixels]}
split: {column: part}
budget: {level: quick, trials: 1, epochs: 20}
seed: 0
"""

SCARCE = 40
"""Train rows on which the loop is labelled."""


def write(directory: Path) -> Path:
    """Write `digits.parquet` and `study.yaml` into `directory`; returns the study file's path."""
    from sklearn.datasets import load_digits

    directory.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    random = np.random.default_rng(derive(0, "demo"))
    n = len(digits.target)
    pixels = digits.data.astype(np.float32)
    part = random.choice(["train", "validation", "test"], size=n, p=[0.6, 0.15, 0.25])
    labelled = part != "train"
    labelled[random.choice(np.flatnonzero(part == "train"), SCARCE, replace=False)] = True
    loop = pa.array(np.isin(digits.target, [0, 6, 8, 9]), mask=~labelled)
    table = pa.table(
        {
            "id": pa.array([f"picture-{i}" for i in range(n)]),
            "part": pa.array(part),
            "pixels": pa.FixedSizeListArray.from_arrays(pa.array(pixels.reshape(-1)), pixels.shape[1]),
            "digit": pa.array(digits.target.astype(np.int8)),
            "parity": pa.array(np.where(digits.target % 2 == 1, "odd", "even")),
            "ink": pa.array(pixels.sum(axis=1)),
            "loop": loop,
            "coin": pa.array(np.where(random.random(n) < 0.5, "heads", "tails")),
        }
    )
    pq.write_table(table, directory / "digits.parquet")
    path = directory / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path
