"""From a study file and its table to arrays that every run reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sharewise.batch import Inputs, Targets
from sharewise.records import ClassCounts, DataSummary, PartCounts, SetAside, TargetSpread, TaskData
from sharewise.tables import tags
from sharewise.tables.codec import Codec
from sharewise.tables.read import Table
from sharewise.tables.schema import Schema
from sharewise.tables.split import Split
from sharewise.tasks import Task, TaskKind, TaskSet

if TYPE_CHECKING:
    from sharewise.balance.choose import Balance
    from sharewise.models.reading import Progress
    from sharewise.study.design import Variant
    from sharewise.training.data import TrainingData

Array = NDArray[Any]


@dataclass
class Prepared:
    """What every worker holds: the encoded table, the truth, and how to build and score models.

    Made once, before workers start; on systems that fork, they share its memory.
    """

    tasks: TaskSet
    schema: Schema
    codec: Codec
    inputs: Inputs[Array]
    targets: Targets[Array]
    data: TrainingData
    encoder: dict[str, Any]
    recipe: dict[str, Any]
    variants: dict[str, Variant]
    table: Table
    clusters: Array | None
    _truth: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    def numbers(self, names: Sequence[str]) -> list[int]:
        """Positions of the named tasks."""
        return [self.tasks.index(name) for name in names]

    def rows_of(self, task: str, part: str) -> Array:
        """Row numbers of a part that are labelled for a task."""
        return self.data.rows_of(self.tasks.index(task), part)

    def truth(self, task: str, part: str) -> tuple[Array, Array]:
        """Truth and present cells (n, K) of the labelled rows of a part, in original units."""
        if task not in self._truth:
            self._truth[task] = self.codec.truth(self.table, task)
        values, present = self._truth[task]
        rows = self.rows_of(task, part)
        return values[rows], present[rows]

    def clusters_of(self, task: str, part: str) -> Array | None:
        """Entity of each labelled row, where rows of one entity count once."""
        return None if self.clusters is None else self.clusters[self.rows_of(task, part)]

    def balance(self, variant: Variant, n_tasks: int) -> Balance:
        """A new balance for one cohort. A model of one task has nothing to balance but which rows it sees."""
        from sharewise.balance import choose

        said = variant.balance
        return choose.build(said if n_tasks > 1 else {k: said[k] for k in ("sampler",) if k in said})


def prepare(
    table: Table,
    schema: Schema,
    split: Split,
    variants: dict[str, Variant],
    recipe: dict[str, Any],
    fusion: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Fit the codec on train rows and encode the whole table; `fusion` are the parameters of a mixed encoder."""
    from sharewise.models.backbones.store import cache_folder
    from sharewise.models.reading import encode
    from sharewise.study.inputs import blocks_read, encoder_config
    from sharewise.training.data import TrainingData

    codec = Codec.fit(table, schema, split.train)
    inputs = tags.shortened(encode(codec, table, cache_folder(), progress))
    targets = codec.targets(table)
    encoder = encoder_config(codec, inputs, split.train, fusion or {})
    wanted = blocks_read(encoder)
    read = Inputs({name: b for name, b in inputs.blocks.items() if wanted is None or name in wanted})
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    clusters = None
    if schema.entity is not None:
        codes = table.column(schema.entity).combine_chunks().dictionary_encode()
        clusters = cast(Array, codes.indices.fill_null(-1).to_numpy(zero_copy_only=False)).astype(np.int64)
    return Prepared(
        tasks=schema.tasks,
        schema=schema,
        codec=codec,
        inputs=inputs,
        targets=targets,
        data=TrainingData.of(schema.tasks, read, targets, parts),
        encoder=encoder,
        recipe=recipe,
        variants=variants,
        table=table,
        clusters=clusters,
    )


def unread(prepared: Prepared) -> tuple[str, ...]:
    """A sentence for each input with pictures that the study file allows to be skipped."""
    from sharewise.models import reading

    found = reading.unread(prepared.codec, prepared.table, prepared.inputs)
    return tuple(reading.unread_said(name, rows) for name, rows in found.items())


