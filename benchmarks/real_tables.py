"""The real tables named by SHAREWISE_DATA as (Arrow table, Schema, parts), from the metadata in each file."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tasks import Task, TaskKind, TaskSet


@dataclass(frozen=True)
class Parts:
    """Row positions of the three parts."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def folder() -> Path:
    """The folder of the tables, or exit with a sentence."""
    path = os.environ.get("SHAREWISE_DATA")
    if path is None:
        sys.exit("The real tables must be named; however, SHAREWISE_DATA is not set. Set it to their folder.")
    return Path(path)


def names() -> list[str]:
    """Names of all tables."""
    return sorted(p.stem for p in folder().glob("*.parquet"))


def load(name: str) -> tuple[pa.Table, Schema, Parts | None]:
    """One table with its schema and split."""
    table = pq.read_table(folder() / f"{name}.parquet")
    meta = json.loads(table.schema.metadata[b"mtl"])
    schema = schema_of(meta)
    return table.replace_schema_metadata(None), schema, parts_of(table, schema)


def schema_of(meta: dict) -> Schema:
    """The schema of a table's `mtl` metadata; labels of kind multilabel become one task."""
    inputs = tuple(Input(i["name"], InputKind(i["kind"].split(":")[0])) for i in meta["inputs"])
    tasks, multi = [], []
    for item in meta["tasks"]:
        kind = item["kind"].replace("-", "_")
        if kind == "multilabel":
            multi.append(item["name"])
            continue
        if kind == "multiclass" and item.get("ordered"):
            kind = "ordinal"
        classes = tuple(item.get("classes", ()))
        tasks.append(Task(item["name"], TaskKind(kind), (item["name"],), "auto", classes=classes))
    if multi:
        tasks.append(Task("labels", TaskKind.MULTILABEL, tuple(multi), "auto", classes=tuple(multi)))
    return Schema(inputs, TaskSet(tuple(tasks)), meta["row_id"], meta["split"], meta["time"], meta["group"])


def parts_of(table: pa.Table, schema: Schema) -> Parts | None:
    """The parts of the declared split column."""
    if schema.split is None:
        return None
    values = np.array(table.column(schema.split).to_pylist(), dtype=object)
    return Parts(*(np.flatnonzero(values == p) for p in ("train", "validation", "test")))
