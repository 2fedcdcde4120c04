"""Frozen vision backbones, tiny and made from a configuration: features, their cache, and what cannot be used."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from sharewise.batch import Inputs
from sharewise.bundle import backbones
from sharewise.errors import DataError
from sharewise.models import encoders
from sharewise.models.backbones import picture
from sharewise.models.reading import encode
from sharewise.models.sharing.base import Dropout
from sharewise.models.stacked import Stack
from sharewise.plan import Choice
from sharewise.tables.codec import Codec
from sharewise.tables.read import Table
from sharewise.tables.resolve import resolve
from sharewise.tables.schema import Declaration, Input, InputDeclaration, InputKind, Schema, TaskDeclaration
from sharewise.tables.texts import locate
from sharewise.tasks import TaskSet
from tiny_networks import tiny_vision

transformers = pytest.importorskip("transformers")
Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module", params=["vit", "resnet"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vision(tmp_path_factory.mktemp(request.param), request.param)


def pixels(n: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)


def png(picture_: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture_).save(stream, "PNG")
    return stream.getvalue()


def codec(model: Path, table: Table, **params: object) -> Codec:
    choice = Choice("backbone", {"model": str(model), "side": 16, **params})
    return Codec.fit(table, Schema((Input("p", InputKind.IMAGE, choice),), TaskSet(())), np.arange(3))


def table(*cells: bytes | None) -> Table:
    return Table(pa.table({"p": pa.array(cells, pa.binary())}), "the table")


def test_features_are_the_models_own(model: Path, tmp_path: Path) -> None:
    x = pixels()
    data = table(png(x[0]), None, *(png(p) for p in x[1:]))
    made = encode(codec(model, data), data, tmp_path)
    assert made["present"][:, 0].tolist() == [1, 0, 1, 1, 1, 1]
    network = transformers.AutoModel.from_pretrained(model).eval()
    mean, deviation = picture.normalisation(model)
    with torch.no_grad():
        given = (torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255 - mean) / deviation
        states = network(pixel_values=given).last_hidden_state
    expected = states.mean((2, 3)) if states.dim() == 4 else states.mean(1)
    np.testing.assert_allclose(made["image:p"][[0, 2, 3, 4, 5]], expected.numpy(), rtol=2e-2, atol=2e-3)
    assert (made["image:p"][1] == 0).all()


def test_a_picture_is_computed_once(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = pixels()
    data = table(*(png(p) for p in x), png(x[0]))
    first = encode(codec(model, data), data, tmp_path)
    monkeypatch.setattr(picture, "load", lambda *_: pytest.fail("computed again"))
    raw = Table(pa.table({"p": pa.array([p.tobytes() for p in x], pa.binary(768))}), "the table")
    again = encode(codec(model, raw), raw, tmp_path)
    assert (first["image:p"][:5] == again["image:p"]).all()
    assert (first["image:p"][5] == first["image:p"][0]).all()


def test_unreadable_pictures(model: Path, tmp_path: Path) -> None:
    data = table(png(pixels()[0]), b"", png(pixels()[1]))
    with pytest.raises(DataError, match=r"the table, row 2, column 'p': A picture must be readable"):
        encode(codec(model, data), data, tmp_path)
    made = encode(codec(model, data, unreadable="skip"), data, tmp_path)
    assert made["present"][:, 0].tolist() == [1, 0, 1]


def test_a_bundle_takes_the_network_along(model: Path, tmp_path: Path) -> None:
    fitted = codec(model, table(*(png(p) for p in pixels())))
    for name, content in backbones.copies(fitted).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    moved = backbones.relocated(fitted, tmp_path)
    data = table(png(pixels()[0]))
    assert (encode(moved, data)["image:p"] == encode(fitted, data)["image:p"]).all()


@pytest.mark.parametrize("train", ["all", "1", "lora"])
def test_what_is_not_trained_yet_gives_the_frozen_features(model: Path, train: str, tmp_path: Path) -> None:
    data = table(png(pixels()[0]), None, *(png(p) for p in pixels()[1:]))
    if train == "lora" and "resnet" in str(model):
        with pytest.raises(DataError, match=r"LoRA changes linear layers; however, .* convolutions alone"):
            codec(model, data, train=train)
        return
    frozen = encode(codec(model, data), data, tmp_path)["image:p"]
    fitted = codec(model, data, train=train, rank=2, shift=2, flip=True)
    blocks = encode(fitted, data)
    assert blocks["image:p"].shape == (6, 16, 16, 3)
    assert blocks["present"][:, 0].tolist() == [1, 0, 1, 1, 1, 1]
    part = fitted.own_blocks[0].part(blocks["image:p"])
    made = encoders.CATALOGUE.build(part.pop("name"), **part)
    stack = Stack(made)
    stack.populate([0, 1], [[], []])
    x = Inputs({"image:p": torch.from_numpy(blocks["image:p"])[None].expand(2, -1, -1, -1, -1)})
    with torch.no_grad():
        found = made(x)
        moved = made(x, Dropout().at(3))
        torch.testing.assert_close(made(x, Dropout().at(3)), moved)
    there = [0, 2, 3, 4, 5]
    np.testing.assert_allclose(found[1, there], frozen[there], rtol=2e-2, atol=2e-3)
    assert not torch.allclose(found, moved)
    names = [entry.name for entry in stack.entries]
    lower = "embedder/embedder/convolution/weight" if "resnet" in str(model) else "embeddings/cls_token"
    assert (lower in names) == (train == "all")
    assert all("lora" in name for name in names) == (train == "lora")


def test_pictures_of_another_side_than_the_models_own(model: Path, tmp_path: Path) -> None:
    data = table(*(png(p) for p in pixels()))
    for side in (8, 24):
        block = encode(codec(model, data, side=side), data, tmp_path)["image:p"]
        assert np.isfinite(block).all()
        assert block.std(axis=0).max() > 0


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"train": 9}, r"none, all, lora or a number of its [12] layers; however, it is 9"),
        ({"shift": 2}, "where a network is trained on them; however, train is none"),
        ({"train": "all", "shift": 9}, "moved by less than half their side"),
        ({"side": 4}, "8 to 1024 pixels; however, it is 4"),
    ],
)
def test_choices_that_cannot_be(model: Path, params: dict[str, object], match: str) -> None:
    with pytest.raises(DataError, match=match):
        codec(model, table(png(pixels()[0])), **params)


def test_a_model_that_cannot_be_had_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def unreachable(request: object, timeout: float) -> object:
        asked.append(str(request))
        raise OSError("no network")

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(locate, "urlopen", unreachable)
    data = Table(pa.table({"p": pa.array([b"x"]), "q": pa.array([b"x"]), "y": [1.0]}), "the table")
    how = Choice("backbone", {"model": "someone/absent-vision-model", "train": "all"})
    inputs = tuple(InputDeclaration(name, InputKind.IMAGE, encoder=how) for name in "pq")
    with pytest.raises(DataError, match=r"the hub cannot be reached .*model: /path/to/folder") as caught:
        resolve(data, Declaration((TaskDeclaration("y"),), inputs))
    assert len(caught.value.problems) == 2
    assert len(asked) == 1


def test_models_that_do_not_fit(tmp_path: Path) -> None:
    data = table(png(pixels()[0]), png(pixels()[1]), png(pixels()[2]))
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "model.safetensors").write_bytes(b"")
    (tmp_path / "text" / "config.json").write_text('{"model_type": "bert", "hidden_size": 8, "vocab_size": 10}')
    with pytest.raises(DataError, match="'bert' does not fit pictures"):
        codec(tmp_path / "text", data)
    (tmp_path / "text" / "config.json").write_text('{"hidden_size": 8, "auto_map": {}}')
    with pytest.raises(DataError, match="run code of its own"):
        codec(tmp_path / "text", data)
    with pytest.raises(DataError, match="there is no folder"):
        codec(tmp_path / "absent", data)
