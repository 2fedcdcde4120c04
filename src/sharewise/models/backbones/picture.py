"""Pictures through a frozen vision backbone, each computed once."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from sharewise.errors import DataError, Problem
from sharewise.models.backbones import opened
from sharewise.models.backbones.store import Array, Store, key, room
from sharewise.tables import pictures
from sharewise.tables.images.backbone import BackboneEncoder
from sharewise.tables.texts import locate

PIECE = 256
"""Pictures between two writes to the cache: what a kill can cost."""

AT_ONCE = 32
"""Pictures of one forward pass."""

HALF = 65504.0
SETTINGS = "preprocessor_config.json"


def read(
    encoder: BackboneEncoder, columns: Sequence[pa.ChunkedArray], cache: Path | None, advance: Callable[[int], None]
) -> Array:
    """Features (N, width) float16 from the cache or computed once a picture; nan where there is none to read.

    Pictures are known by the pixels that the backbone is given, so that the same one is computed once, however it is
    stored. Raises DataError that names the unreadable rows unless the study file allows them.
    """
    column = columns[0]
    folder = None if cache is None else cache / "features" / f"{encoder.digest[:24]}-{encoder.side}"
    store = Store(folder, encoder.size)
    problems: list[Problem] = []
    with store.writing():
        names: list[bytes | None] = []
        for start in range(0, len(column), PIECE):
            try:
                names += _computed(encoder, column.slice(start, PIECE), store)
            except DataError as error:
                problems += [
                    Problem(p.rule, p.fact, p.remedy, column=p.column, row=start + (p.row or 1)) for p in error.problems
                ]
            advance(min(PIECE, len(column) - start))
        if problems:
            raise DataError(problems[: pictures.MOST_NAMED])
        everything = store.vectors()
        out = room(folder, encoder.name.encode().hex()[:40], (len(column), encoder.size))
        for row, name in enumerate(names):
            out[row] = np.nan if name is None else everything[store.rows([name])[0]]
    return out


def _computed(encoder: BackboneEncoder, column: pa.ChunkedArray, store: Store) -> list[bytes | None]:
    """The key of every picture of a column, each of them in the store when this returns; None where there is none."""
    pixels = np.zeros((len(column), encoder.side, encoder.side, 3), np.uint8)
    there = encoder.read([column], pixels)
    if there is None:
        there = column.is_valid().combine_chunks().to_numpy(zero_copy_only=False)
    names = [key(p.tobytes()) if t else None for p, t in zip(pixels, there, strict=True)]
    new = {name: row for row, name in enumerate(names) if name is not None and name not in store}
    if new:
        network = load(encoder.model, encoder.digest)
        store.append(list(new), network.features(pixels[list(new.values())]))
    return names


class Network:
    """A vision backbone in evaluation mode, and how it wants its pixels."""

    def __init__(self, folder: str) -> None:
        self.model: nn.Module = opened.network(folder, "vision backbone")
        self.model.requires_grad_(False)
        self.mean, self.deviation = normalisation(Path(folder))
        # Models of pictures of one side that can read others say so.
        said = inspect.signature(self.model.forward).parameters
        self.options = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in said else {}

    @torch.no_grad()
    def features(self, pixels: Array) -> Array:
        """Mean of the last layer over all places, (n, width) float16, of pixels (n, S, S, 3)."""
        made = []
        for start in range(0, len(pixels), AT_ONCE):
            x = self.normalised(torch.from_numpy(pixels[start : start + AT_ONCE]))
            pooled = self.pooled(self.model, x)
            made.append(pooled.clamp(-HALF, HALF).nan_to_num(0.0).numpy().astype(np.float16))
        return np.concatenate(made)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Pixels (n, S, S, 3) uint8 as the model wants them, (n, 3, S, S)."""
        x = pixels.permute(0, 3, 1, 2).float() / 255.0
        return (x - self.mean.to(x.device)) / self.deviation.to(x.device)

    def pooled(self, model: Callable[..., Any], x: Tensor) -> Tensor:
        """Mean of the last layer over all places, (n, width), of pictures (n, 3, S, S)."""
        states: Tensor = model(pixel_values=x, **self.options).last_hidden_state
        return states.mean((2, 3)) if states.dim() == 4 else states.mean(1)


def normalisation(folder: Path) -> tuple[Tensor, Tensor]:
    """Mean and deviation (3, 1, 1) of pixels from 0 to 1 that a model's settings name, else one half."""
    said: dict[str, Any] = {}
    if (folder / SETTINGS).is_file():
        said = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    mean, deviation = (said.get(k) or [0.5] * 3 for k in ("image_mean", "image_std"))
    return torch.tensor(mean).view(3, 1, 1), torch.tensor(deviation).view(3, 1, 1)


@lru_cache(maxsize=2)
def load(folder: str, digest: str) -> Network:
    """The network in a folder whose content is `digest`; raises DataError where another one lies there now."""
    found = locate.vision(folder)
    if found.digest != digest:
        rule = "A vision backbone must be the one that the study used"
        fact = f"the model in {folder} is another one ({found.digest[:12]} and not {digest[:12]})"
        raise DataError(Problem(rule, fact, "Put the model back that the study used"))
    return Network(folder)
