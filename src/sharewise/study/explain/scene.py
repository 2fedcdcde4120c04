"""A finished run directory as the inquiry needs it: what was found, how it was trained, and the same table again."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sharewise.causes import Ending, Explanation
from sharewise.errors import ConfigError, DataError, Problem, nearest
from sharewise.plan import Choice, Group, Plan
from sharewise.records import DesignRecord, Outcome, RunRecord, StudySummary, Verdict, from_json
from sharewise.report import words
from sharewise.study.design import Variant
from sharewise.study.explain.bench import Recipe
from sharewise.study.explain.files import finished
from sharewise.study.explain.inquiry import Question, harmed_or_worse
from sharewise.study.file import IN_MEMORY, StudyFile, load
from sharewise.study.opening import opened
from sharewise.study.prepare import Prepared, content_hash
from sharewise.study.space import TUNED, applied

if TYPE_CHECKING:
    from sharewise.tables.read import Source

R = TypeVar("R")


@dataclass(frozen=True)
class Scene:
    """The records of a finished study; `settings` is what `design.json` holds beyond its record."""

    directory: Path
    design: DesignRecord
    settings: dict[str, Any]
    summary: StudySummary
    verdicts: tuple[Verdict, ...]
    isolated: tuple[Verdict, ...]

    @property
    def candidate(self) -> str:
        """The shared candidate that was confirmed."""
        return str(self.summary.selected)

    def plan(self) -> Plan:
        """The groups that shared a model, as the confirmation runs were made."""
        groups: dict[tuple[str, ...], Group] = {}
        for verdict in self.isolated:
            record = self.record(verdict.comparison.candidate_runs[0])
            groups.setdefault(record.tasks, Group(record.group, record.tasks))
        return Plan(self.candidate, tuple(groups.values()))

    def verdict(self, task: str) -> Verdict | None:
        """The verdict on sharing alone, against the same architecture."""
        return next((v for v in self.isolated if v.task == task), None)

    def harmed(self) -> tuple[str, ...]:
        """Tasks that sharing harms, by the verdict against the same architecture alone."""
        return tuple(v.task for v in self.isolated if v.outcome is Outcome.HARM)

    def record(self, run_id: str) -> RunRecord:
        """The record of one of the study's runs."""
        return _read(self.directory / "runs" / f"{run_id}.json", RunRecord)

    def recipe(self, arm: str, run_id: str) -> Recipe:
        """How the runs of an arm were made."""
        record = self.record(run_id)
        # A plan that the study found by itself is built like its first candidate.
        known = self.settings["variants"]
        said = known[next(name for name in (arm, record.arm, "together", "single") if name in known)]
        choice = Choice(said["architecture"]["name"], dict(said["architecture"]["params"]))
        variant = Variant(choice, dict(said["balance"]), dict(said.get("recipe", {})))
        # What the trial varied of the model becomes the variant's own, so that an intervention acts on it.
        tuned = {name: record.params[name] for name in TUNED if name in record.params}
        return Recipe(applied(variant, record.params), record.trial, tuned)

    def questions(self, tasks: Sequence[str]) -> list[Question]:
        """One question for each shared model that some of `tasks` are in."""
        made: dict[tuple[str, ...], Question] = {}
        for task in tasks:
            verdict = self.verdict(task)
            assert verdict is not None
            c = verdict.comparison
            record = self.record(c.candidate_runs[0])
            known = made.get(record.tasks)
            if known is not None:
                made[record.tasks] = replace(known, tasks=(*known.tasks, task))
                continue
            alone = {}
            for partner in record.tasks:
                theirs = self.verdict(partner)
                if theirs is not None:
                    alone[partner] = self.recipe(c.baseline, theirs.comparison.baseline_runs[0])
            made[record.tasks] = Question(
                c.candidate,
                c.baseline,
                Group(record.group, record.tasks),
                self.recipe(c.candidate, c.candidate_runs[0]),
                alone,
                (task,),
            )
        return list(made.values())

    def asked(self, task: str | None) -> tuple[tuple[str, ...], tuple[Explanation, ...]]:
        """The tasks to inquire into, and what is said at once of a task that needs no inquiry.

        Raises ConfigError for a task that is not in the study.
        """
        names = tuple(t.name for t in self.design.tasks)
        if task is None:
            return self.harmed(), ()
        if task not in names:
            raise ConfigError(Problem("A task must be one of the study's", f"'{task}' is not", nearest(task, names)))
        verdict = self.verdict(task)
        if verdict is not None and harmed_or_worse(verdict.comparison):
            return (task,), ()
        return (), (Explanation(task, (), Ending.NOT_HARMED, self._unharmed(task, verdict), None),)

    def _unharmed(self, task: str, isolated: Verdict | None) -> str:
        if isolated is None:
            return f"'{task}' shares no model in '{self.candidate}', so sharing cannot have harmed it."
        c = isolated.comparison
        change = f"{words.change(c.effect, c.scale)} {words.interval(c.low, c.high, c.scale)}"
        against = next((v for v in self.verdicts if v.task == task), None)
        if against is not None and against.outcome is Outcome.HARM:
            return (
                f"It is not sharing that makes '{task}' worse: against the same architecture alone the change is "
                f"{change}; its best single-task model, {against.comparison.baseline}, is of another kind."
            )
        return f"'{task}' is not shown to be harmed by sharing ({change}, {isolated.label}): nothing to explain."


