"""Text through a transformer: which model, and how much of it is trained. The network itself lives in the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sharewise.errors import DataError, Problem
from sharewise.tables import tags
from sharewise.tables.blocks import Array, BlockEncoder, Shape, to_unit_size
from sharewise.tables.encoders import Rows
from sharewise.tables.schema import InputKind
from sharewise.tables.sentences.transformer import SUBWORDS, SentenceTransformerEncoder
from sharewise.tables.texts import locate
from sharewise.tables.texts.base import FROZEN, Reading, check_train

LEAST_TOKENS = 8
"""Sub-words of a window over a sentence, the tokens that begin and end it included."""


@dataclass(frozen=True)
class Transformer(Reading):
    """A model of the Hugging Face library: a folder, or a name on the hub.

    `train`: none (frozen, its features computed once), all, lora (of `rank`; with `per_task` every task of a model has
    matrices of its own, at a pass each), or the number of its upper layers that are trained. It reads `max_tokens` of
    a text; sentences of tokens that are longer are read in windows of so many, and a word by its first sub-word or
    their mean (`subwords`).
    """

    model: str
    train: str | int = FROZEN
    max_tokens: int = 256
    rank: int = 8
    per_task: bool = False
    subwords: str | None = None

    def check(self) -> None:
        if self.subwords is not None:
            fact = f"it is {self.subwords!r} of a text"
            raise DataError(Problem("'subwords' is for inputs of kind tokens", fact, "Remove it"))
        if self.max_tokens < LEAST_TOKENS:
            rule = f"Of a text at least {LEAST_TOKENS} sub-words are read"
            raise DataError(Problem(rule, f"max_tokens is {self.max_tokens}", "Use a larger one"))
        self._check()

    def check_sentences(self) -> None:
        """As `check`, for sentences of tokens."""
        if self.subwords not in (None, *SUBWORDS):
            fact = f"it is {self.subwords!r}"
            raise DataError(Problem("'subwords' is first or mean", fact, "Correct it, or remove it"))
        if self.max_tokens < LEAST_TOKENS:
            rule = f"A window has at least {LEAST_TOKENS} sub-words"
            raise DataError(Problem(rule, f"max_tokens is {self.max_tokens}", "Use a larger one"))
        self._check()

    def _check(self) -> None:
        backbone, train = locate.backbone(self.model), str(self.train)
        check_train("transformer", train, backbone.layers, self.rank, per_task=self.per_task)
        if train == "lora":
            locate.need("peft", "text")

    def fit(self, name: str, columns: Sequence[tuple[str, pa.ChunkedArray]], rows: Rows) -> TransformerEncoder:
        self.check()
        backbone, train = locate.backbone(self.model), str(self.train)
        tokens = min(self.max_tokens, backbone.positions)
        said = (str(backbone.folder), backbone.digest, backbone.width, tokens, train, self.rank, self.per_task)
        return TransformerEncoder(name, tuple(n for n, _ in columns), *said)

    def fit_sentences(self, name: str, column: pa.ChunkedArray, rows: Rows) -> SentenceTransformerEncoder:
        """The encoder of a column of word lists; nothing is learnt from them but how long they are."""
        self.check_sentences()
        backbone = locate.backbone(self.model)
        most = int(tags.lengths(column).max(initial=1))
        return SentenceTransformerEncoder(
            name,
            (name,),
            model=str(backbone.folder),
            digest=backbone.digest,
            size=backbone.width,
            max_tokens=min(self.max_tokens, backbone.positions),
            train=str(self.train),
            rank=self.rank,
            subwords=self.subwords or SUBWORDS[0],
            length=max(min(most, tags.LONGEST), 1),
            per_task=self.per_task,
        )


@dataclass(frozen=True)
class Embedded(Reading):
    """The sentence model of the extra `embedded` (all-MiniLM-L6-v2, 22 million parameters), without download."""

    train: str | int = FROZEN
    max_tokens: int = 256
    rank: int = 8
    per_task: bool = False
    subwords: str | None = None

    def check(self) -> None:
        self._whole().check()

    def check_sentences(self) -> None:
        """As `check`, for sentences of tokens."""
        self._whole().check_sentences()

    def fit(self, name: str, columns: Sequence[tuple[str, pa.ChunkedArray]], rows: Rows) -> TransformerEncoder:
        return self._whole().fit(name, columns, rows)

    def fit_sentences(self, name: str, column: pa.ChunkedArray, rows: Rows) -> SentenceTransformerEncoder:
        """The encoder of a column of word lists."""
        return self._whole().fit_sentences(name, column, rows)

    def _whole(self) -> Transformer:
        where = str(locate.embedded())
        return Transformer(where, self.train, self.max_tokens, self.rank, self.per_task, self.subwords)


@dataclass(frozen=True)
class TransformerEncoder(BlockEncoder):
    """Frozen: the mean of a text's token vectors (N, width); a pair u, v gives u, v, |u - v|, u v. Trained: its tokens
    (N, max_tokens), 0 for none, else 1 + the token's number + 2^24 times its segment."""

    kind = InputKind.TEXT

    model: str
    digest: str
    size: int
    max_tokens: int
    train: str
    rank: int
    per_task: bool = False

    @property
    def deferred(self) -> bool:
        return True

    @property
    def frozen(self) -> bool:
        """Whether its features are computed once."""
        return self.train == FROZEN

    @property
    def shape(self) -> Shape:
        if not self.frozen:
            return Shape("int32", (self.max_tokens,))
        return Shape("float16", (self.size * (4 if len(self.columns) == 2 else 1),))

    def part(self, sample: Array) -> dict[str, Any]:
        if self.frozen:
            scale = to_unit_size(sample)
            return {"name": "vectors", "block": self.own_block, "n_in": self.shape.cells[0], "scale": scale}
        return {
            "name": "transformer",
            "block": self.own_block,
            "model": self.model,
            "digest": self.digest,
            "n_out": self.size,
            "train": self.train,
            "rank": self.rank,
            "per_task": self.per_task,
        }
