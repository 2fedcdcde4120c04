"""A table of pictures, tokens and numbers, each missing on some rows: one study, its bundle and its answers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sharewise.bundle import Bundle
from sharewise.errors import DataError
from sharewise.study import Study

Image = pytest.importorskip("PIL.Image")

N = 150


def table(folder: Path) -> pa.Table:
    """`bright` is told by the picture, `tags` by the words, `size` by the number and the picture."""
    random = np.random.default_rng(0)
    level = random.integers(20, 236, N)
    x = random.normal(size=N)
    words = [[str(w) for w in random.choice(["sun", "Rome", "runs", "7"], random.integers(1, 6))] for _ in range(N)]
    tag = {"sun": "O", "Rome": "B-place", "runs": "O", "7": "B-number"}
    paths = []
    for i in range(N):
        noise = random.integers(-15, 16, (12, 12))
        Image.fromarray(np.clip(level[i] + noise, 0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        paths.append(None if i % 9 == 0 else f"{i}.png")
    (folder / "4.png").write_bytes(b"")
    return pa.table(
        {
            "photo": paths,
            "words": [None if i % 11 == 0 else w for i, w in enumerate(words)],
            "x": [None if i % 7 == 0 else float(v) for i, v in enumerate(x)],
            "bright": [int(v > 128) for v in level],
            "tags": [None if i % 11 == 0 else [tag[w] for w in ws] for i, ws in enumerate(words)],
            "size": x + level / 100.0,
        }
    )


def test_a_refused_picture_leaves_no_run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = Study(table(tmp_path), ["bright"], inputs=[{"name": "photo", "kind": "image"}, "x"])
    with pytest.raises(DataError, match=r"row 5, column 'photo': A picture must be readable; .* is empty"):
        study.run(tmp_path / "runs" / "out")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_table_with_modalities_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = table(tmp_path)
    study = Study(
        data,
        ["bright", {"name": "tags", "kind": "token_tagging"}, {"name": "size", "kind": "regression"}],
        inputs=[
            {"name": "photo", "kind": "image", "encoder": {"name": "picture", "widths": [8], "unreadable": "skip"}},
            {"name": "words", "kind": "tokens"},
            "x",
        ],
        budget={"level": "quick", "trials": 1, "seeds": 2, "epochs": 2},
    )
    result = study.run(tmp_path / "out", workers=1)
    assert {d.task for d in result.decisions} == {"bright", "tags", "size"}
    bundle = Bundle.load(tmp_path / "out" / "bundle")
    with pytest.warns(UserWarning, match="1 picture of 'photo' cannot be read and counts as missing: row 5"):
        answers = bundle.predict(data.drop_columns(["bright", "tags", "size"])).to_pydict()
    lengths = [0 if w is None else len(w) for w in data["words"].to_pylist()]
    assert [len(t) for t in answers["tags"]] == lengths
    right = [a == b for a, b in zip(answers["bright"], data["bright"].to_pylist(), strict=True)]
    assert np.mean(right) > 0.7
    assert np.isfinite(answers["size"]).all()
    stream = io.BytesIO()
    Image.new("L", (30, 20), 230).save(stream, "JPEG")
    unseen = pa.table({"photo": pa.array([stream.getvalue()]), "words": [["Rome"] * 700], "x": [0.0]})
    one = bundle.predict(unseen).to_pydict()
    assert len(one["tags"][0]) == 700