def open_scene(directory: Path) -> Scene:
    """The records of a run directory; raises ConfigError or DataError where they cannot be explained."""
    finished(directory)
    whole = _json(directory / "design.json")
    summary = _read(directory / "summary.json", StudySummary)
    if hashlib.sha256((directory / "design.json").read_bytes()).hexdigest() != summary.design_digest:
        raise _damaged(directory / "design.json")
    if summary.selected is None:
        raise ConfigError(Problem("Only sharing is explained", "this study had nothing to share", ""))
    return Scene(
        directory,
        _read(directory / "design.json", DesignRecord),
        whole["settings"],
        summary,
        _read(directory / "verdicts.json", tuple[Verdict, ...]),
        _read(directory / "isolated.json", tuple[Verdict, ...]),
    )


def prepared_again(scene: Scene, data: Source | None, log: Callable[[str], None]) -> Prepared:
    """The study's table, read, checked and encoded as it was; raises DataError where it has moved or changed."""
    declared = load(scene.directory / "study.yaml")
    still_there(declared, data)
    session = opened(declared, data, scene.directory, log=log)
    if content_hash(session.table, session.checked.schema.columns) != scene.summary.data_hash:
        raise DataError(
            Problem(
                "An explanation needs the very table of the study",
                f"{session.table.name} has changed since the study was run",
                "give the old table with --data, or run the study again",
            )
        )
    design, prepared, _ = session.design()
    if design.split_hash != scene.settings["split_hash"]:
        raise DataError(
            Problem(
                "An explanation needs the very split of the study",
                "the same table is split otherwise than it was",
                "run the study again with this version",
            )
        )
    return prepared


def still_there(declared: StudyFile, data: Source | None) -> None:
    """Raise DataError where a study's table, a file, has moved, or its run directory has."""
    path = os.path.normpath(declared.data_path)
    if data is None and declared.data.path != IN_MEMORY and not glob.has_magic(path) and not Path(path).exists():
        rule, fact = "An explanation needs the very table of the study", f"there is no '{path}'"
        raise DataError(Problem(rule, fact, "give it with --data, wherever it is now"))


def _json(path: Path) -> dict[str, Any]:
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path) from error
    if not isinstance(made, dict):
        raise _damaged(path)
    return made


def _read(path: Path, kind: type[R]) -> R:
    try:
        return from_json(kind, path.read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> DataError:
    return DataError(
        Problem(
            "A run directory holds the records of a whole study",
            f"'{path}' is missing, damaged or of another version",
            "run the study again",
        )
    )
