"""Words of sentences through a transformer: sub-words out, vectors of words back, long sentences window by window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from sharewise.models.backbones import opened, text
from sharewise.models.backbones.store import KEY, Array, Store, key, room
from sharewise.tables import tags
from sharewise.tables.blocks import Shape
from sharewise.tables.sentences.transformer import MOST_PIECES, SentenceTransformerEncoder
from sharewise.tables.texts.base import strings
from sharewise.tables.tokens import text_lists

PIECE = 1024
"""Sentences between two writes to the cache: what a kill can cost, and how many are sorted by length at once."""

SEEN_AGAIN = 0.25
"""Share of a window that the next one reads again, so that words at an edge have neighbours on both sides."""

CONTINUED = bytes(KEY)
"""Key of all vectors of a sentence but the last, which has the sentence's own: it counts once it is whole."""

Pieces = Sequence[int]
"""A word's sub-words, at least one."""


@dataclass(frozen=True)
class Window:
    """Words `start` to `stop` of a sentence are read at once, and those from `first` to `last` are taken from it."""

    start: int
    stop: int
    first: int
    last: int


def windows(counts: Sequence[int], capacity: int) -> list[Window]:
    """Windows of at most `capacity` sub-words over words of `counts` sub-words each, none above the capacity.

    Each begins so that about a quarter is seen again; a word that two windows read is taken from the one in whose
    middle it lies more nearly. Every word is taken once. Cost: linear.
    """
    spans: list[tuple[int, int]] = []
    start, n = 0, len(counts)
    while True:
        stop, total = start, 0
        while stop < n and total + counts[stop] <= capacity:
            total += counts[stop]
            stop += 1
        spans.append((start, stop))
        if stop == n:
            break
        # What is read again leaves room for the next word, or nothing would be gained.
        again, left = stop, min(int(SEEN_AGAIN * capacity), capacity - counts[stop])
        while again - 1 > start and counts[again - 1] <= left:
            again -= 1
            left -= counts[again]
        start = again
    cuts = [0, *((begin + end + 1) // 2 for (_, end), (begin, _) in pairwise(spans)), n]
    return [Window(*span, *kept) for span, kept in zip(spans, pairwise(cuts), strict=True)]


class Tokenizer:
    """Words -> sub-words, each word by itself, as the model's tokenizer splits a sentence of given words."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoTokenizer

        # Tokenizers for running text mark a word by the blank before it, which given words have not.
        given: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self._tokenizer: Any = opened.loaded(
            folder,
            "tokenizer of given words",
            lambda: AutoTokenizer.from_pretrained(folder, add_prefix_space=True, **given),
        )
        said = self._tokenizer("x", return_special_tokens_mask=True)
        own = [i for i, special in enumerate(said["special_tokens_mask"]) if not special]
        ids = [int(i) for i in said["input_ids"]]
        self.before, self.after = (ids[: own[0]], ids[own[-1] + 1 :]) if own else (ids, [])
        unknown, padding = self._tokenizer.unk_token_id, self._tokenizer.pad_token_id
        self.padding = 0 if padding is None else int(padding)
        self.nothing = [self.padding if unknown is None else int(unknown)]
        self._known: dict[str, list[int]] = {}

    def capacity(self, max_tokens: int) -> int:
        """Sub-words of a sentence that fit beside the tokens that begin and end it."""
        return max(max_tokens - len(self.before) - len(self.after), 1)

    def pieces(self, words: Sequence[str], most: int) -> list[list[int]]:
        """At most `most` sub-words of each word; one that becomes none is read as the unknown token."""
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        if new:
            said = self._tokenizer([[w] for w in new], is_split_into_words=True, add_special_tokens=False)
            for word, ids in zip(new, said["input_ids"], strict=True):
                self._known[word] = [int(i) for i in ids[:MOST_PIECES]] or self.nothing
        made = [self._known[word][:most] for word in words]
        if len(self._known) > 1_000_000:
            self._known.clear()
        return made


@lru_cache(maxsize=2)
def tokenizer(folder: str, digest: str) -> Tokenizer:
    """The tokenizer of the model in a folder whose content is `digest`; raises DataError as `text.load` does."""
    text.load(folder, digest)
    return Tokenizer(folder)


@dataclass(frozen=True)
class Batch:
    """Windows as one forward pass, and where its vectors go: the word vector `target[i]` of the batch gains
    `weight[i]` times the state `source[i]`, both counted row by row."""

    ids: Tensor
    mask: Tensor
    source: Tensor
    target: Tensor
    weight: Tensor

    @classmethod
    def of(
        cls, chosen: Sequence[tuple[int, Window]], sentences: Sequence[Sequence[Pieces]], how: Tokenizer, subwords: str
    ) -> Batch:
        """Of windows (place of the sentence's first word, window) over `sentences`, which stand beside them."""
        rows: list[list[int]] = []
        cells: list[tuple[int, int, int, float]] = []
        for row, ((base, window), words) in enumerate(zip(chosen, sentences, strict=True)):
            made = list(how.before)
            for w in range(window.start, window.stop):
                n = len(words[w])
                if window.first <= w < window.last:
                    read = 1 if subwords == "first" else n
                    cells += [(row, len(made) + i, base + w, 1.0 / read) for i in range(read)]
                made += words[w]
            rows.append(made + how.after)
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), how.padding)
        mask = torch.zeros_like(ids)
        for row, made in enumerate(rows):
            ids[row, : len(made)] = torch.tensor(made)
            mask[row, : len(made)] = 1
        source = torch.tensor([row * width + place for row, place, _, _ in cells], dtype=torch.long)
        target = torch.tensor([word for _, _, word, _ in cells], dtype=torch.long)
        return cls(ids, mask, source, target, torch.tensor([weight for *_, weight in cells]))

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        cells = (self.ids, self.mask, self.source, self.target, self.weight)
        return Batch(*(cell.to(device) for cell in cells))

    def words(self, states: Tensor, n_words: int) -> Tensor:
        """Vectors (n_words, D) from states (windows, width, D); 0 for words of no window."""
        found = states.flatten(0, 1)[self.source] * self.weight.unsqueeze(1).to(states.dtype)
        return states.new_zeros(n_words, states.shape[-1]).index_add(0, self.target, found)


# --- reading a column -----------------------------------------------------------------------------------------


def read(
    encoder: SentenceTransformerEncoder,
    columns: Sequence[pa.ChunkedArray],
    cache: Path | None,
    advance: Callable[[int], None],
) -> Array:
    """The encoder's block (N, L, ...): word vectors from the cache or computed once a sentence, or sub-words."""
    column = text_lists(columns[0], encoder.name)
    lengths = tags.lengths(column)
    longest = max(int(lengths.max(initial=1)), 1)
    if not encoder.frozen:
        return _pieces(encoder, column, lengths, longest)
    how = f"{encoder.digest[:24]}-{encoder.max_tokens}-words-{encoder.subwords}"
    folder = None if cache is None else cache / "features" / how
    store = Store(folder, encoder.size)
    with store.writing():
        names: list[bytes] = []
        for start in range(0, len(column), PIECE):
            part = column.slice(start, PIECE)
            names += _computed(encoder, part, store)
            advance(len(part))
        everything = store.vectors()
        out = room(folder, encoder.name.encode().hex()[:40], (len(column), longest, 1 + encoder.size))
        for row in np.flatnonzero(lengths):
            end = int(store.rows([names[row]])[0]) + 1
            n = int(lengths[row])
            out[row, :n, 0] = 1
            out[row, :n, 1:] = everything[end - n : end]
    return out


def _sentences(column: pa.ChunkedArray) -> list[list[str]]:
    """The words of every row, cut to as many characters as are read; "" for a word that is missing."""
    values, _, _ = tags.flat(column)
    words = strings(pa.chunked_array([values]), MOST_PIECES * text.CHARACTERS_PER_TOKEN)
    ends = np.concatenate([[0], np.cumsum(tags.lengths(column))])
    return [words[a:b] for a, b in pairwise(ends.tolist())]


def _computed(encoder: SentenceTransformerEncoder, column: pa.ChunkedArray, store: Store) -> list[bytes]:
    """The key of every sentence of a column, each of them in the store when this returns."""
    said = _sentences(column)
    names = [key("".join(f"{len(w)}:{w}" for w in s).encode("utf-8", "surrogatepass")) for s in said]
    new = {name: s for name, s in zip(names, said, strict=True) if s and name not in store}
    if new:
        made = vectors(encoder, list(new.values()))
        keys = [k for name, s in new.items() for k in (*[CONTINUED] * (len(s) - 1), name)]
        store.append(keys, made)
    return names


@torch.no_grad()
def vectors(encoder: SentenceTransformerEncoder, sentences: Sequence[Sequence[str]]) -> Array:
    """Vectors of all words of all sentences, one after the other, (n, width) float16; windows of like length run
    together."""
    network, how = text.load(encoder.model, encoder.digest), tokenizer(encoder.model, encoder.digest)
    capacity = how.capacity(encoder.max_tokens)
    flat = how.pieces([w for s in sentences for w in s], min(MOST_PIECES, capacity))
    bases = np.concatenate([[0], np.cumsum([len(s) for s in sentences])]).tolist()
    todo: list[tuple[int, int, Window]] = []
    for base, end in pairwise(bases):
        counts = [len(p) for p in flat[base:end]]
        todo += [(sum(counts[w.start : w.stop]), base, w) for w in windows(counts, capacity)]
    todo.sort(key=lambda item: -item[0])
    out = np.zeros((len(flat), encoder.size), np.float16)
    at = 0
    while at < len(todo):
        width = todo[at][0] + len(how.before) + len(how.after)
        some = todo[at : at + max(text.TOKENS_AT_ONCE // width, 1)]
        at += len(some)
        chosen = [(base, window) for _, base, window in some]
        batch = Batch.of(chosen, [flat[base : base + w.stop] for base, w in chosen], how, encoder.subwords)
        states = network.states(network.model, batch.ids, torch.zeros_like(batch.ids), batch.mask)
        taken, place = np.unique(batch.target.numpy(), return_inverse=True)
        found = replace(batch, target=torch.from_numpy(place)).words(states, len(taken))
        out[taken] = found.clamp(-text.HALF, text.HALF).nan_to_num(0.0).numpy().astype(np.float16)
    return out


def _pieces(encoder: SentenceTransformerEncoder, column: pa.ChunkedArray, lengths: Array, longest: int) -> Array:
    """Sub-words of each word, (N, longest, P) int32 with P the most there are: 0 for none, else 1 + number."""
    how = tokenizer(encoder.model, encoder.digest)
    most = min(MOST_PIECES, how.capacity(encoder.max_tokens))
    out = Shape("int32", (longest, most)).empty(len(column))
    for start in range(0, len(column), PIECE):
        said = _sentences(column.slice(start, PIECE))
        for row, words in enumerate(said, start):
            for place, ids in enumerate(how.pieces(words, most)):
                out[row, place, : len(ids)] = np.array(ids) + 1
    return out
