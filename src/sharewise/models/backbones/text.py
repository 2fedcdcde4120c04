"""Texts through a transformer: features of a frozen one, or the tokens for one that is trained."""

from __future__ import annotations

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
from sharewise.tables.texts import locate
from sharewise.tables.texts.base import strings
from sharewise.tables.texts.ngrams import joined
from sharewise.tables.texts.transformer import TransformerEncoder

CHARACTERS_PER_TOKEN = 20
"""Characters of a text that are handed to the tokenizer, for each token that the model reads."""

PIECE = 4096
"""Texts between two writes to the cache: what a kill can cost, and how many are sorted by length at once."""

TOKENS_AT_ONCE = 4096
"""Tokens of one forward pass, padding included."""

HALF = 65504.0
SEGMENT = 1 << 24


def read(
    encoder: TransformerEncoder,
    columns: Sequence[pa.ChunkedArray],
    cache: Path | None,
    advance: Callable[[int], None],
) -> Array:
    """The encoder's block (N, ...): features from the cache or computed once a text, or tokens."""
    longest = encoder.max_tokens * CHARACTERS_PER_TOKEN
    if not encoder.frozen:
        return tokens(encoder, [strings(column, longest) for column in columns])
    n = len(columns[0])
    folder = None if cache is None else cache / "features" / f"{encoder.digest[:24]}-{encoder.max_tokens}"
    store = Store(folder, encoder.size)
    with store.writing():
        names = [_computed(encoder, column, store, longest, advance) for column in columns]
        everything = store.vectors()
        out = room(folder, encoder.name.encode().hex()[:40], (n, *encoder.shape.cells))
        for start in range(0, n, PIECE):
            parts = [everything[store.rows(found[start : start + PIECE])] for found in names]
            made = joined(parts) if len(parts) == 1 else joined([p.astype(np.float32) for p in parts])
            out[start : start + PIECE] = made
    return out


def _computed(
    encoder: TransformerEncoder, column: pa.ChunkedArray, store: Store, longest: int, advance: Callable[[int], None]
) -> list[bytes]:
    """The key of every text of a column, each of them in the store when this returns."""
    names: list[bytes] = []
    for start in range(0, len(column), PIECE):
        texts = strings(column.slice(start, PIECE), longest)
        found = [key(text.encode("utf-8", "surrogatepass")) for text in texts]
        new = {name: text for name, text in zip(found, texts, strict=True) if name not in store}
        if new:
            network = load(encoder.model, encoder.digest)
            store.append(list(new), network.features(list(new.values()), encoder.max_tokens))
        names += found
        advance(len(texts))
    return names


class Network:
    """A transformer and its tokenizer, in evaluation mode."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoTokenizer

        given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        whole: Any = opened.network(folder, "text encoder")
        # An encoder and decoder in one reads texts with its encoder.
        two = getattr(whole.config, "is_encoder_decoder", False)
        self.model: nn.Module = whole.get_encoder() if two else whole
        self.tokenizer: Any = opened.loaded(
            folder, "text encoder", lambda: AutoTokenizer.from_pretrained(folder, **given)
        )
        self.model.requires_grad_(False)

    @torch.no_grad()
    def features(self, texts: Sequence[str], max_tokens: int) -> Array:
        """Mean of the last layer's token vectors, (n, width) float16; texts of like length run together."""
        coded = self.coded([list(texts)], max_tokens)
        order = sorted(range(len(texts)), key=lambda i: -len(coded[i][0]))
        out: Array | None = None
        at = 0
        while at < len(order):
            longest = max(len(coded[order[at]][0]), 1)
            chosen = order[at : at + max(TOKENS_AT_ONCE // longest, 1)]
            ids, segments, mask = self._padded([coded[i] for i in chosen], longest)
            made = mean_pooled(self.states(self.model, ids, segments, mask), mask)
            if out is None:
                out = np.zeros((len(texts), made.shape[-1]), np.float16)
            out[chosen] = made.clamp(-HALF, HALF).nan_to_num(0.0).numpy().astype(np.float16)
            at += len(chosen)
        return np.zeros((0, 1), np.float16) if out is None else out

    def coded(self, columns: Sequence[list[str]], max_tokens: int) -> list[tuple[list[int], list[int]]]:
        """Token numbers and segments of each text, or of each pair of texts as one."""
        said = self.tokenizer(*columns, truncation=True, max_length=max_tokens, return_attention_mask=False)
        ids: list[list[int]] = said["input_ids"]
        segments = said.get("token_type_ids") or [[0] * len(i) for i in ids]
        return list(zip(ids, segments, strict=True))

    @property
    def padding(self) -> int:
        """The token number that fills up a batch."""
        number = self.tokenizer.pad_token_id
        return 0 if number is None else int(number)

    def _padded(self, coded: Sequence[tuple[list[int], list[int]]], longest: int) -> tuple[Tensor, Tensor, Tensor]:
        ids = torch.full((len(coded), longest), self.padding)
        segments, mask = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, (numbers, kinds) in enumerate(coded):
            ids[row, : len(numbers)] = torch.tensor(numbers, dtype=torch.long)
            segments[row, : len(kinds)] = torch.tensor(kinds, dtype=torch.long)
            mask[row, : len(numbers)] = 1
        return ids, segments, mask

    def states(self, model: Callable[..., Any], ids: Tensor, segments: Tensor, mask: Tensor) -> Tensor:
        """Token vectors (n, L, width) of the last layer."""
        given = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in self.tokenizer.model_input_names:
            given["token_type_ids"] = segments
        made: Tensor = model(**given).last_hidden_state
        return made


def mean_pooled(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over a text's tokens, (n, width), from token vectors (n, L, width) and who is one (n, L)."""
    weight = mask.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1).clamp(min=1.0)


@lru_cache(maxsize=2)
def load(folder: str, digest: str) -> Network:
    """The network in a folder whose content is `digest`; raises DataError where another one lies there now."""
    found = locate.backbone(folder)
    if found.digest != digest:
        raise DataError(
            Problem(
                "A text encoder must be the one that the study used",
                f"the model in {folder} is another one ({found.digest[:12]} and not {digest[:12]})",
                "Put the model back that the study used",
            )
        )
    return Network(folder)


def tokens(encoder: TransformerEncoder, columns: Sequence[list[str]]) -> Array:
    """Tokens of each text, (N, max_tokens) int32: 0 for none, else 1 + number + 2^24 times segment."""
    network = load(encoder.model, encoder.digest)
    out = np.zeros((len(columns[0]), encoder.max_tokens), np.int32)
    for start in range(0, len(out), PIECE):
        piece = [column[start : start + PIECE] for column in columns]
        for row, (ids, segments) in enumerate(network.coded(piece, encoder.max_tokens)):
            out[start + row, : len(ids)] = 1 + np.array(ids, np.int32) + SEGMENT * np.array(segments, np.int32)
    return out
