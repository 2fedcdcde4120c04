"""A bundle in memory: checked, and answering every task through its route."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import safetensors.numpy

from sharewise.batch import Inputs
from sharewise.bundle import answers as given
from sharewise.bundle import backbones, hierarchy, layout
from sharewise.bundle.answerer import Answerer, Array
from sharewise.bundle.answers import Question
from sharewise.bundle.artifact import Artifact
from sharewise.bundle.routes import Address, Routes
from sharewise.errors import BundleError, DataError, Problem, nearest
from sharewise.models.reading import encode, unread, unread_said
from sharewise.plan import Plan
from sharewise.records import from_json
from sharewise.tables.codec import Codec
from sharewise.tables.read import Table, read
from sharewise.tables.targets import where
from sharewise.tasks import TaskSet

if TYPE_CHECKING:
    from sharewise.tables.read import Source

_PIECE = 16_384
"""Rows that are encoded and answered at a time, so that a table in memory is not held a second time as arrays."""


@dataclass(frozen=True)
class Bundle:
    """What was shipped. `artifacts` are all models it holds, `routes` say which of them answers which task."""

    path: Path
    plan: Plan
    codec: Codec = field(repr=False)
    routes: Routes = field(repr=False)
    artifacts: Mapping[Address, Artifact] = field(repr=False)
    provenance: Mapping[str, Any] = field(repr=False)
    card: str = field(repr=False)
    _answerers: dict[Address, tuple[Answerer, ...]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Check every file and read the bundle; runs no code that the bundle brings.

        Raises BundleError where a file is missing, cut off, damaged or unknown, the format is newer than this
        Sharewise, or the routes lead nowhere. Models are built when they first answer.
        """
        root = Path(path)
        contents = layout.verified(root)
        folders: dict[str, dict[str, bytes]] = {}
        for name, content in contents.items():
            if name.startswith(f"{layout.GROUPS}/"):
                where_, _, file = name.rpartition("/")
                folders.setdefault(where_, {})[file] = content
        artifacts = [Artifact.from_files(files, f"{root}/{name}") for name, files in folders.items()]
        bundle = cls(
            path=root,
            plan=_parsed(contents, layout.PLAN, root, lambda text: from_json(Plan, text)),
            codec=_codec(contents, root),
            routes=_parsed(contents, layout.ROUTES, root, Routes.from_jsonl),
            artifacts={artifact.address: artifact for artifact in artifacts},
            provenance=_parsed(contents, layout.PROVENANCE, root, json.loads),
            card=_parsed(contents, layout.CARD, root, bytes.decode),
        )
        bundle._follow_routes()
        return bundle

    def _follow_routes(self) -> None:
        """Refuse routes that lead to no model, or to one that cannot answer."""
        problems = [
            Problem(
                "Every route leads to a model in the bundle",
                f"that of task '{task}', to group '{address.group}' revision {address.revision}, does not",
                "Save the bundle again",
                file=str(self.path),
            )
            for task, address in self.routes.addresses().items()
            if task not in self.tasks or address not in self.artifacts or task not in self.artifacts[address].tasks
        ]
        if problems:
            raise BundleError(problems)

    # --- what can be asked ----------------------------------------------------------------------------------

    @property
    def tasks(self) -> TaskSet:
        """All tasks of the study, retired ones too."""
        return self.codec.schema.tasks

    @property
    def questions(self) -> dict[str, Question]:
        """What can be asked for by name: tasks that are not retired; a grouped declaration is one question."""
        routed = self.routes.addresses()
        return given.questions(TaskSet(tuple(task for task in self.tasks if task.name in routed)))

    def asked(self, names: Sequence[str] | None) -> list[Question]:
        """The named questions, or all; raises BundleError with every name that is not one."""
        known = self.questions
        if names is None:
            return list(known.values())
        problems = [
            Problem("A task that is asked for must be in the bundle", f"'{name}' is not", nearest(name, known))
            for name in names
            if name not in known
        ]
        if problems:
            raise BundleError(problems)
        return [known[name] for name in dict.fromkeys(names)]

    def columns(self, asked: Sequence[Question]) -> tuple[str, ...]:
        """Table columns that are needed to answer, without the row id."""
        groups = [question.by for question in asked if question.by is not None]
        return tuple(dict.fromkeys([*(i.name for i in self.codec.schema.inputs), *groups]))

    def check_columns(self, names: Collection[str], asked: Sequence[Question], table: str) -> None:
        """Raise DataError that names every column that `names` lacks."""
        missing = [name for name in self.columns(asked) if name not in names]
        if missing:
            shown = ", ".join(f"'{name}'" for name in missing)
            count = "column" if len(missing) == 1 else f"{len(missing)} columns"
            hints = [n for name in missing if (n := nearest(name, names)).startswith("Did")]
            remedy = hints[0] if len(missing) == 1 and hints else "Add them, with empty cells where nothing is known"
            raise DataError(
                Problem("A table must have all inputs of the bundle", f"{table} lacks {count} {shown}", remedy)
            )

    # --- answering ------------------------------------------------------------------------------------------

    def predictions(self, inputs: Inputs[Array], asked: Mapping[str, Array]) -> dict[str, Array]:
        """Prediction (n, W) float32 of each task at its `asked` rows: probabilities, or the original unit; of tags
        (n, L, 2), the codes and their probabilities.

        One forward for each group that answers, over the rows that any of its tasks needs; an ensemble takes one for
        each of its members, whose probabilities, or numbers in the original unit, are averaged.
        """
        by_group: dict[Address, list[str]] = {}
        for task, address in self.routes.addresses().items():
            if task in asked:
                by_group.setdefault(address, []).append(task)
        made: dict[str, Array] = {}
        n = len(next(iter(inputs.blocks.values())))
        for address, tasks in by_group.items():
            answerers = self._of(address)
            for some in [[task] for task in tasks] if answerers[0].task_by_task else [tasks]:
                rows = _union([asked[task] for task in some], n)
                if not len(rows):
                    continue
                part = inputs if len(rows) == n else inputs.at(rows)
                found = [answerer.predict(part, some) for answerer in answerers]
                for task in some:
                    own = asked[task]
                    at = slice(None) if len(own) == len(rows) else np.searchsorted(rows, own)
                    each = [self.codec.inverse(task, prediction[task][at]) for prediction in found]
                    mean = each[0] if len(each) == 1 else np.mean(np.stack(each), axis=0, dtype=np.float64)
                    made[task] = np.asarray(mean, np.float32)
        return made

    def _of(self, address: Address) -> tuple[Answerer, ...]:
        if address not in self._answerers:
            where = f"{self.path}/{layout.folder(address)}"
            self._answerers[address] = self.artifacts[address].answerers(where, self.path)
        return self._answerers[address]

    def encode(self, table: Table, asked: Sequence[Question]) -> Inputs[Array]:
        """The table as the models read it; raises DataError where it lacks an input, or one holds what it must not."""
        self.check_columns(table.names, asked, table.name)
        return encode(self.codec, table)

    def answer(
        self, table: Table, inputs: Inputs[Array], asked: Sequence[Question]
    ) -> list[tuple[Question, Array, Array]]:
        """For every question the prediction (N, W) and which rows have one (N,); `inputs` are the table, encoded.

        A finer task's prediction is its models' own, before its parent is asked (see `answered`).
        """
        everything = np.arange(table.n_rows)
        rows = {
            task.name: everything if task.where is None else np.flatnonzero(where(table, task))
            for question in asked
            for task in question.tasks
        }
        found = self.predictions(inputs, rows)
        by_task = {task: (rows[task], prediction) for task, prediction in found.items()}
        return [(question, *given.gathered(question, table.n_rows, by_task)) for question in asked]

    def answered(self, table: Table, inputs: Inputs[Array], asked: Sequence[Question]) -> list[given.Answered]:
        """What is said to every question: a finer task is answered below its parent, so that they never disagree."""
        names = [question.name for question in asked if question.tasks[0].family is None]
        more = hierarchy.with_parents(self.tasks, names, self.routes.addresses())
        everyone = [*asked, *self.asked(more)] if more else list(asked)
        found = self.answer(table, inputs, everyone)
        single = {q.name: (prediction, known) for q, prediction, known in found if q.tasks[0].family is None}
        below = hierarchy.consistent(self.tasks, single)
        return [given.Answered(q, p, known, below.get(q.name)) for q, p, known in found[: len(asked)]]

    def answer_table(
        self, table: Table, inputs: Inputs[Array], asked: Sequence[Question], taken: Collection[str], *, proba: bool
    ) -> pa.Table:
        """The study's id column where the table has it, then for every question its answer and, with `proba`,
        TASK__proba_CLASS (of tags TASK__proba, a list with the probability of each answered tag), as an Arrow table.

        `taken` are the names that the user's table uses already.
        """
        columns: dict[str, pa.Array | pa.ChunkedArray] = {}
        row_id = self.codec.schema.row_id
        if row_id is not None and row_id in table.names:
            columns[row_id] = table.column(row_id)
        for said in self.answered(table, inputs, asked):
            name = said.question.name
            for cell, values in said.answers().items():
                columns[given.free_name(f"{name}__{cell}" if cell else name, [*columns, *taken])] = values
            sure = said.certainty() if proba else None
            if sure is not None:
                columns[given.free_name(f"{name}__proba", [*columns, *taken])] = sure
            if proba:
                for label, values in said.probabilities().items():
                    columns[given.free_name(f"{name}__proba_{label}", [*columns, *taken])] = values
        return pa.table(columns)

    def predict(self, table: Source, tasks: Sequence[str] | None = None) -> Any:
        """One column per task, in original labels and units, after the study's id column where the table has it.

        It is a frame of the kind that was given; a path gives an Arrow table; a pandas frame keeps its index. A grouped
        declaration is one column, in which each row is answered by its own group's task, and rows of a group never seen
        are missing. A finer task is missing where its parent's answer has no classes below it. Raises DataError where
        the table lacks an input, BundleError for a task that is not in the bundle. Warns of rows whose picture could
        not be read and counts as missing, where the study allowed that (`unreadable: skip`).
        """
        asked = self.asked(tasks)
        read_ = read(table)
        taken = set(read_.names) - {self.codec.schema.row_id or ""}
        pieces = []
        for piece, inputs in self._encoded(read_, asked):
            pieces.append(self.answer_table(piece, inputs, asked, taken, proba=False))
        return _like(table, pa.concat_tables(pieces))

    def predict_proba(self, table: Source, tasks: Sequence[str] | None = None) -> dict[str, Any]:
        """Per task that has classes a frame of the kind that was given, one column of probabilities per class; errors
        and warnings are those of `predict`."""
        asked = [question for question in self.asked(tasks) if question.tasks[0].has_probabilities]
        read_ = read(table)
        pieces: dict[str, list[pa.Table]] = {question.name: [] for question in asked}
        for piece, inputs in self._encoded(read_, asked):
            for said in self.answered(piece, inputs, asked):
                pieces[said.question.name].append(pa.table(said.probabilities()))
        return {name: _like(table, pa.concat_tables(parts)) for name, parts in pieces.items()}

    def _encoded(self, table: Table, asked: Sequence[Question]) -> Iterator[tuple[Table, Inputs[Array]]]:
        """A table in pieces, and the same as the models read them; at the end a warning of what could not be read."""
        gone: dict[str, list[Array]] = {}
        for start in range(0, table.n_rows, _PIECE):
            piece = table.slice(start, _PIECE)
            inputs = self.encode(piece, asked)
            for name, rows in unread(self.codec, piece, inputs).items():
                gone.setdefault(name, []).append(rows)
            yield piece, inputs
        for name, found in gone.items():
            warnings.warn(unread_said(name, np.concatenate(found)), stacklevel=3)


