"""What the audit keeps for its report and its table of rows: labels through time, rows that are only listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from sharewise.audit import run
from sharewise.audit.checks.mixed_units import MixedUnits, _levy
from sharewise.audit.files import write_rows
from sharewise.audit.neighbours import near_pairs
from sharewise.audit.run import LISTED, view_of
from sharewise.audit.through_time import N_WINDOWS, through_time
from sharewise.errors import ConfigError
from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tables.split import Split
from sharewise.tasks import Task, TaskKind, TaskSet

N = 1200


def timed() -> tuple[pa.Table, Schema, Split]:
    """A number whose median is the window's number, and a class that is there in the later half only."""
    rng = np.random.default_rng(0)
    window = np.arange(N) * N_WINDOWS // N
    table = pa.table(
        {
            "when": np.datetime64("2024-01-01") + np.arange(N),
            "x": rng.normal(size=N),
            "load": window + rng.uniform(-0.4, 0.4, N),
            "won": pa.array(np.where(np.arange(N) % 4 == 0, "yes", "no").tolist(), mask=window < 6),
        }
    )
    tasks = TaskSet(
        (
            Task("load", TaskKind.REGRESSION, ("load",), "rmse"),
            Task("won", TaskKind.BINARY, ("won",), "auroc", classes=("no", "yes")),
        )
    )
    schema = Schema((Input("x", InputKind.NUMERIC),), tasks, time="when")
    return table, schema, Split(np.arange(800), np.arange(800, 1000), np.arange(1000, N))


def test_labels_are_told_window_by_window() -> None:
    view = view_of(*timed())
    said = through_time(view, view.labels)
    assert said["is_date"]
    assert [w["train"] + w["validation"] + w["test"] for w in said["windows"]] == [100] * N_WINDOWS
    assert said["windows"][0]["train"] == said["windows"][-1]["test"] == 100
    middles = [q[1] for q in said["labels"]["load"]["quartiles"]]
    np.testing.assert_allclose(middles, np.arange(N_WINDOWS), atol=0.15)
    assert said["labels"]["won"]["classes"] == ["yes"]
    assert said["labels"]["won"]["shares"] == [None] * 6 + [[0.25]] * 6


def test_without_a_time_nothing_is_told() -> None:
    table, schema, split = timed()
    bare = Schema(schema.inputs, schema.tasks)
    view = view_of(table, bare, split)
    assert through_time(view, view.labels) == {}


def test_doubtful_rows_are_listed_without_a_finding(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3000, 3))
    labels = (x[:, 0] > 0).astype(int)
    wrong = np.array([5, 700, 2999])
    x[wrong, 0] = np.where(labels[wrong] == 1, 3.0, -3.0)
    labels[wrong] = 1 - labels[wrong]
    table = pa.table({**{f"x{i}": x[:, i] for i in range(3)}, "won": labels})
    task = Task("won", TaskKind.BINARY, ("won",), "auroc", classes=(0, 1))
    schema = Schema(tuple(Input(f"x{i}", InputKind.NUMERIC) for i in range(3)), TaskSet((task,)))
    report = run(table, schema, None, checks=["label_noise"])
    assert report.findings == ()
    assert report.rows is not None
    assert set(report.rows["severity"].to_pylist()) == {LISTED}
    assert report.rows["finding"].null_count == report.rows.num_rows
    assert set(wrong.tolist()) <= set(report.rows["row"].to_pylist())
    assert set(report.details["label_noise"]["noise"]["won"]["worst"][:3]) <= {str(r) for r in range(3000)}
    for name, read in (("rows.csv", pyarrow.csv.read_csv), ("rows.parquet", pq.read_table)):
        write_rows(report, tmp_path / name)
        assert read(tmp_path / name)["row"].to_pylist() == report.rows["row"].to_pylist()
    with pytest.raises(ConfigError, match="CSV or Parquet"):
        write_rows(report, tmp_path / "rows.xlsx")


def test_units_are_told_in_rounded_numbers_too() -> None:
    # Metres to two decimals, a tenth of the rows in feet to a decimal: no two clusters are equal to the last digit.
    rng = np.random.default_rng(2)
    metres = np.round(rng.lognormal(0.7, 0.1, 2000), 2)
    feet = np.round(metres * 3.2808, 1)
    mixed = np.where(np.arange(2000) % 10 == 0, feet, metres)
    schema = Schema((Input("length", InputKind.NUMERIC),), TaskSet((Task("y", TaskKind.REGRESSION, ("y",), "rmse"),)))

    def found(values: np.ndarray) -> int:
        table = pa.table({"length": values, "y": np.arange(2000.0)})
        return len(MixedUnits().run(view_of(table, schema, None)).found)

    assert found(metres) == 0
    assert found(np.where(np.arange(2000) % 10 == 0, metres * 1000, metres)) == 1
    assert found(mixed) == 1


@pytest.mark.parametrize("gap", [0.0, 0.01])
def test_the_distance_forgives_a_hair_and_no_more(gap: float) -> None:
    ties = np.repeat([0.0, 1.0, 2.0], 50)
    assert _levy(ties + gap, ties, 0.02) == 0.0
    assert _levy(ties + 0.05, ties, 0.02) == pytest.approx(1 / 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_known_again_after_brightness_contrast_and_noise(channels: int) -> None:
    rng = np.random.default_rng(4)
    n, side = 300, 16
    coarse = rng.uniform(0, 255, size=(n, 4, 4, channels))
    pictures = np.kron(coarse, np.ones((1, 4, 4, 1)))
    twins = np.clip(0.9 * pictures[:20] + 12 + rng.integers(-2, 3, pictures[:20].shape), 0, 255)
    cells = [p.astype(np.uint8).tobytes() for p in (*pictures, *twins)]
    table = pa.table({"picture": pa.array(cells, pa.binary(side * side * channels)), "y": np.arange(n + 20.0)})
    schema = Schema((Input("picture", InputKind.IMAGE),), TaskSet((Task("y", TaskKind.REGRESSION, ("y",), "rmse"),)))
    pairs = near_pairs(view_of(table, schema, None)).tolist()
    assert pairs == [[i, n + i] for i in range(20)]
