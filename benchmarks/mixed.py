"""A made table of pictures, texts and numbers with cells missing: every fusion against each modality alone.

    python benchmarks/mixed.py [--rows 600] [--out runs/mixed]

A fifth of the pictures, of the texts and of the numbers is missing, each by itself. `form` (a disc, a bar or a ring) is in
the picture alone; `warm` (yes or no) and `price` are in all three. One whole study for each way of reading: all inputs
by each fusion, and each input by itself (rows without it stay). Per task: the test score of whoever answers (mean of its
confirmation runs, 90 % interval over rows and runs), and the change that sharing makes to it. Resumable.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from named_studies import answered
from PIL import Image

from sharewise.report.load import load

SIDE, MISSING = 16, 0.2
FINE, POOR = ["fine", "bright", "sweet", "lovely", "new"], ["dull", "sour", "awful", "broken", "old"]
FILLER = ["the", "a", "it", "and", "with", "of"]
INPUTS: dict[str, Any] = {
    "photo": {"kind": "image", "encoder": {"name": "picture", "widths": [8]}},
    "note": {"kind": "text", "encoder": {"name": "ngrams", "features": 64}},
    "x": "numeric",
}
TASKS = [
    {"name": "form", "kind": "multiclass", "metric": "accuracy"},
    {"name": "warm", "kind": "binary", "metric": "accuracy"},
    {"name": "price", "kind": "regression", "metric": "r2"},
]


def picture(form: int, light: float, draw: np.random.Generator) -> bytes:
    """A disc, a bar or a ring somewhere, as bright as `light` says, on noise."""
    y, x = np.mgrid[:SIDE, :SIDE] - draw.integers(5, 11, (2, 1, 1))
    far = np.hypot(x, y)
    inside = (far < 4, abs(x) < 2, (far < 5) & (far > 2.5))[form]
    cells = 110 + 30 * light + 60 * inside + draw.normal(0, 12, (SIDE, SIDE))
    stream = io.BytesIO()
    Image.fromarray(np.clip(cells, 0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def table(n: int) -> pa.Table:
    """The table; what the tasks depend on is of like size in each of the three."""
    draw = np.random.default_rng(0)
    form, light, x = draw.integers(0, 3, n), draw.normal(size=n), draw.normal(size=n)
    good = draw.integers(0, 7, n)
    note = [" ".join(draw.permutation([*draw.choice(FINE, g), *draw.choice(POOR, 6 - g), *draw.choice(FILLER, 4)]))
            for g in good]  # fmt: skip
    all_three = light + x + (good - 3) / 2
    hole = draw.random((3, n)) < MISSING
    photo = [None if h else picture(f, v, draw) for h, f, v in zip(hole[0], form, light, strict=True)]
    return pa.table(
        {
            "photo": pa.array(photo, pa.binary()),
            "note": pa.array([None if h else t for h, t in zip(hole[1], note, strict=True)]),
            "x": pa.array(x, mask=hole[2]),
            "form": np.array(["disc", "bar", "ring"])[form],
            "warm": (all_three + 0.5 * draw.normal(size=n) > 0).astype(int),
            "price": all_three + 0.5 * draw.normal(size=n),
        }
    )


def spent() -> float:
    """Processor seconds of all studies so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ways() -> dict[str, dict[str, Any]]:
    """A study file's inputs for each way of reading."""
    made: dict[str, dict[str, Any]] = {f"{name} alone": {"inputs": {name: INPUTS[name]}} for name in INPUTS}
    for fusion in ("concat", "gated", "attention"):
        made[f"all, {fusion}"] = {"inputs": INPUTS, "encoders": {"fusion": fusion, "width": 64}}
    return made


def main() -> None:
    """Run what is not there yet and print a row for each way of reading."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("runs/mixed"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    data = asked.out / "mixed.parquet"
    pq.write_table(table(asked.rows), data)
    names = [str(task["name"]) for task in TASKS]
    print(
        "| what is read | " + " | ".join(f"{n}, score | {n}, sharing [90 %]" for n in names) + " | processor seconds |"
    )
    print("|---" * (2 + 2 * len(names)) + "|")
    for way, said in ways().items():
        folder = asked.out / way.replace(", ", "-").replace(" ", "-")
        folder.mkdir(exist_ok=True)
        file, run = folder / "study.yaml", folder / "run"
        budget = {"level": "quick", "trials": 1, "seeds": 3, "epochs": 20}
        plain = {"data": str(data.resolve()), "tasks": TASKS, "budget": budget, "search": "off", "alternatives": []}
        file.write_text(json.dumps({**plain, **said}))
        before = spent()
        command = [sys.executable, "-c", "from sharewise.cli import main; main()", "run", str(file), "--out", str(run)]
        subprocess.run([*command, "--workers", "1", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        seconds = spent() - before
        records = load(run)
        scores = answered(file, run, records)
        verdicts = {v.task: v for v in records.verdicts}
        cells = []
        for name in names:
            change = verdicts[name].comparison if name in verdicts else None
            shown = (
                "-"
                if change is None
                else f"{100 * change.effect:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
            )
            cells += [scores[name], f"{shown} {verdicts[name].label if name in verdicts else ''}".strip()]
        print(f"| {way} | {' | '.join(cells)} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
