"""Yes-or-no tasks one after another: each reads what the chain says of those before it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from sharewise.batch import Inputs
from sharewise.models.alternative import Alternative, Array, GroupData
from sharewise.models.linear import Linear
from sharewise.models.single import CONFIG, flattened
from sharewise.models.space import OneOf, Space
from sharewise.seeds import derive
from sharewise.tasks import Task, TaskKind, TaskSet

FOLDS = 5
_ORDERS = 8
_FEWEST = 2 * FOLDS
"""Labelled train rows below which no task is cut into folds: later tasks then read its full model's answers."""


class Chain(Alternative):
    """A classifier chain (Read, Pfahringer, Holmes & Frank, Machine Learning 2011) of regularised linear models.

    The k-th task's model reads the inputs and the probabilities that the chain states for the k - 1 tasks before it.
    When it is fitted, a train row's probability is out of fold, from a model that has not seen that row's label (5
    folds), so that it is as good as those it will read when it answers; rows without a label of that task, and
    validation rows, have its full model's. Missing labels therefore break nothing: where tasks share few rows the chain
    is stacking. Trial 0 goes from the most labelled task to the least; later trials draw the order.

    Needs two yes-or-no tasks that read the same inputs. Deterministic: the folds are the same for every seed. Cost: six
    linear models a task; one task's answer takes those before it too.

    Differs from the paper: probabilities instead of labels are read (nested stacking, Senge, del Coz & Hullermeier
    2013), linear models, one chain instead of an ensemble of random ones.
    """

    name: ClassVar[str] = "chain"
    title: ClassVar[str] = "classifier chain of regularised linear models"
    deterministic: ClassVar[bool] = True
    fitted_by_task: ClassVar[bool] = True
    needs: ClassVar[str] = "two or more yes-or-no tasks that read the same inputs and are not declared with 'by'"

    def __init__(self, tasks: Sequence[str], links: Sequence[Linear]) -> None:
        self.tasks, self.links = tuple(tasks), tuple(links)
        """Tasks in the order of the chain, and the model of each."""

    @classmethod
    def groups(cls, tasks: TaskSet) -> list[tuple[str, tuple[str, ...]]]:
        """A chain for all yes-or-no tasks that read the same inputs; tasks of groups of rows are in none."""
        alike: dict[tuple[str, ...], list[str]] = {}
        for task in tasks:
            if task.kind is TaskKind.BINARY and task.where is None:
                alike.setdefault(task.inputs, []).append(task.name)
        found = [tuple(names) for names in alike.values() if len(names) > 1]
        if len(found) == 1:
            return [("chain", found[0])]
        return [(f"chain:{i + 1}", names) for i, names in enumerate(found)]

    @classmethod
    def search_space(cls, trial: int, seed: int) -> dict[str, Any]:
        """The linear model's, and from trial 1 on another order, of eight."""
        return {**Linear.search_space(trial, seed), "order": trial % _ORDERS}

    @classmethod
    def space(cls) -> Space:
        """The linear model's, and orders by number."""
        return {**Linear.space(), "order": OneOf(tuple(range(_ORDERS)))}

    @classmethod
    def seconds(cls, rows: int, width: int, outputs: int) -> float:
        """That of six linear models, for each task."""
        return (FOLDS + 1) * Linear.seconds(rows, width, outputs)

    @classmethod
    def fit_group(cls, tasks: Sequence[Task], data: GroupData, params: Mapping[str, Any], seed: int) -> Self:
        """The links in their order, each fitted to its own labelled rows."""
        strengths = {k: v for k, v in params.items() if k != "order"}
        inputs = flattened(data.inputs)
        order = _order(tasks, data, int(params["order"]))
        links = []
        for task in order:
            values, present = data.values[task.name], data.present[task.name]
            link = Linear.fit(task, inputs, values, present, data.train, data.validation, strengths, 0)
            links.append(link)
            if task is not order[-1]:
                inputs = _with(inputs, _out_of_fold(task, inputs, data, strengths, link))
        return cls([task.name for task in order], links)

    def predict_task(self, inputs: Inputs[Array], task: str) -> Array:
        """The task's probability (N, 1), from the inputs and from those of the tasks before it."""
        inputs = flattened(inputs)
        for name, link in zip(self.tasks, self.links, strict=True):
            answer = link.predict(inputs)
            if name == task:
                return answer
            inputs = _with(inputs, answer)
        raise KeyError(task)

    def to_files(self) -> dict[str, bytes]:
        """`model.json` with every link's own, and the links' arrays."""
        files: dict[str, bytes] = {}
        said = []
        for i, link in enumerate(self.links):
            own = link.to_files()
            said.append(json.loads(own.pop(CONFIG)))
            files |= {f"{i}-{name}": content for name, content in own.items()}
        config = {"kind": self.name, "tasks": list(self.tasks), "links": said}
        return {CONFIG: json.dumps(config, indent=1, ensure_ascii=False).encode() + b"\n", **files}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The model that `to_files` wrote; raises ValueError where the files do not hold one."""
        try:
            config = json.loads(files[CONFIG])
            names, said = [str(t) for t in config["tasks"]], list(config["links"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"'{CONFIG}' of a chain lacks {error}") from error
        if len(names) != len(said):
            raise ValueError(f"a chain of {len(names)} tasks has {len(said)} links")
        links = []
        for i, own in enumerate(said):
            mine = {name.partition("-")[2]: content for name, content in files.items() if name.startswith(f"{i}-")}
            links.append(Linear.from_files({CONFIG: json.dumps(own).encode(), **mine}))
        return cls(names, links)


def _order(tasks: Sequence[Task], data: GroupData, number: int) -> list[Task]:
    """The tasks as a chain: 0 the most labelled first, ties as they stand; else the draw of that number."""
    counts = [int(data.present[task.name][data.train, 0].sum()) for task in tasks]
    if number == 0:
        return [tasks[i] for i in np.argsort([-c for c in counts], kind="stable")]
    return [tasks[i] for i in np.random.default_rng(derive(0, "chain", number)).permutation(len(tasks))]


def folds_of(rows: Array) -> Array:
    """Fold (n,) of each of these rows, all of like size, the same for every seed."""
    return np.random.default_rng(derive(0, "folds")).permutation(len(rows)) % FOLDS


def _out_of_fold(task: Task, inputs: Inputs[Array], data: GroupData, params: Mapping[str, Any], link: Linear) -> Array:
    """Probability (N, 1) of every row by a model that has not seen its label."""
    values, present = data.values[task.name], data.present[task.name]
    said = link.predict(inputs)
    labelled = data.train[present[data.train, 0]]
    if len(labelled) < _FEWEST:
        return said
    fold = folds_of(labelled)
    for k in range(FOLDS):
        without = Linear.fit(task, inputs, values, present, labelled[fold != k], data.validation, params, 0)
        held = labelled[fold == k]
        said[held] = without.predict(inputs.at(held))
    return said


def _with(inputs: Inputs[Array], said: Array) -> Inputs[Array]:
    """The inputs with one more number a row."""
    block = inputs["numeric"] if "numeric" in inputs else np.zeros((len(said), 0), np.float32)
    return Inputs({**inputs.blocks, "numeric": np.concatenate([block, said.astype(block.dtype)], axis=1)})
