"""Encoders of every input, common blocks or own: fitted, written, and read back from JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from sharewise.tables import images, sentences, texts
from sharewise.tables.blocks import Array, BlockEncoder
from sharewise.tables.encoders import EmbeddingEncoder, Encoder, Rows, encoder_from_json, fit_encoder
from sharewise.tables.ids import IdEncoder
from sharewise.tables.images.backbone import BackboneEncoder
from sharewise.tables.images.native import PictureEncoder
from sharewise.tables.read import Table
from sharewise.tables.schema import Input, InputKind
from sharewise.tables.sentences.transformer import SentenceTransformerEncoder
from sharewise.tables.texts.ngrams import Ngrams, NgramsEncoder
from sharewise.tables.texts.transformer import TransformerEncoder
from sharewise.tables.tokens import AS_WORDS, TokensEncoder

READERS: dict[str, type[BlockEncoder]] = {
    c.__name__: c
    for c in (
        IdEncoder,
        NgramsEncoder,
        TransformerEncoder,
        PictureEncoder,
        BackboneEncoder,
        TokensEncoder,
        SentenceTransformerEncoder,
    )
}
"""Encoders with a block of their own, by the name that `codec.json` holds."""


def fit(table: Table, inputs: Sequence[Input], rows: Rows) -> tuple[Encoder, ...]:
    """An encoder for each input, a pair's two columns becoming one, learnt from the rows `rows`."""
    made: dict[str, Encoder] = {}
    for said in inputs:
        if said.pair is None:
            name, columns = said.name, [(said.name, table.column(said.name))]
        elif said.pair in made:
            continue
        else:
            name, columns = said.pair, [(i.name, table.column(i.name)) for i in inputs if i.pair == said.pair]
        made[name] = encoder = _fitted(said, name, columns, rows, table.folder)
        read = [encoder]
        for number, choice in enumerate(said.also, 2):
            another = f"{name} by {choice.name}"
            another = f"{another}, {number}" if another in made else another
            more = _fitted(replace(said, encoder=choice), another, columns, rows, table.folder)
            read.append(more)
            made[another] = replace(more, alias=name) if isinstance(more, BlockEncoder) else more
        if all(isinstance(e, TransformerEncoder) and not e.frozen for e in read):
            # Trees and linear models cannot read tokens: they get the same text as n-grams.
            aside = f"{name} as n-grams"
            made[aside] = replace(Ngrams().fit(aside, columns, rows).aside_of_network(), alias=name)
        if isinstance(encoder, SentenceTransformerEncoder):
            # Their rivals read the words themselves.
            aside = f"{name}{AS_WORDS}"
            made[aside] = TokensEncoder.fit(name, columns[0][1], rows).aside_of_network(aside)
    return tuple(made.values())


def _fitted(
    said: Input, name: str, columns: Sequence[tuple[str, pa.ChunkedArray]], rows: Rows, folder: Path
) -> Encoder:
    match said.kind:
        case InputKind.TEXT:
            choice = said.encoder or texts.default()
            return texts.CATALOGUE.build(choice.name, **choice.params).fit(name, columns, rows)
        case InputKind.IMAGE:
            choice = said.encoder or images.default()
            return images.CATALOGUE.build(choice.name, **choice.params).fit(name, columns[0][1], rows, folder)
        case InputKind.TOKENS:
            choice = said.encoder or sentences.default()
            return sentences.CATALOGUE.build(choice.name, **choice.params).fit_sentences(name, columns[0][1], rows)
        case InputKind.ID:
            return IdEncoder.fit(name, columns[0][1], rows)
        case _:
            return fit_encoder(said, columns[0][1], rows)


def places(encoders: Sequence[Encoder]) -> dict[str, dict[str, list[int]]]:
    """Input, or pair, to block to the block's columns that come from it; an own block is its column of `present`."""
    made: dict[str, dict[str, list[int]]] = {}
    ends: dict[str, int] = {}

    def take(name: str, block: str, width: int) -> None:
        start = ends.get(block, 0)
        ends[block] = start + width
        if width:
            made.setdefault(name, {}).setdefault(block, []).extend(range(start, start + width))

    for encoder in encoders:
        if isinstance(encoder, BlockEncoder):
            number = ends.get("present", 0)
            ends["present"] = number + 1
            for name in {*encoder.columns, encoder.input} if encoder.for_network else ():
                made.setdefault(name, {}).setdefault("present", []).append(number)
        else:
            take(encoder.name, encoder.block, encoder.width)
    for encoder in encoders:
        # Missing vectors are told by columns after all others of the numeric block.
        if isinstance(encoder, EmbeddingEncoder) and encoder.indicator:
            take(encoder.name, "numeric", 1)
    return made


def columns_of(encoder: Encoder) -> tuple[str, ...]:
    """Columns of the table that an encoder reads."""
    return encoder.columns if isinstance(encoder, BlockEncoder) else (encoder.name,)


def write(encoder: BlockEncoder, piece: Table, rows: Mapping[str, Array], number: int) -> None:
    """Encode a piece into the encoder's own block and its column of `present`."""
    columns = encoder.located([piece.column(name) for name in encoder.columns], piece.folder)
    found = None if encoder.deferred else encoder.read(columns, rows[encoder.own_block])
    rows["present"][:, number] = encoder.present(columns) if found is None else found


def from_json(data: dict[str, Any]) -> Encoder:
    """The encoder that `to_json` wrote; fitted arrays come apart from it."""
    if "reader" not in data:
        return encoder_from_json(data)
    make: Callable[..., BlockEncoder] = READERS[data["reader"]]
    said = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k not in ("kind", "reader")}
    return make(**said)