def _codec(contents: Mapping[str, bytes], root: Path) -> Codec:
    """The codec, its fitted arrays, and the networks that it reads with."""
    codec: Codec = _parsed(contents, layout.CODEC, root, lambda text: Codec.from_json(json.loads(text)))
    if layout.ARRAYS in contents:
        arrays = _parsed(contents, layout.ARRAYS, root, safetensors.numpy.load)
        codec = codec.with_arrays(arrays)
    return backbones.relocated(codec, root)


def _parsed(contents: Mapping[str, bytes], name: str, root: Path, parse: Any) -> Any:
    if name not in contents:
        raise BundleError(Problem(f"A bundle holds {name}", f"'{root}' does not", "Save it again"))
    try:
        return parse(contents[name])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fact = f"it is not ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
        raise BundleError(
            Problem(f"{name} must be of its form", fact, "Save the bundle again", file=f"{root}/{name}")
        ) from None


def _union(rows: Sequence[Array], n: int) -> Array:
    if any(len(r) == n for r in rows):
        return np.arange(n)
    return rows[0] if len(rows) == 1 else np.unique(np.concatenate(rows))


def _like(source: Any, answer: pa.Table) -> Any:
    """`answer` as a frame of the kind that `source` is."""
    if isinstance(source, str | Path | pa.Table | pa.RecordBatch | Table):
        return answer
    import narwhals

    frame = narwhals.from_native(source, eager_only=True)
    made = narwhals.from_arrow(answer, backend=frame.implementation).to_native()
    if frame.implementation is narwhals.Implementation.PANDAS:
        made.index = source.index
    return made
