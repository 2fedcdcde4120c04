"""Small tables and a command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from spoken import Command

STUDY = """\
data: {path: plants.csv, id: plant}
tasks:
  - {name: height}
  - {name: weight}
  - {name: sick, kind: binary}
budget: {level: quick, trials: 1, seeds: 2, epochs: 6}
"""


def plants(n: int = 240) -> pa.Table:
    """A table with two kindred numbers and a class, of which a third of the labels is missing."""
    random = np.random.default_rng(5)
    light, water = random.normal(size=n), random.normal(size=n)
    soil = np.array(["clay", "sand", "peat"])[random.integers(0, 3, n)]
    height = 30 + 5 * light + 3 * water * (soil == "peat") + random.normal(size=n)
    weight = 2 * height + random.normal(size=n)
    sick = (light - water + random.normal(size=n)) > 0
    absent = random.random((3, n)) < 0.3
    return pa.table(
        {
            "plant": [f"p{i:03d}" for i in range(n)],
            "light": pa.array(light, mask=random.random(n) < 0.05),
            "water": water,
            "soil": soil,
            "height": pa.array(height, mask=absent[0]),
            "weight": pa.array(weight, mask=absent[1]),
            "sick": pa.array(np.where(sick, "yes", "no"), mask=absent[2]),
        }
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with plants.csv, plants.parquet and study.yaml; returns the study file."""
    import pyarrow.csv as pc

    table = plants()
    pc.write_csv(table, tmp_path / "plants.csv")
    pq.write_table(table, tmp_path / "plants.parquet")
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


@pytest.fixture
def sharewise() -> Command:
    """Runs `sharewise ARGUMENTS` in its own process."""

    def run(*arguments: object, timeout: float = 240, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from sharewise.cli import main; main()", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        )

    return run
