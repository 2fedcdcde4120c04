"""One trained group as files: what a bundle stores of it, and how it is made to answer again."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from sharewise.batch import Inputs
from sharewise.bundle.answerer import Answerer, Array
from sharewise.bundle.backbones import at
from sharewise.bundle.layout import MODEL
from sharewise.bundle.routes import Address
from sharewise.errors import BundleError, Problem
from sharewise.models.alternative import Alternative
from sharewise.models.alternatives import CATALOGUE

ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Artifact:
    """A revision of a group, as `model.json` and the files beside it.

    `kind` is "neural", the name of an alternative, or "ensemble": several models whose answers are averaged; `tasks`
    are those it can answer, whoever is routed to it; `model` is what the kind needs besides `files`, JSON-able.
    """

    address: Address
    kind: str
    tasks: tuple[str, ...]
    model: Mapping[str, Any] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def of_single(cls, group: str, task: str, files: Mapping[str, bytes], revision: int = 1) -> Artifact:
        """From the files of an `Alternative` of one task."""
        return cls.of_alternative(group, (task,), files, revision)

    @classmethod
    def of_alternative(
        cls, group: str, tasks: tuple[str, ...], files: Mapping[str, bytes], revision: int = 1
    ) -> Artifact:
        """From the files of an `Alternative` that answers `tasks`."""
        model = json.loads(files[MODEL])
        rest = {name: content for name, content in files.items() if name != MODEL}
        return cls(Address(group, revision), model["kind"], tasks, model, rest)

    @classmethod
    def of_neural(
        cls, group: str, states: Sequence[bytes], revision: int = 1, dropped: Collection[str] = ()
    ) -> Artifact:
        """From the safetensors files of a trained neural group: one for each checkpoint that answers a task.

        Each says in its metadata, under `config`, the architecture, `tasks` in the order of its slots, and which of
        them it `answers`. What is the `dropped` tasks' own is not taken over.
        """
        from sharewise.bundle.neural import described, without

        architecture, tasks, checkpoints, files = described(without(states, dropped) if dropped else states)
        model = {"kind": "neural", "architecture": architecture, "tasks": tasks, "checkpoints": checkpoints}
        answered = {name for checkpoint in checkpoints for name in checkpoint["answers"]}
        return cls(Address(group, revision), "neural", tuple(t for t in tasks if t in answered), model, files)

    @classmethod
    def of_ensemble(cls, group: str, members: Sequence[Artifact], revision: int = 1) -> Artifact:
        """From the models whose answers are averaged, each with files of its own."""
        tasks = tuple(task for task in members[0].tasks if all(task in m.tasks for m in members))
        model = {"kind": ENSEMBLE, "members": [{"kind": m.kind, "model": dict(m.model)} for m in members]}
        files = {f"{i}-{name}": content for i, m in enumerate(members) for name, content in m.files.items()}
        return cls(Address(group, revision), ENSEMBLE, tasks, model, files)

    @property
    def members(self) -> tuple[Artifact, ...]:
        """The models that answer: itself, or those of an ensemble; raises ValueError where an ensemble is not one."""
        if self.kind != ENSEMBLE:
            return (self,)
        said = self.model["members"]
        if not said or any(member["kind"] == ENSEMBLE for member in said):
            raise ValueError("an ensemble holds models, and none of them is an ensemble")
        made = []
        for i, member in enumerate(said):
            mark = f"{i}-"
            own = {name.removeprefix(mark): content for name, content in self.files.items() if name.startswith(mark)}
            made.append(Artifact(self.address, str(member["kind"]), self.tasks, dict(member["model"]), own))
        return tuple(made)

    def to_files(self) -> dict[str, bytes]:
        """All its files, `model.json` among them, which holds the real names."""
        head = {
            "kind": self.kind,
            "group": self.address.group,
            "revision": self.address.revision,
            "tasks": list(self.tasks),
            "model": dict(self.model),
        }
        return {MODEL: (json.dumps(head, indent=1, ensure_ascii=False) + "\n").encode(), **self.files}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], where: str) -> Artifact:
        """What `to_files` wrote; raises BundleError where `model.json` is not one."""
        try:
            said = json.loads(files[MODEL])
            address = Address(str(said["group"]), int(said["revision"]))
            rest = {name: content for name, content in files.items() if name != MODEL}
            return cls(address, str(said["kind"]), tuple(said["tasks"]), dict(said["model"]), rest)
        except (ValueError, KeyError, TypeError) as error:
            raise _broken(where, f"{type(error).__name__}: {error}") from None

    def within(self, root: Path) -> Artifact:
        """The same artifact, networks of others that it builds on being those in the bundle at `root`."""
        if self.kind != "neural":
            return self
        return replace(self, model={**self.model, "architecture": at(self.model["architecture"], root)})

    def answerers(self, where: str, root: Path) -> tuple[Answerer, ...]:
        """The models whose answers are averaged, of most kinds one, in the bundle at `root`; raises BundleError where
        the files do not hold them."""
        try:
            members = self.members
        except (ValueError, KeyError, TypeError) as error:
            raise _broken(where, f"{type(error).__name__}: {error}") from None
        return tuple(member.within(root).answerer(where) for member in members)

    def answerer(self, where: str) -> Answerer:
        """The model itself; raises BundleError where the files do not hold one. Runs no code from the bundle."""
        try:
            if self.kind == "neural":
                from sharewise.bundle.neural import NeuralAnswerer

                return NeuralAnswerer.of(self.model, self.files)
            return AlternativeAnswerer.of(self.kind, self.model, self.files)
        except (ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
            raise _broken(where, f"{type(error).__name__}: {error}") from None


class AlternativeAnswerer(Answerer):
    """Tasks answered by a model of the alternatives' catalogue."""

    task_by_task: ClassVar[bool] = True

    def __init__(self, model: Alternative) -> None:
        self.model = model

    @classmethod
    def of(cls, kind: str, model: Mapping[str, Any], files: Mapping[str, bytes]) -> AlternativeAnswerer:
        """From the model's own files; raises ValueError where they do not hold one."""
        if kind not in CATALOGUE:
            raise ValueError(f"a model of kind '{kind}' is not known here")
        given = {**files, MODEL: json.dumps(dict(model)).encode()}
        return cls(CATALOGUE.load(kind).from_files(given))

    def predict(self, inputs: Inputs[Array], tasks: Sequence[str]) -> dict[str, Array]:
        """The model's prediction of each task."""
        return {task: self.model.answer_task(inputs, task) for task in tasks}


def _broken(where: str, fact: str) -> BundleError:
    return BundleError(
        Problem("A group's files must hold its model", f"those in '{where}' do not ({fact})", "Save the bundle again")
    )
