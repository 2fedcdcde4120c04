"""One model for all groups of a grouped declaration: boosted trees that read the group as one more input."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np

from sharewise.batch import Inputs
from sharewise.models.alternative import Alternative, Array, GroupData
from sharewise.models.boosted import Boosted
from sharewise.models.single import CONFIG
from sharewise.models.space import Space
from sharewise.tasks import Task, TaskKind, TaskSet

KINDS = (TaskKind.REGRESSION, TaskKind.BINARY, TaskKind.MULTICLASS)


class Pooled(Alternative):
    """LightGBM on the rows of every group of one grouped declaration, with the group's code as a category.

    Numbers are fitted in one unit, their original one (after log1p where that is declared), standardised over all
    groups: f(x, g) instead of f_g(x). With many small groups the pooled rows outweigh what the groups do differently;
    with large ones each group's own model wins. Needs two groups or more of one kind, with equal classes. Cost: one fit
    for all groups.
    """

    name: ClassVar[str] = "pooled"
    title: ClassVar[str] = "LightGBM for all groups, the group among its inputs"
    needs: ClassVar[str] = "a grouped declaration (by:) of one kind, with equal classes, in one unit"

    def __init__(
        self,
        model: Boosted,
        tasks: Sequence[str],
        units: Sequence[tuple[float, float] | None],
        common: tuple[float, float],
    ) -> None:
        self.model, self.tasks, self.units, self.common = model, tuple(tasks), tuple(units), common

    @classmethod
    def groups(cls, tasks: TaskSet) -> list[tuple[str, tuple[str, ...]]]:
        """One group a family."""
        families: dict[str, list[Task]] = {}
        for task in tasks:
            if task.family is not None and task.where is not None:
                families.setdefault(task.family, []).append(task)
        return [(f"pooled:{name}", tuple(t.name for t in found)) for name, found in families.items() if _alike(found)]

    @classmethod
    def search_space(cls, trial: int, seed: int) -> dict[str, Any]:
        """That of LightGBM."""
        return Boosted.search_space(trial, seed)

    @classmethod
    def space(cls) -> Space:
        """That of LightGBM."""
        return Boosted.space()

    @classmethod
    def seconds(cls, rows: int, width: int, outputs: int) -> float:
        """That of LightGBM on all rows."""
        return Boosted.seconds(rows, width + 1, outputs)

    @classmethod
    def fit_group(cls, tasks: Sequence[Task], data: GroupData, params: Mapping[str, Any], seed: int) -> Self:
        """The trees fitted to the rows of all tasks; a row belongs to the one task that it is labelled for."""
        n = len(data.present[tasks[0].name])
        values, present = np.zeros((n, 1), np.float64), np.zeros((n, 1), bool)
        group = np.zeros(n, np.int64)
        units = [data.units[task.name] for task in tasks]
        for code, (task, unit) in enumerate(zip(tasks, units, strict=True), start=1):
            mine = data.present[task.name][:, 0]
            own = data.values[task.name][mine, 0].astype(np.float64)
            values[mine, 0] = own if unit is None else unit[0] * own + unit[1]
            present[mine, 0] = True
            group[mine] = code
        common = (1.0, 0.0)
        if tasks[0].kind is TaskKind.REGRESSION:
            seen = values[data.train][present[data.train]]
            common = (max(float(seen.std()), 1e-12), float(seen.mean()))
            values = np.where(present, (values - common[1]) / common[0], 0.0)
        # Class weights differ by task only through its rows; the first task's stand for all.
        first = replace(tasks[0], name=tasks[0].family or tasks[0].name)
        inputs = _with_group(data.inputs, group)
        model = Boosted.fit(first, inputs, values, present, data.train, data.validation, params, seed)
        return cls(model, [task.name for task in tasks], units, common)

    def predict_task(self, inputs: Inputs[Array], task: str) -> Array:
        """The trees' answer with every row said to be of the task's group, in the task's own unit."""
        number = self.tasks.index(task)
        n = len(next(iter(inputs.blocks.values())))
        answer = self.model.predict(_with_group(inputs, np.full(n, number + 1)))
        unit = self.units[number]
        if unit is None:
            return answer
        original = answer.astype(np.float64) * self.common[0] + self.common[1]
        return np.asarray((original - unit[1]) / unit[0], np.float32)

    def to_files(self) -> dict[str, bytes]:
        """`model.json` and the trees' own files."""
        files = self.model.to_files()
        config = {
            "kind": self.name,
            "tasks": list(self.tasks),
            "units": [None if unit is None else list(unit) for unit in self.units],
            "common": list(self.common),
            "trees": json.loads(files.pop(CONFIG)),
        }
        return {CONFIG: json.dumps(config, indent=1, ensure_ascii=False).encode() + b"\n", **files}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The model that `to_files` wrote; raises ValueError where the files do not hold one."""
        try:
            config = json.loads(files[CONFIG])
            trees = {**files, CONFIG: json.dumps(config["trees"]).encode()}
            units = [None if unit is None else (float(unit[0]), float(unit[1])) for unit in config["units"]]
            common = (float(config["common"][0]), float(config["common"][1]))
            return cls(Boosted.from_files(trees), [str(t) for t in config["tasks"]], units, common)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"'{CONFIG}' of a pooled model lacks {error}") from error


def _alike(tasks: Sequence[Task]) -> bool:
    """Whether one model can answer all of them: one kind, equal classes, a unit that is the same for all."""
    first = tasks[0]
    return (
        len(tasks) > 1
        and first.kind in KINDS
        and all((t.kind, t.classes, t.transform) == (first.kind, first.classes, first.transform) for t in tasks)
        and first.transform != "quantile"
    )


def _with_group(inputs: Inputs[Array], group: Array) -> Inputs[Array]:
    """The inputs with the group's code as the last category."""
    column = group.reshape(-1, 1)
    block = inputs["categorical"] if "categorical" in inputs else np.zeros((len(group), 0), np.int64)
    return Inputs({**inputs.blocks, "categorical": np.concatenate([block, column.astype(block.dtype)], axis=1)})
