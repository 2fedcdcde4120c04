"""`remedy`: what convicted the causes, as a candidate of a new revision of the study."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharewise.causes import Ending, Explanation, Inquiry
from sharewise.errors import DataError, Problem
from sharewise.plan import Plan
from sharewise.records import from_json
from sharewise.study.explain.files import finished
from sharewise.study.explain.scene import Scene, open_scene, still_there
from sharewise.study.explain.verb import FILE, explain
from sharewise.study.file import IN_MEMORY, StudyFile, load
from sharewise.study.lock import held
from sharewise.study.opening import claim, opened
from sharewise.study.progress import Progress, silent
from sharewise.study.result import StudyResult

if TYPE_CHECKING:
    from sharewise.tables.read import Source

NAME = "remedy"
REUSED = ("tune-", "select-")
"""Runs that a revision takes over; its confirmation runs are new."""


@dataclass(frozen=True)
class Prescription:
    """One candidate that applies every remedy: the tasks of each group that still share, and the settings."""

    groups: tuple[tuple[str, ...], ...]
    architecture: dict[str, Any] | None = None
    balance: dict[str, Any] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    text: str = ""

    def candidate(self, name: str) -> dict[str, Any]:
        """As a candidate of a study file."""
        said: dict[str, Any] = {"name": name, "groups": [list(group) for group in self.groups]}
        if self.architecture is not None:
            said["architecture"] = {"name": self.architecture["name"], **self.architecture}
        if self.balance is not None:
            said["balance"] = {key: _flat(value) for key, value in self.balance.items()} or {"weighting": "equal"}
        if self.recipe:
            said["recipe"] = self.recipe
        return said


def _flat(value: Any) -> Any:
    """`{"name", "params"}` as a study file says it."""
    return {"name": value["name"], **value["params"]} if isinstance(value, dict) and "params" in value else value


def prescribe(plan: Plan, explanations: Sequence[Explanation]) -> Prescription | None:
    """One candidate from the convicted causes: splits by task and the largest width and length are joined, a partner
    that was convicted and a task that nothing explains leave their group. None where no task was found harmed.

    Where remedies set one thing differently (two balances), the one that moved its task most is taken.
    """
    ill = [e for e in explanations if e.ending in (Ending.CAUSE, Ending.PART, Ending.NONE) and e.before is not None]
    if not ill:
        return None
    ill.sort(key=_moved)
    apart = {task for e in ill if e.remedy is not None for task in e.remedy.apart}
    apart |= {e.task for e in ill if e.remedy is None}
    architecture: dict[str, Any] | None = None
    balance: dict[str, Any] | None = None
    recipe: dict[str, Any] = {}
    said = []
    for e in ill:
        if e.remedy is None:
            said.append(f"train '{e.task}' apart")
            continue
        said.append(e.remedy.text)
        if e.remedy.architecture is not None:
            architecture = _joined(architecture, e.remedy.architecture)
        if e.remedy.balance is not None:
            balance = e.remedy.balance
        for key, value in (e.remedy.recipe or {}).items():
            recipe[key] = value if isinstance(value, str) else max(value, recipe.get(key, 0))
    groups = tuple(tuple(t for t in g.tasks if t not in apart) for g in plan.groups)
    groups = tuple(g for g in groups if len(g) > 1)
    return Prescription(groups, architecture, balance, recipe, "; ".join(dict.fromkeys(said)))


def _moved(e: Explanation) -> float:
    shift = None if e.convicted is None else e.trials[e.convicted].shift
    return 0.0 if shift is None else shift.effect


def _joined(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    """Two architectures of one kind: the larger width, the splits of both."""
    if one is None or one["name"] != other["name"]:
        return other
    made = {**one, **other}
    if "width" in one and "width" in other:
        made["width"] = max(one["width"], other["width"])
    if isinstance(one.get("split"), dict) and isinstance(other.get("split"), dict):
        made["split"] = {**one["split"], **other["split"]}
    return made


def remedy(
    run: str | Path,
    out: str | Path | None = None,
    *,
    data: Source | None = None,
    workers: int | None = None,
    progress: Progress = silent,
    log: Callable[[str], None] = lambda text: None,
) -> StudyResult | None:
    """Run the next revision of a study, with the candidate that applies what convicted the causes; None where there is
    nothing to remedy.

    What is not yet explained is explained first. The new directory (default: RUN-remedy) takes over the tuning and
    selection runs; the candidate is chosen on validation rows and confirmed with fresh seeds against fresh baselines.
    The test rows are those that the study opened, which its notes say.

    Raises as `explain` and `Study.run` do.
    """
    directory = Path(run)
    finished(directory)
    scene = open_scene(directory)
    found = _explained(scene, data, workers, progress, log)
    made = prescribe(scene.plan(), found.explanations)
    if made is None:
        log(f"No task of '{directory}' was found harmed by sharing: nothing to remedy.")
        return None
    if not made.groups:
        log(f"What would help ({made.text}) leaves nothing to share; the single models that answer now are the remedy.")
        return None
    declared = revised(scene, made)
    target = Path(out) if out is not None else directory.resolve().with_name(f"{directory.resolve().name}-{NAME}")
    log(f"Remedy: {made.text}. A new revision of the study runs in {target}.")
    started = time.time()
    still_there(declared, data)
    session = opened(declared, data, target, workers=workers, progress=progress, log=log)
    with claim(target), held(target, "remedy"):
        session.log = silence
        design, _, _ = session.design()
        session.log = log
        if design.data_hash != scene.summary.data_hash:
            raise DataError(
                Problem(
                    "A remedy is tried on the very table of the study",
                    f"{session.table.name} has changed since",
                    "give the old table with --data, or run the study again",
                )
            )
        design.freeze(target)
        _take_over(directory / "runs", target / "runs")
        findings, summary = session.carry_out(started)
    return StudyResult(target, findings.verdicts, findings.decisions, summary)


def silence(text: str) -> None:
    """What the session says of its table is said once, when it is carried out."""


def _explained(
    scene: Scene, data: Source | None, workers: int | None, progress: Progress, log: Callable[[str], None]
) -> Inquiry:
    """What `explain` found, made now for harmed tasks that it has not been asked about."""
    path = scene.directory / FILE
    if path.exists():
        try:
            found = from_json(Inquiry, path.read_bytes())
        except ValueError:
            found = None
        known = {e.task for e in found.explanations} if found is not None else set()
        if found is not None and found.design_digest == scene.summary.design_digest and known >= set(scene.harmed()):
            return found
    return explain(scene.directory, data=data, workers=workers, progress=progress, log=log)


def revised(scene: Scene, made: Prescription) -> StudyFile:
    """The study file of the next revision."""
    old = load(scene.directory / "study.yaml")
    said = old.to_dict()
    taken = {c.name for c in old.candidates}
    revision = old.revision + 1
    name = NAME if NAME not in taken else f"{NAME} {revision}"
    said["candidates"] = [*said.get("candidates", []), made.candidate(name)]
    said["revision"] = revision
    for key in ("auto_remedy", "out"):
        said.pop(key, None)
    if old.data.path != IN_MEMORY:
        said["data"]["path"] = str(Path(old.data_path).resolve())
    return StudyFile.from_dict(said, file=str(scene.directory / f"{scene.design.name}.yaml"))


def _take_over(source: Path, target: Path) -> None:
    """Link, or copy, finished tuning and selection runs; records last, as each vouches for its predictions."""
    target.mkdir(exist_ok=True)
    files = [p for p in source.iterdir() if p.name.startswith(REUSED) and p.suffix in (".npz", ".json")]
    for path in sorted(files, key=lambda p: p.suffix == ".json"):
        if (target / path.name).exists():
            continue
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copyfile(path, target / path.name)
