"""Every real table loads, describes itself, splits, encodes, and comes back from JSON unchanged."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from sharewise.errors import UserError
from sharewise.study.file import load
from sharewise.study.template import template
from sharewise.tables.codec import Codec
from sharewise.tables.prepare import prepare
from sharewise.tables.read import read

FOLDER = os.environ.get("SHAREWISE_DATA")
NAMES = sorted(p.stem for p in Path(FOLDER).glob("*.parquet")) if FOLDER else ["none"]
pytestmark = [pytest.mark.data, pytest.mark.skipif(FOLDER is None, reason="SHAREWISE_DATA names no real tables")]

WITHOUT_INPUTS = {"etth1"}
"""Its description names none."""

SET_ASIDE = {
    "air_quality": {"NMHC(GT)": "none in validation"},
    "drug_consumption": {"semer": "one class only, 'CL0', in its 205 labelled validation rows"},
    "tweeteval": {"emoji": "no labels at all"},
    "ewt": {"ner": "none in train"},
    "landmine": {"label@field_05": "one class only, '0', in its 80 labelled validation rows"},
}


@pytest.mark.parametrize("name", NAMES)
def test_a_real_table(name: str, tmp_path: Path) -> None:
    table = read(f"{FOLDER}/{name}.parquet")
    (tmp_path / "study.yaml").write_text(template(table, (), tmp_path).text)
    if name in WITHOUT_INPUTS:
        with pytest.raises(UserError, match="'inputs' must not be empty"):
            load(tmp_path / "study.yaml")
        return
    study = load(tmp_path / "study.yaml")
    made = prepare(table, study.declaration(table), study.split_spec(), study.seed)
    for task, reason in SET_ASIDE.get(name, {}).items():
        assert reason in made.set_aside[task]
    assert len(made.set_aside) == len(SET_ASIDE.get(name, {}))
    split = made.split
    assert len(split.train) + len(split.validation) + len(split.test) == table.n_rows
    codec = Codec.fit(table, made.schema, split.train)
    inputs, targets = codec.encode(table), codec.targets(table)
    for block in inputs.blocks.values():
        assert np.isfinite(block).all()
    assert np.isfinite(targets.values).all()
    for part in (split.train, split.validation, split.test):
        for task, columns in zip(made.schema.tasks, targets.slices, strict=True):
            assert targets.present[part, columns].any(axis=1).sum() >= 3, task.name
    again = Codec.from_json(json.loads(json.dumps(codec.to_json(), allow_nan=False)))
    assert again == codec
