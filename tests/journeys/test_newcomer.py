"""The tables on which peers were tried as a newcomer would: scikit-learn's breast cancer data with four targets, and
the same with 30 to 60 % of the labels blanked.

What peers did with them: rows deleted, weights that were not a number, a constant answer for a target in the hundreds,
another result from the same seed, scores of different units averaged.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pytest
from sklearn.datasets import load_breast_cancer
from spoken import Command

BLANK = {"malignant": 0.3, "grade": 0.5, "worst_area": 0.4, "worst_smooth": 0.6}
STUDY = """\
data: {path: trial.csv, id: id}
inputs: [%s, site]
tasks:
  - {name: malignant, kind: binary, positive: "yes"}
  - {name: grade, kind: ordinal, classes: [low, mid, high]}
  - {name: worst_area, kind: regression}
  - {name: worst_smooth, kind: regression}
budget: {level: quick, trials: 1, seeds: 2, epochs: 15}
"""


def trial(folder: Path, blanked: bool) -> Path:
    """569 rows, ten numbers and a category, a note that is no input yet, and four targets of very different units."""
    random = np.random.default_rng(0)
    cancer = load_breast_cancer()
    names = [name.replace(" ", "_") for name in cancer.feature_names]
    columns = {name: cancer.data[:, i] for i, name in enumerate(names[:10])}
    area, smooth = cancer.data[:, names.index("worst_area")], cancer.data[:, names.index("worst_smoothness")]
    grade = np.array(["low", "mid", "high"])[np.digitize(area, np.quantile(area, [1 / 3, 2 / 3]))]
    targets = {
        "malignant": np.where(cancer.target == 0, "yes", "no"),
        "grade": grade,
        "worst_area": area,
        "worst_smooth": smooth,
    }
    n = len(area)
    table = pa.table(
        {
            "id": [f"patient-{i}" for i in range(n)],
            **columns,
            "site": np.array(["north", "south", "east"])[random.integers(0, 3, n)],
            "note": [f"seen on day {i % 30}, {'large' if a > 800 else 'small'} nuclei" for i, a in enumerate(area)],
            **{
                name: pa.array(values, mask=random.random(n) < BLANK[name] if blanked else None)
                for name, values in targets.items()
            },
        }
    )
    pc.write_csv(table, folder / "trial.csv")
    path = folder / "study.yaml"
    path.write_text(STUDY % ", ".join(columns), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("blanked", [False, True], ids=["whole", "blanked"])
def test_every_row_counts_and_no_answer_is_constant(blanked: bool, sharewise: Command, tmp_path: Path) -> None:
    study = trial(tmp_path, blanked)
    done = sharewise("run", study, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    labelled = pc.read_csv(tmp_path / "trial.csv", convert_options=pc.ConvertOptions(strings_can_be_null=True))
    some = np.zeros(569, dtype=bool)
    for name in BLANK:
        some |= ~labelled.column(name).is_null().to_numpy(zero_copy_only=False)
    assert f"{some.sum()} of 569 rows have at least one label, and every one of them is used" in done.stderr
    data = json.loads((tmp_path / "run/data.json").read_text())
    assert data["n_rows"] == 569
    assert data["n_unlabelled"] == 569 - some.sum()

    out = tmp_path / "answers.csv"
    assert sharewise("predict", tmp_path / "run/bundle", tmp_path / "trial.csv", "-o", out).returncode == 0
    answers = pc.read_csv(out)
    for name in ("worst_area", "worst_smooth"):
        predicted = answers.column(f"{name}__prediction" if f"{name}__prediction" in answers.column_names else name)
        truth = np.array(load_breast_cancer().data[:, 23 if name == "worst_area" else 24])
        values = predicted.to_numpy()
        assert np.corrcoef(values, truth)[0, 1] > 0.5
        assert 0.2 < values.std() / truth.std() < 2

    verdicts = json.loads((tmp_path / "run/verdicts.json").read_text())
    assert len({v["comparison"]["metric"] for v in verdicts}) >= 3
    text = (tmp_path / "run/report.html").read_text()
    assert "mean RMSE" not in text, "scores of different units have no mean"

    again = sharewise("run", study, "--out", tmp_path / "again", "--workers", 1)
    assert again.returncode == 0, again.stderr
    for name in ("verdicts.json", "comparisons.json", "decisions.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
