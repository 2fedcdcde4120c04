"""Bad study files and tables, from the command line: exit 2, a few sentences, no traceback, nothing half-written.

The trial table is that of the newcomer trials of other libraries: breast cancer with four derived targets. Each of
their bad inputs is here, and must be answered with file, line, column or row and a remedy.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from sharewise.cli import answer

STUDY = """\
data: {path: t.csv, id: id}
inputs: [radius, texture, site]
tasks:
  - {name: malignant, kind: binary}
  - {name: grade, kind: multiclass}
  - {name: worst_area, kind: regression}
budget: quick
"""


def trial_frame() -> pd.DataFrame:
    """569 rows: two numeric inputs, a category, three of the four targets."""
    data = load_breast_cancer()
    column = {str(name): data.data[:, i] for i, name in enumerate(data.feature_names)}
    rng = np.random.default_rng(0)
    third = np.quantile(column["worst concavity"], [1 / 3, 2 / 3])
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(len(data.target))],
            "radius": column["mean radius"],
            "texture": column["mean texture"],
            "site": rng.choice(["A", "B", "C"], len(data.target)),
            "malignant": np.where(data.target == 0, "yes", "no"),
            "grade": np.array(["low", "mid", "high"])[np.searchsorted(third, column["worst concavity"])],
            "worst_area": column["worst area"],
        }
    )


Change = Callable[[pd.DataFrame, str], tuple[pd.DataFrame, str]]


def _cell(column: str, row: int, value: object) -> Change:
    def change(frame: pd.DataFrame, study: str) -> tuple[pd.DataFrame, str]:
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame, study

    return change


def _column(name: str, made: Callable[[pd.DataFrame], object], **words: str) -> Change:
    def change(frame: pd.DataFrame, study: str) -> tuple[pd.DataFrame, str]:
        frame[name] = made(frame)
        return frame, _said(study, words)

    return change


def _said(study: str, words: dict[str, str]) -> str:
    for key, text in words.items():
        old = {"inputs": "[radius, texture, site]", "data": "{path: t.csv, id: id}", "kind": "kind: multiclass"}[key]
        study = study.replace(old, text)
    return study


def _text(old: str, new: str) -> Change:
    return lambda frame, study: (frame, study.replace(old, new))


def _sparse(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[frame.index[3:], ["malignant", "grade", "worst_area"]] = None
    return frame


CASES: dict[str, tuple[Change, str]] = {
    "missing file": (_text("t.csv", "s.csv"), "A table must exist; however, there is no file"),
    "unknown key": (
        _text("budget: quick", "budget: quick\nepoch: 3"),
        "study.yaml:8: A key of a study file must be known; however, 'epoch' is not. Valid names: alternatives,",
    ),
    "misspelt key": (
        _text("budget:", "bugdet:"),
        "study.yaml:7: A key of a study file must be known; however, 'bugdet' is",
    ),
    "wrong type": (
        _text("budget: quick", "budget: {level: quick, seeds: five}"),
        "study.yaml:7: 'budget.seeds' must be a whole number; however, it is 'five'.",
    ),
    "missing input column": (
        _text("[radius,", "[radiusX,"),
        "study.yaml:2: A column that is named must be in the table; however, ",
    ),
    "missing target": (_text("name: grade", "name: grad"), "has no column 'grad'. Did you mean 'grade'?"),
    "kind against labels": (
        _text("kind: multiclass", "kind: binary"),
        "study.yaml:5, column 'grade': A binary task has two classes; however, task 'grade' has 3: 'high',",
    ),
    "continuous classes": (
        _text("kind: regression", "kind: multiclass"),
        "study.yaml:6, column 'worst_area': A multiclass task has a few classes, each with many rows; however, ",
    ),
    "text in a numeric target": (
        _cell("worst_area", 41, "abc"),
        "row 42, column 'worst_area': A numeric column must hold numbers; however, the value is 'abc'.",
    ),
    "text in a numeric input": (
        _cell("radius", 9, "17,99"),
        "row 10, column 'radius': A numeric column must hold numbers; however, the value is '17,99'.",
    ),
    "mixed dates": (
        _column(
            "day",
            lambda f: [f"2024-01-{i % 28 + 1:02d}" if i != 6 else "7.1.2024" for i in range(len(f))],
            inputs="[radius, day]",
        ),
        "row 7, column 'day': A datetime column must hold ISO 8601 dates such as 2024-05-31, all with a time zone or",
    ),
    "duplicate row ids": (
        _cell("id", 5, "p2"),
        "row 6, column 'id': Row ids must be unique; however, 'p2' is also the id of row 3",
    ),
    "input that is a copy": (
        _column("leak", lambda f: f["worst_area"] / 100 + 3, inputs="[radius, leak]"),
        "column 'leak': An input may not be a copy of a target; however, it tells the target 'worst_area'",
    ),
    "infinite target": (
        _cell("worst_area", 3, float("inf")),
        "row 4, column 'worst_area': A regression target must be finite and within ±1e+30; however, the value is inf.",
    ),
    "1e300 target": (_cell("worst_area", 3, 1e300), "however, the value is 1e+300."),
    "empty table": (lambda f, s: (f.iloc[:0], s), "A table must have rows; however, "),
    "three labelled rows": (
        lambda f, s: (_sparse(f), s),
        "A study needs a task that can be learned and judged; however, task 'malignant' has",
    ),
    "no labels at all": (
        lambda f, s: (f.assign(malignant=None, grade=None, worst_area=None), s),
        "however, task 'grade' has no labels at all.",
    ),
    "one class only": (
        lambda f, s: (f.assign(malignant="yes", grade="low", worst_area=1.0), s),
        "however, task 'malignant' has one class only, 'yes', in its 569 labelled rows.",
    ),
    "holes in the time column": (
        _column("t", lambda f: [None if i == 11 else i for i in range(len(f))], data="{path: t.csv, time: t}"),
        "row 12, column 't': The time column must have a value in every row; however, 1 of 569 rows have none.",
    ),
    "holes in the group column": (
        _column("g", lambda f: [None if i == 11 else i % 9 for i in range(len(f))], data="{path: t.csv, entity: g}"),
        "row 12, column 'g': The entity column must have a value in every row; however, 1 of 569 rows have none.",
    ),
    "class weight of no class": (
        _text("kind: multiclass", "kind: multiclass, class_weights: {hihg: 2}"),
        "Class weights of task 'grade' must name its classes; however, 'hihg' is none. Did you mean 'high'?",
    ),
    "metric of another kind": (
        _text("kind: regression", "kind: regression, metric: auroc"),
        "study.yaml:6: A metric must fit the task's kind; however, 'auroc' of task 'worst_area' is not for regression",
    ),
    "tags and tokens of unequal length": (
        lambda f, s: (
            f.assign(words='["a", "scan"]', tags=['["D"]' if i == 7 else '["D", "N"]' for i in range(len(f))]),
            _said(s, {"inputs": "{words: tokens}", "kind": "kind: token_tagging, column: tags"}),
        ),
        "row 8, column 'tags': A row has a tag for each of its tokens in 'words'; however, it has 1 tag and 2 tokens.",
    ),
    "tokens that are fractions": (
        _column("words", lambda f: ["[0.5, 1]", "[2.5]"] * (len(f) // 2) + ["[1]"], inputs="{words: tokens}"),
        "study.yaml:2, column 'words': A tokens input is a list of words, or of whole numbers, in every row; however,",
    ),
    "encoder of another kind in a list": (
        _text("[radius, texture, site]", "{site: {kind: text, encoder: [ngrams, words]}}"),
        "study.yaml:2: The encoder of input 'site' must fit its kind; however, 'words' does not read inputs of kind",
    ),
    "setting of an encoder that cannot be": (
        _text("[radius, texture, site]", "{site: {kind: text, encoder: {name: ngrams, features: 0}}}"),
        "study.yaml:2, column 'site': N-grams have features, words and characters, at least 1 of each",
    ),
    "architecture that names no task": (
        _text("budget: quick", "architecture: {name: hard, split: {grad: 1}}"),
        "study.yaml:7: 'split' of 'hard' names tasks of the study; however, the study names 'grad', which is none. Did",
    ),
    "text model that is not there": (
        _column(
            "note",
            lambda f: [f"a scan of patient number {i} was seen" for i in range(len(f))],
            inputs="{note: {kind: text, encoder: {name: transformer, model: ./nowhere}}}",
        ),
        "2, column 'note': A model is a folder or a name on the hub; however, there is no folder './nowhere'",
    ),
}


def _write(folder: Path, change: Change) -> Path:
    frame, study = change(trial_frame(), STUDY)
    frame.to_csv(folder / "t.csv", index=False)
    (folder / "study.yaml").write_text(study)
    return folder / "study.yaml"


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_in_sentences(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, message = CASES[case]
    study = _write(tmp_path, change)
    assert answer(["run", str(study), "--out", str(tmp_path / "out")]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert message in streams.err
    assert "Traceback" not in streams.err
    assert len(streams.err.splitlines()) <= 12
    assert sorted(p.name for p in tmp_path.iterdir()) == ["study.yaml", "t.csv"]


def test_ragged_rows_and_broken_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = _write(tmp_path, lambda f, s: (f, s))
    table = tmp_path / "t.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:10], "p,1,2", *lines[10:]]))
    assert answer(["run", str(study)]) == 2
    assert f"{table}:11: Every row of a CSV must have as many cells as its header; however," in capsys.readouterr().err
    trial_frame().to_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[: len(whole) // 2])
    study.write_text(study.read_text().replace("t.csv", "t.parquet"))
    assert answer(["run", str(study)]) == 2
    assert "t.parquet: A Parquet file must be whole and readable; however, reading it failed" in capsys.readouterr().err


def test_all_problems_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = _write(
        tmp_path,
        lambda f, s: (
            f,
            s.replace("radius", "radiusX").replace("multiclass", "binary").replace("name: malignant", "name: m"),
        ),
    )
    assert answer(["run", str(study)]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.rpartition("study.yaml:")[2][0] for line in told] == ["4", "5", "2"]


TOLD = "import sys\nfrom sharewise.cli import answer\ncode = answer(['run', sys.argv[1]])\n"
HEAVY = "print(code, [m for m in ('torch', 'sklearn', 'lightgbm') if m in sys.modules])"


def _told(study: Path) -> str:
    """What a fresh process says on stdout."""
    command = [sys.executable, "-c", TOLD + HEAVY, str(study)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("case", ["misspelt key", "one class only"])
def test_it_is_told_before_anything_heavy_is_imported(case: str, tmp_path: Path) -> None:
    assert _told(_write(tmp_path, CASES[case][0])) == "2 []"
