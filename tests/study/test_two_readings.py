"""One text, or one pair, read by several encoders at once: declared, fitted, masked by task, written and read back."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from sharewise.errors import DataError
from sharewise.plan import Choice
from sharewise.study.file import StudyFile
from sharewise.study.inputs import encoder_config, seen_by
from sharewise.tables import own
from sharewise.tables.codec import Codec
from sharewise.tables.read import Table
from sharewise.tables.resolve import resolve
from sharewise.tables.schema import Declaration, Input, InputDeclaration, InputKind, Schema, TaskDeclaration
from sharewise.tasks import Task, TaskKind, TaskSet

WORDS, LETTERS = Choice("ngrams", {"features": 6}), Choice("ngrams", {"features": 4, "words": 1})
TEXT = {"kind": "text", "encoder": [{"name": c.name, **c.params} for c in (WORDS, LETTERS)]}
TASKS = TaskSet(
    (
        Task("y", TaskKind.REGRESSION, ("y",), "rmse", inputs=("p",)),
        Task("z", TaskKind.REGRESSION, ("z",), "rmse", inputs=("a",)),
    )
)


def rows(n: int = 120, seed: int = 0) -> pa.Table:
    draw = np.random.default_rng(seed)
    y, z = draw.integers(0, 2, n), draw.integers(0, 2, n)
    good = [" ".join(draw.choice(["fine", "lovely", "sweet"] if v else ["awful", "sour", "dull"], 3)) for v in y]
    asks = [text + ("?" if v else ".") for text, v in zip(good, z, strict=True)]
    return pa.table({"a": [None, *asks[1:]], "b": [*good[:-1], None], "y": y, "z": z})


@pytest.fixture(scope="module")
def codec() -> Codec:
    inputs = (
        Input("a", InputKind.TEXT, WORDS, "p", also=(LETTERS,)),
        Input("b", InputKind.TEXT, WORDS, "p", also=(LETTERS,)),
    )
    return Codec.fit(Table(rows(), "t"), Schema(inputs, TASKS), np.arange(120))


def test_a_pair_has_a_block_for_each_encoder_and_one_name(codec: Codec) -> None:
    encoded = codec.encode(Table(rows(), "t"))
    assert list(encoded.blocks) == ["text:p", "text:p by ngrams", "present"]
    assert [encoded[name].shape[1] for name in ("text:p", "text:p by ngrams")] == [24, 16]
    assert encoded["present"].tolist() == [[0, 0], *[[1, 1]] * 118, [0, 0]]
    assert own.places(codec.encoders)["p"] == {"present": [0, 1]}
    parts = encoder_config(codec, encoded, np.arange(120), {})["parts"]
    assert [part["present"] for part in parts] == [0, 1]
    pair, other = TASKS
    assert all((seen_by(pair, codec, encoded)[name] == block).all() for name, block in encoded.blocks.items())
    assert all((seen_by(other, codec, encoded)[name] == block).all() for name, block in encoded.blocks.items())


def test_it_comes_back_from_json_and_a_missing_column_is_told_once(codec: Codec) -> None:
    again = Codec.from_json(json.loads(json.dumps(codec.to_json()))).with_arrays(codec.arrays())
    assert again == codec
    with pytest.raises(DataError) as told:
        again.encode(Table(rows().drop_columns(["a"]), "t"))
    assert len(told.value.problems) == 1


def test_an_encoder_fits_the_kind_that_the_column_turns_out_to_be_of() -> None:
    table = Table(pa.table({"n": [1.5, 2.5, 3.0] * 4, "y": [0, 1, 0] * 4}), "t")
    said = Declaration((TaskDeclaration("y"),), (InputDeclaration("n", encoder=WORDS),))
    with pytest.raises(DataError, match="'n' must fit its kind; however, the kind is not given, the column looks like"):
        resolve(table, said)


def test_the_declaration_reads_back_as_it_was_written() -> None:
    said = {"data": "t.csv", "inputs": {"a": TEXT, "b": {"kind": "text", "encoder": "ngrams"}}, "tasks": ["y"]}
    study = StudyFile.from_dict(said)
    written = study.to_dict()
    assert [i["encoder"] for i in written["inputs"]] == [TEXT["encoder"], {"name": "ngrams"}]
    assert StudyFile.from_dict(written) == study
    (first, second) = study.declaration().inputs or ()
    assert (first.encoder, first.also, second.also) == (WORDS, (LETTERS,), ())


# --- two inputs of tokens --------------------------------------------------------------------------------------


def asked_and_answered() -> tuple[Codec, Table]:
    """Short questions beside long answers."""
    said = {"q": [["what", "is"], ["who"]] * 10, "a": [["it", "is", "what", "it", "is"], None] * 10, "y": [0, 1] * 10}
    table = Table(pa.table(said), "t")
    tasks = TaskSet((Task("y", TaskKind.REGRESSION, ("y",), "rmse"),))
    inputs = (Input("q", InputKind.TOKENS), Input("a", InputKind.TOKENS))
    return Codec.fit(table, Schema(inputs, tasks, row_id=None), np.arange(20)), table


def test_two_inputs_of_tokens_are_read_where_none_is_tagged() -> None:
    from sharewise.models.build import GroupModel, slots_of
    from sharewise.models.stacked import Stack
    from sharewise.training.data import TrainingData

    codec, table = asked_and_answered()
    encoded = codec.encode(table)
    config = encoder_config(codec, encoded, np.arange(20), {"width": 8})
    assert [part["per_token"] for part in config["parts"]] == [False, False]
    model = GroupModel(config, Choice("hard", {"width": 8}), slots_of(codec.schema.tasks.tasks))
    Stack(model).populate([0], [["y"]])
    data = TrainingData.of(codec.schema.tasks, encoded, codec.targets(table), {"train": np.arange(20)})
    whole = data.gather(torch.arange(20)[None])
    # A batch is as wide as the longest sentence of any of them.
    assert [whole[f"tokens:{name}"].shape[2] for name in "qa"] == [2, 5]
    (together,) = model.predict(whole)
    (alone,) = model.predict(data.gather(torch.tensor([[1]])))
    torch.testing.assert_close(alone[:, 0], together[:, 1])