# --- what the table holds ---------------------------------------------------------------------------------


def content_hash(table: Table, columns: Sequence[str]) -> str:
    """SHA-256 of the columns a study reads, whatever file format they came from."""
    digest = hashlib.sha256()

    class _Sink:
        closed = False

        def write(self, data: Any) -> int:
            digest.update(data)
            return len(data)

        def flush(self) -> None: ...

        def close(self) -> None: ...

    chosen = table.arrow.select(list(columns)).replace_schema_metadata(None)
    with pa.ipc.new_stream(pa.PythonFile(_Sink(), mode="w"), chosen.schema) as writer:
        # One batch length, so that the same cells hash alike however the file was chunked.
        for batch in chosen.combine_chunks().to_batches(max_chunksize=65_536):
            writer.write_batch(batch)
    return digest.hexdigest()


def split_hash(split: Split) -> str:
    """SHA-256 of which rows are in which part."""
    digest = hashlib.sha256()
    for part in (split.train, split.validation, split.test):
        digest.update(np.ascontiguousarray(part, dtype=np.int64).tobytes())
        digest.update(b"|")
    return digest.hexdigest()


def summarise(
    table: Table,
    tasks: TaskSet,
    schema: Schema,
    split: Split,
    truth: Mapping[str, tuple[Array, Array]],
    data_hash: str,
    set_aside: tuple[SetAside, ...],
    notes: tuple[str, ...],
) -> DataSummary:
    """`data.json`: rows, labels and overlaps as the study saw them. `truth` holds all rows of every task."""
    parts = (split.train, split.validation, split.test)
    labelled = np.stack([truth[name][1].any(axis=1) for name in tasks.names], axis=1)
    as_float = labelled.astype(np.float32)
    overlap = np.rint(as_float.T @ as_float).astype(np.int64)
    kinds: dict[str, int] = {}
    for item in schema.inputs:
        kinds[item.kind.value] = kinds.get(item.kind.value, 0) + 1
    return DataSummary(
        source=table.name,
        data_hash=data_hash,
        n_rows=table.n_rows,
        n_unlabelled=int((~labelled.any(axis=1)).sum()),
        rows=_counts(len(p) for p in parts),
        split=" ".join(split.notes),
        inputs=kinds,
        tasks=tuple(_task_data(task, *truth[task.name], parts) for task in tasks),
        overlap=tuple(tuple(int(v) for v in row) for row in overlap) if len(tasks) <= 60 else (),
        set_aside=set_aside,
        n_entities=None if schema.entity is None else len(table.column(schema.entity).unique()),
        notes=notes,
    )


def _counts(values: Any) -> PartCounts:
    train, validation, test = values
    return PartCounts(int(train), int(validation), int(test))


MOST_CLASSES = 30
"""Classes whose rows are on record: the most frequent."""


def _task_data(task: Task, values: Array, present: Array, parts: Sequence[Array]) -> TaskData:
    rows: Array = np.asarray(present.any(axis=1))
    labelled = _counts(rows[p].sum() for p in parts)
    if task.kind in (TaskKind.REGRESSION, TaskKind.RECONSTRUCTION):
        train = parts[0]
        seen = values[train][present[train]]
        spread = None
        if len(seen):
            five = (seen.mean(), seen.std(), seen.min(), np.median(seen), seen.max())
            spread = TargetSpread(*(float(v) for v in five))
        return TaskData(task.name, labelled, spread=spread)
    n = len(task.classes)
    if task.kind is TaskKind.MULTILABEL:
        found = [(present[p] & (values[p] > 0.5)).sum(axis=0) for p in parts]
    else:
        found = [np.bincount(values[p][present[p]].astype(np.int64), minlength=n) for p in parts]
    # Of tags, all: they are told as shares of one another.
    kept = n if task.kind is TaskKind.TOKEN_TAGGING else MOST_CLASSES
    often = np.sort(np.argsort(-np.sum(found, axis=0), kind="stable")[:kept])
    counts = tuple(ClassCounts(str(task.classes[i]), _counts(part[i] for part in found)) for i in often)
    return TaskData(task.name, labelled, n, counts)
