"""A configuration and inputs for every encoder of the catalogue, for the suite that holds them to their promises."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sharewise.batch import Inputs
from sharewise.tables.texts import locate
from tiny_networks import tiny_bert, tiny_vision

Blocks = dict[str, np.ndarray]
Case = tuple[dict[str, Any], Blocks]

TABULAR = {"n_numeric": 3, "cardinalities": [4, 20], "n_embedding": 2, "bins": [[-1.0, 0.0, 1.0], [], [0.0, 0.5, 2.0]]}


def tabular(rows: int, folder: Path) -> Case:
    random = np.random.default_rng(3)
    blocks = {
        "numeric": random.normal(size=(rows, 3)).astype(np.float32),
        "categorical": np.stack([random.integers(0, n, rows) for n in (4, 20)], axis=1).astype(np.int32),
        "embedding": random.integers(0, 2, (rows, 2)).astype(np.uint8),
    }
    return {"name": "tabular", **TABULAR}, blocks


def vectors(rows: int, folder: Path) -> Case:
    block = np.random.default_rng(1).normal(size=(rows, 12)).astype(np.float16)
    return {"name": "vectors", "block": "text:review", "n_in": 12, "scale": 2.0}, {"text:review": block}


def ids(rows: int, folder: Path) -> Case:
    return {"name": "ids", "block": "id:user", "n_codes": rows + 2, "n_out": 6}, {
        "id:user": (2 + np.arange(rows, dtype=np.int32))[:, None]
    }


def mixed(rows: int, folder: Path) -> Case:
    parts, blocks = [], {}
    for number, make in enumerate((tabular, vectors, ids)):
        config, found = make(rows, folder)
        parts.append(config if make is tabular else {**config, "present": number - 1})
        blocks |= found
    blocks["present"] = np.ones((rows, 2), np.uint8)
    blocks["present"][1::5, 0] = 0
    blocks["present"][2::7, 1] = 0
    return {"name": "mixed", "parts": parts, "width": 16}, blocks


def fused(how: str) -> Callable[[int, Path], Case]:
    """Mixed inputs brought together in another way."""

    def case(rows: int, folder: Path) -> Case:
        config, blocks = mixed(rows, folder)
        return {**config, "fusion": how}, blocks

    return case


def with_tokens(rows: int, folder: Path) -> Case:
    """Numbers, tokens and a vector, the last two missing on some rows."""
    (numbers, a), (words, b), (vector, c) = tabular(rows, folder), tokens(rows, folder), vectors(rows, folder)
    parts = [numbers, {**words, "present": 0}, {**vector, "present": 1}]
    present = np.ones((rows, 2), np.uint8)
    present[1::5, 0] = present[2::7, 1] = 0
    return {"name": "mixed", "parts": parts, "width": 16, "fusion": "gated"}, {**a, **b, **c, "present": present}


def transformer(rows: int, folder: Path) -> Case:
    where, digest = tiny_transformer(folder)
    random = np.random.default_rng(2)
    tokens = np.zeros((rows, 6), np.int32)
    for row in range(rows):
        n = random.integers(2, 6)
        tokens[row, :n] = 1 + random.integers(4, 12, n)
    part = {"name": "transformer", "block": "text:t", "model": where, "digest": digest, "n_out": 16, "train": "all"}
    return part, {"text:t": tokens}


def picture(rows: int, folder: Path) -> Case:
    pixels = np.random.default_rng(4).integers(0, 256, (rows, 12, 12, 3)).astype(np.uint8)
    config = {"name": "picture", "block": "image:photo", "side": 12, "channels": 3, "widths": [8, 8, 16], "shift": 0}
    return {**config, "mean": [0.5] * 3, "deviation": [0.3] * 3}, {"image:photo": pixels}


def tokens(rows: int, folder: Path) -> Case:
    random = np.random.default_rng(5)
    codes = random.integers(1, 40, (rows, 6, 3)).astype(np.int32)
    codes[np.arange(6) >= random.integers(1, 7, rows)[:, None]] = 0
    config = {"name": "tokens", "block": "tokens:words", "n_words": 40, "n_forms": 2, "n_buckets": 40, "width": 24}
    return config, {"tokens:words": codes}


def token_vectors(rows: int, folder: Path) -> Case:
    random = np.random.default_rng(6)
    cells = random.normal(size=(rows, 5, 9)).astype(np.float16)
    cells[..., 0] = 1
    cells[np.arange(5) >= random.integers(1, 6, rows)[:, None]] = 0
    return {"name": "token_vectors", "block": "tokens:words", "n_in": 8, "scale": 2.0}, {"tokens:words": cells}


def token_transformer(rows: int, folder: Path) -> Case:
    where, digest = tiny_transformer(folder)
    random = np.random.default_rng(2)
    pieces = np.zeros((rows, 6, 2), np.int32)
    for row in range(rows):
        n = random.integers(1, 6)
        pieces[row, :n, 0] = 1 + random.integers(4, 12, n)
    config = {"name": "token_transformer", "block": "tokens:words", "model": where, "digest": digest, "n_out": 16}
    return {**config, "max_tokens": 40, "train": "all"}, {"tokens:words": pieces}


def vision(rows: int, folder: Path) -> Case:
    where = str(_tiny_vision(folder))
    pixels = np.random.default_rng(7).integers(0, 256, (rows, 16, 16, 3)).astype(np.uint8)
    # Brightness in three steps, which any network can tell.
    pixels = (pixels // 4 + 64 * np.arange(rows)[:, None, None, None] % 192).astype(np.uint8)
    config = {"name": "vision", "block": "image:p", "model": where, "digest": locate.vision(where).digest, "n_out": 16}
    return {**config, "side": 16, "train": "all"}, {"image:p": pixels}


CASES: dict[str, Callable[[int, Path], Case]] = {
    "tabular": tabular,
    "vectors": vectors,
    "ids": ids,
    "mixed": mixed,
    "mixed, gated": fused("gated"),
    "mixed, attention": fused("attention"),
    "mixed, with tokens": with_tokens,
    "transformer": transformer,
    "picture": picture,
    "tokens": tokens,
    "token_vectors": token_vectors,
    "token_transformer": token_transformer,
    "vision": vision,
}

MISSING = {"numeric": 0, "categorical": 0, "embedding": 0, "present": 0}
"""What a block holds where nothing is known; blocks of single inputs hold anything, so 0 too."""


@cache
def tiny_transformer(folder: Path) -> tuple[str, str]:
    """Folder and digest of a tiny BERT."""
    where = tiny_bert(folder / "tiny-bert", positions=40)
    return where, locate.backbone(where).digest


@cache
def _tiny_vision(folder: Path) -> Path:
    return tiny_vision(folder / "tiny-vit", "vit", layers=2)


def tensors(blocks: Blocks, members: int) -> Inputs[torch.Tensor]:
    """The same rows for every member."""
    return Inputs({n: torch.from_numpy(b)[None].expand(members, *b.shape) for n, b in blocks.items()})
