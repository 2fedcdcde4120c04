"""A study on a transformer, frozen or trained, and its bundle, which carries the network and needs no other copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from sharewise.bundle import Bundle
from sharewise.errors import BundleError
from sharewise.study import Study

WORDS = ["sun", "rain", "wind", "snow", "hot", "cold", "day", "night"]


def tiny(where: Path) -> str:
    """A BERT of 2 layers and 16 units with 12 tokens."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(0)
    where.mkdir()
    (where / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]) + "\n")
    BertTokenizerFast(str(where / "vocab.txt")).save_pretrained(where)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=12, max_position_embeddings=12, **sizes)).save_pretrained(where)
    return str(where)


def table(n: int = 240, seed: int = 0) -> pa.Table:
    """`warm` says whether there is more sun than snow, `wet` whether there is rain; some texts are missing."""
    draw = np.random.default_rng(seed)
    said = [list(draw.choice(WORDS[:4], 4)) for _ in range(n)]
    text = [None if draw.random() < 0.05 else " ".join(s) for s in said]
    warm, wet = ([int(s.count("sun") > s.count("snow")) for s in said], [int("rain" in s) for s in said])
    return pa.table({"note": text, "x": draw.normal(size=n), "warm": warm, "wet": wet})


@pytest.mark.slow
@pytest.mark.parametrize("train", ["none", "all", "1", "lora"])
def test_from_text_to_a_bundle_that_stands_alone(train: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAREWISE_CACHE", str(tmp_path / "cache"))
    model = tiny(tmp_path / "model")
    how = {"name": "transformer", "model": model, "train": train, "rank": 2}
    study = Study(
        table(),
        tasks=[{"name": t, "kind": "binary"} for t in ("warm", "wet")],
        inputs=[{"name": "note", "kind": "text", "encoder": how}, "x"],
        budget={"level": "quick", "trials": 1, "seeds": 2, "epochs": 2},
    )
    result = study.run(tmp_path / "run", workers=1)
    fresh = table(60, seed=3).select(["note", "x"])
    shutil.copytree(result.bundle, tmp_path / "moved")
    before = Bundle.load(result.bundle).predict_proba(fresh)
    shutil.rmtree(model)
    after = Bundle.load(tmp_path / "moved").predict_proba(fresh)
    for name, frame in before.items():
        assert frame.equals(after[name])
        assert np.isfinite(frame.to_pandas().to_numpy()).all()
    (weights,) = (tmp_path / "moved" / "backbones").glob("*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(BundleError, match="is cut off"):
        Bundle.load(tmp_path / "moved")
