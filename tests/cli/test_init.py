"""`sharewise init`: a study.yaml that loads, says what is what, and leaves out what should not be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sharewise.cli import answer
from sharewise.study.file import load
from sharewise.study.template import scalar
from sharewise.tables.read import read
from sharewise.tables.resolve import resolve

N = 60


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": np.arange(N),
            "age": rng.normal(size=N),
            "job: title": [("a", "b", None)[i % 3] for i in range(N)],
            "constant": 1,
            "when": pd.date_range("2024-01-01", periods=N).astype(str),
            "price": rng.normal(size=N),
            "sick": [("yes", "no", None, None)[i % 4] for i in range(N)],
        }
    )
    frame["price_eur"] = frame["price"] * 0.9
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    return path


def _init(*args: Any) -> int:
    return answer(["init", *map(str, args)])


def test_tasks_that_are_named(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "study.yaml"
    assert _init(table, "--task", "price", "-t", "sick", "-o", out) == 0
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err == f"{out}: 3 inputs, 2 columns commented out with the reason, 2 tasks.\n"
    text = out.read_text()
    assert "  path: t.csv                     # 60 rows, 8 columns\n  id: id\n" in text
    assert '  "job: title": categorical       # 2 values, 33.3 % missing\n' in text
    assert "  # constant: numeric             # left out: it is constant\n" in text
    assert "  # price_eur: numeric            # left out: it is a copy of the target 'price'\n" in text
    assert "  when: datetime\n" in text
    assert "  - name: price\n    kind: regression\n    metric: rmse\n" in text
    assert "  - name: sick                    # 50.0 % of the rows are labelled\n" in text
    assert "    kind: binary                  # predicts the probability of 'yes'\n" in text
    study = load(out)
    assert study.data_path == str(table)
    whole = read(study.data_path)
    schema = resolve(whole, study.declaration(whole)).schema
    assert schema.tasks.names == ("price", "sick")
    assert [i.name for i in schema.inputs] == ["age", "job: title", "when"]
    assert schema.row_id == "id"


def test_pairs_and_hierarchies_are_pointed_at(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    said = [f"one can see row number {i} here" for i in range(200)]
    coarse, kind = draw.integers(0, 2, 200), draw.integers(0, 3, 200)
    frame = pd.DataFrame({"left": said, "right": said[::-1], "odd": np.array(["no", "yes"])[coarse]})
    frame["kind"] = [("a", "b", "c")[k] if c else None for c, k in zip(coarse, kind, strict=True)]
    frame["other"] = draw.choice(["x", "y", "z"], 200)
    frame.to_csv(tmp_path / "t.csv", index=False)
    told = ["init", str(tmp_path / "t.csv"), "-o", str(tmp_path / "s.yaml")]
    assert answer([*told, *(w for task in ("odd", "kind", "other") for w in ("--task", task))]) == 0
    text = (tmp_path / "s.yaml").read_text()
    assert "  # pair: {kind: text, columns: [left, right]}" in text
    assert [line.split()[2] for line in text.splitlines() if "# parent:" in line] == ["odd"]
    opened = text.replace("# parent:", "parent:").replace("# pair:", "pair:").replace("  left: text", "# ")
    (tmp_path / "s.yaml").write_text(opened.replace("  right: text", "# "))
    assert [i.pair for i in load(tmp_path / "s.yaml").declaration().inputs or ()] == ["pair", "pair"]
    assert [t.parent for t in load(tmp_path / "s.yaml").declaration().tasks] == [None, "odd", None]


def test_tasks_are_not_guessed(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "study.yaml"
    assert _init(table, "-o", out) == 0
    assert "0 tasks; name what to predict under tasks (or use --task NAME)." in capsys.readouterr().err
    assert "  # - name: COLUMN" in out.read_text()
    assert answer(["run", str(out)]) == 2
    assert f"{out}:" in (err := capsys.readouterr().err)
    assert "'tasks' must be a list; however, it is empty." in err


def test_stdout_and_what_is_refused(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _init(table, "-t", "sick", "-o", "-") == 0
    assert capsys.readouterr().out.startswith("# A study: which of these tasks should share a model?\n")
    out = tmp_path / "study.yaml"
    out.write_text("mine")
    assert _init(table, "-o", out) == 2
    assert "A file is not overwritten unasked; however," in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert _init(table, "-o", out, "--force", "-t", "sikc") == 2
    assert "has no column 'sikc'. Did you mean 'sick'?" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert _init(table, "-o", tmp_path / "no" / "s.yaml") == 2
    assert "The output's folder must exist" in capsys.readouterr().err
    assert _init(tmp_path / "none.csv", "-o", out, "-f") == 2
    assert "A table must exist" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["study.yaml", "t.csv"]


METADATA: dict[str, Any] = {
    "row_id": "id",
    "split": "part",
    "time": None,
    "group": "field",
    "inputs": [
        {"name": "a", "kind": "numeric"},
        {"name": "s", "kind": "text"},
        {"name": "field", "kind": "categorical"},
    ],
    "tasks": [
        {"name": "c", "kind": "regression", "metric": "RMSLE", "count": True},
        {"name": "o", "kind": "multiclass", "metric": "accuracy", "classes": ["low", "high"], "ordered": True},
        {"name": "g", "kind": "binary", "metric": "ROC-AUC", "per_group": "field"},
        {"name": "k", "kind": "token-tagging", "metric": "span F1", "tokens": "s"},
    ],
}


def test_metadata_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = {
        "id": [f"r{i}" for i in range(N)],
        "part": ["train"] * 40 + ["test"] * 20,
        "a": np.random.default_rng(0).normal(size=N),
        "s": ["some words"] * N,
        "field": [f"f{i % 2}" for i in range(N)],
        "leak": np.arange(N),
        "c": np.arange(N) % 7,
        "o": [("low", "high")[i % 2] for i in range(N)],
        "g": [i % 3 == 0 for i in range(N)],
        "k": [["O"]] * N,
    }
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns).replace_schema_metadata({"mtl": json.dumps(METADATA)}), path)
    out = tmp_path / "study.yaml"
    assert _init(path, "-o", out) == 0
    text = out.read_text()
    assert "  column: part                    # train 40, test 20\n" in text
    assert "  s: text                         # about 2 words, read by '" in text
    assert "  # leak: numeric                 # left out: the table's own description does not name it" in text
    assert "    transform: log1p              # for training; answers are in the original unit\n" in text
    assert "    kind: ordinal                 # 2 classes\n    classes: [low, high]\n" in text
    assert "    by: field                     # a task of its own for each of its 2 values\n" in text
    assert "  # - name: k                     # left out: its tags need an input of kind tokens\n" in text
    study = load(out)
    whole = read(study.data_path)
    schema = resolve(whole, study.declaration(whole)).schema
    assert schema.tasks.names == ("c", "o", "g@f0", "g@f1")
    assert (schema.row_id, schema.split, schema.group) == ("id", "part", "field")


@pytest.mark.parametrize(
    "name", ["a", "a b", "no", "Null", "1st", "a: b", "a #b", "[x]", "x ", "é", "", "'", '"', "-", "a/b@c", "{a}", "\n"]
)
def test_names_survive_yaml(name: str) -> None:
    from ruamel.yaml import YAML

    assert YAML(typ="safe").load(f"{scalar(name)}: 1\nk: {scalar(name)} # note") == {name: 1, "k": name}
