"""Which encoder reads a study's inputs: the tabular one, or a mixed one where an input has a block of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharewise.batch import Inputs
from sharewise.models.encoders.tabular import quantile_bins
from sharewise.tables import own
from sharewise.tables.codec import Codec
from sharewise.tables.schema import InputKind, Schema
from sharewise.tasks import Task

Rows = NDArray[np.int64]

SCRATCH_STEPS = 300
"""Least steps of a network for pictures or tokens: each costs about ten times a table's, and teaches more."""

SAMPLE = 2000
"""Train rows from which a block's size is measured."""


def encoder_config(codec: Codec, inputs: Inputs[Any], train: Rows, fusion: Mapping[str, Any]) -> dict[str, Any]:
    """The encoder as plain data. A purely tabular table has the encoder `tabular`; else every block of an input's own
    is a part of a `mixed` one, after the tabular part where there is one."""
    common = {"numeric", "categorical", "embedding"} & set(inputs.blocks)
    tabular = _tabular(codec, inputs, train) if common else None
    some = any(task.inputs for task in codec.schema.tasks)
    columns: dict[str, Any] = {"columns": own.places(codec.encoders)} if some else {}
    if not codec.own_blocks:
        return {**(tabular or {"name": "tabular"}), **columns}
    rows = train[:: max(len(train) // SAMPLE, 1)]
    parts = [] if tabular is None else [tabular]
    for number, encoder in enumerate(codec.own_blocks):
        if not encoder.for_network:
            continue
        sample = inputs[encoder.own_block][rows]
        there = inputs["present"][rows, number] != 0
        parts.append({**encoder.part(sample[there]), "present": number})
    words = [part for part in parts if part.get("block", "").startswith("tokens:")]
    for part in words if len(words) > 1 else ():
        # Tags stand beside the tokens of a single input: of several, none is tagged.
        part["per_token"] = False
    return {"name": "mixed", "parts": parts, **fusion, **columns}


def blocks_read(config: Mapping[str, Any]) -> set[str] | None:
    """Names of the blocks that an encoder reads, None for all."""
    if config["name"] != "mixed":
        return None
    own = {part["block"] for part in config["parts"] if "block" in part}
    return own | {"present", "numeric", "categorical", "embedding"}


def seconds_a_row(config: Mapping[str, Any]) -> float:
    """Rough seconds of one step for one row on one core, beyond what a table's row costs."""
    total = 0.0
    for part in config.get("parts", ()):
        if part["name"] == "picture":
            total += 7e-7 * part["side"] ** 2 * part["widths"][0] / 16 * part["depth"]
        elif part["name"] == "tokens":
            total += 5e-4
        elif part["name"] == "token_vectors":
            total += 6e-7 * part["n_in"]
        elif part["name"] in ("transformer", "token_transformer"):
            # Forward and backward of six layers of 12 width^2 weights over some 30 tokens.
            total += 5e-7 * part["n_out"] ** 2
        elif part["name"] == "vision":
            # The same of twelve layers over squares of 16 x 16 pixels.
            total += 3.5e-8 * part["n_out"] ** 2 * max(part["side"] / 16, 1) ** 2
    return total


def seen_by(task: Task, codec: Codec, inputs: Inputs[Any]) -> Inputs[Any]:
    """The inputs that a task reads, the others as if they were missing, for the models that are no networks."""
    if not task.inputs:
        return inputs
    places = own.places(codec.encoders)
    blocks = dict(inputs.blocks)
    for name in ("numeric", "categorical", "embedding", "present"):
        if name in blocks:
            kept = [c for i in task.inputs for c in places[i].get(name, ())]
            blocks[name] = np.zeros_like(inputs[name])
            blocks[name][:, kept] = inputs[name][:, kept]
    for encoder in codec.own_blocks:
        if not {*encoder.columns, encoder.input} & set(task.inputs):
            blocks[encoder.own_block] = np.zeros_like(inputs[encoder.own_block])
    return Inputs(blocks)


def _tabular(codec: Codec, inputs: Inputs[Any], train: Rows) -> dict[str, Any]:
    numeric = inputs.blocks.get("numeric")
    return {
        "name": "tabular",
        "n_numeric": codec.n_numeric,
        "cardinalities": [int(c) for c in codec.cardinalities],
        "n_embedding": codec.n_embedding,
        "embedding_scale": _embedding_scale(inputs, train),
        "bins": [] if numeric is None else quantile_bins(numeric[train]),
    }


def _embedding_scale(inputs: Inputs[Any], train: Rows) -> float:
    """One number that gives the embedding block unit root mean square, from at most 2,000 train rows."""
    if "embedding" not in inputs:
        return 1.0
    rows = train[:: max(len(train) // SAMPLE, 1)]
    square = float(np.mean(inputs["embedding"][rows].astype(np.float64) ** 2))
    return 1.0 / square**0.5 if square > 0 else 1.0


# --- networks that are trained ------------------------------------------------------------------------------

TUNED_EPOCHS = 6
"""Passes over the rows at most where a network that others trained is trained on: it starts near its end."""


def stackable(config: Mapping[str, Any]) -> bool:
    """Whether members of a cohort can be trained in one stack."""
    return not any("digest" in part for part in config.get("parts", ()))


def reading_of(schema: Schema, fusion: Mapping[str, Any]) -> dict[str, Any]:
    """How inputs are read whose kind leaves a choice, as a design keeps it; empty where none does."""
    chosen = {i.name: {"name": i.encoder.name, **i.encoder.params} for i in schema.inputs if i.encoder is not None}
    also = {i.name: [{"name": c.name, **c.params} for c in i.also] for i in schema.inputs if i.also}
    pairs = {i.name: i.pair for i in schema.inputs if i.pair is not None}
    ids = sorted(i.name for i in schema.inputs if i.kind is InputKind.ID)
    if not chosen and not ids:
        return {}
    return {"encoders": chosen, **({"also": also} if also else {}), "pairs": pairs, "ids": ids, **fusion}


def recipe_for(schema: Schema, epochs: int) -> dict[str, Any]:
    """How runs are trained: few passes of small batches where a transformer is trained, else many of larger ones."""
    tuned = any(c.params.get("train", "none") != "none" for i in schema.inputs for c in i.encoders)
    if not tuned:
        scratch = any(i.kind in (InputKind.IMAGE, InputKind.TOKENS) for i in schema.inputs)
        return {"epochs": epochs, "min_steps": SCRATCH_STEPS} if scratch else {"epochs": epochs}
    return {"epochs": min(epochs, TUNED_EPOCHS), "min_steps": 60, "batch_size": 16, "patience": 3}
