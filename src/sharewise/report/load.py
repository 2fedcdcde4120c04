"""A run directory read back into records, however far the run has come."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sharewise.causes import Inquiry
from sharewise.errors import DataError, Problem
from sharewise.records import (
    Arm,
    AuditDetails,
    Calibration,
    Challenge,
    Comparison,
    DataSummary,
    Decision,
    DesignRecord,
    Finding,
    GroupingRecord,
    MetricFacts,
    OwnScore,
    PlanCost,
    Role,
    RunRecord,
    Stability,
    StudySummary,
    Verdict,
)

R = TypeVar("R")

FILES = {
    "study.yaml": "the study file with every default filled in",
    "design.json": "tasks, arms, metrics, margins and seeds, frozen before the first run",
    "data.json": "rows, split, labels and their overlap",
    "audit.json": "what the audit found in the data",
    "audit_details.json": "what the audit measured, suppressed and could not compute",
    "runs/": "one record for each trained model",
    "selection.json": "changes on validation rows, by which the plan was chosen",
    "comparisons.json": "changes with their intervals",
    "verdicts.json": "what the evidence says about each task",
    "isolated.json": "the same for sharing alone: against the same architecture trained alone",
    "scores.json": "what each task's best single-task model scores, with an interval of the score",
    "decisions.json": "who answers each task, and why",
    "stability.json": "what each retrain alone would have decided",
    "calibration.json": "how far each model's certainty can be taken at its word",
    "ensembles.json": "the mean of each task's single-task runs, against one run and against the shared model",
    "cost.json": "what the plan costs to train and to run, against single-task models",
    "summary.json": "what was selected, versions, time",
}
"""What a finished run directory holds for a reader, in the order it is written."""

SEARCHED = {
    "plans.json": "the plans that the search found, trained as candidates",
    "grouping.json": "who helps whom, as the search measured it",
}
"""What a run directory holds besides where its design has a search."""

CHALLENGES = "challenges.json"
"""Who else could answer each task; there where the study file asks for transfer or ensembles."""

SIDELINES = (
    *SEARCHED,
    "study.yaml", "audit.json", "audit_details.json", "isolated.json", "selection.json", "scores.json",
    "stability.json", "calibration.json", "ensembles.json", "cost.json",
)  # fmt: skip
"""Files without which the answer still stands."""


@dataclass(frozen=True)
class Missing:
    """A record file that is absent or cannot be read, and what is therefore not shown."""

    file: str
    fact: str


@dataclass(frozen=True)
class StudyRecords:
    """Everything a run directory tells, as records; what is not there yet is None, empty, or in `missing`.

    `digests` holds the SHA-256 of every record file read (run records excepted).
    """

    name: str
    design: DesignRecord | None = None
    data: DataSummary | None = None
    audit: tuple[Finding, ...] = ()
    audit_details: AuditDetails | None = None
    runs: tuple[RunRecord, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    isolated: tuple[Verdict, ...] = ()
    scores: tuple[OwnScore, ...] = ()
    decisions: tuple[Decision, ...] = ()
    selection: tuple[Comparison, ...] = ()
    stability: tuple[Stability, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    ensembles: tuple[Comparison, ...] = ()
    challenges: tuple[Challenge, ...] = ()
    cost: tuple[PlanCost, ...] = ()
    summary: StudySummary | None = None
    grouping: GroupingRecord | None = None
    inquiry: Inquiry | None = None
    study_file: str = ""
    missing: tuple[Missing, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def arms(self) -> dict[str, Arm]:
        """Arms of the design by name."""
        return {} if self.design is None else {arm.name: arm for arm in self.design.arms}

    @cached_property
    def spent(self) -> float:
        """Processor seconds of all runs."""
        return sum(run.seconds for run in self.runs)

    def arm_at(self, name: str) -> str:
        """Where an arm stands: in the design, or among the plans that a search found."""
        found = [arm.name for arm in self.found_arms]
        if name in found:
            return f"plans.json#/{found.index(name)}"
        return f"design.json#/arms/{list(self.arms).index(name)}"

    @cached_property
    def found_arms(self) -> list[Arm]:
        """The plans that a search found, as arms."""
        names = () if self.grouping is None else tuple(plan.name for plan in self.grouping.plans)
        return [arm for name, arm in self.arms.items() if name in names]

    @cached_property
    def metrics(self) -> dict[str, MetricFacts]:
        """Metric facts of the design by name."""
        return {} if self.design is None else {metric.name: metric for metric in self.design.metrics}

    @cached_property
    def confirmed(self) -> str | None:
        """The candidate whose verdicts these are: as the summary says, else as the verdicts do."""
        if self.summary is not None:
            return self.summary.selected
        return next((v.comparison.candidate for v in self.verdicts), None)

    @cached_property
    def alone(self) -> str | None:
        """The arm that trains each task alone with the confirmed candidate's architecture."""
        arm = self.arms.get(self.confirmed or "")
        if arm is not None and arm.alone is not None:
            return arm.alone
        return next((a.name for a in self.arms.values() if a.role is Role.ALONE), None)


def load(run_dir: Path | str) -> StudyRecords:
    """Records of the run directory `run_dir`, finished or not.

    A file that is absent or damaged is named in `missing` and the rest is read. Raises DataError where
    `run_dir` is no directory or holds none of the files.
    """
    path = Path(run_dir)
    if not path.is_dir():
        fact = f"'{path}' is a file" if path.exists() else f"there is no '{path}'"
        raise DataError(
            Problem("A report is made from a run directory", fact, "give the one that `sharewise run` wrote")
        )
    reader = _Reader(path)
    design, found = reader.one("design.json", DesignRecord), None
    if design is not None and design.search is not None:
        design = replace(design, arms=(*design.arms, *reader.many("plans.json", Arm)))
        found = reader.one("grouping.json", GroupingRecord)
    records = StudyRecords(
        name=path.resolve().name,
        design=design,
        grouping=found,
        data=reader.one("data.json", DataSummary),
        audit=reader.many("audit.json", Finding),
        audit_details=reader.one("audit_details.json", AuditDetails),
        runs=reader.runs(),
        comparisons=reader.many("comparisons.json", Comparison),
        verdicts=reader.many("verdicts.json", Verdict),
        isolated=reader.many("isolated.json", Verdict),
        scores=reader.many("scores.json", OwnScore),
        decisions=reader.many("decisions.json", Decision),
        selection=reader.many("selection.json", Comparison),
        stability=reader.many("stability.json", Stability),
        calibration=reader.many("calibration.json", Calibration),
        ensembles=reader.many("ensembles.json", Comparison),
        challenges=reader.many(CHALLENGES, Challenge) if (path / CHALLENGES).exists() else (),
        cost=reader.many("cost.json", PlanCost),
        summary=reader.one("summary.json", StudySummary),
        # Written by `sharewise explain` alone, so that its absence is no gap.
        inquiry=reader.one("explain.json", Inquiry) if (path / "explain.json").exists() else None,
        study_file=reader.text("study.yaml"),
        missing=tuple(sorted(reader.missing, key=_order)),
        digests=reader.digests,
    )
    if not reader.found:
        raise DataError(
            Problem(
                "A run directory holds the records of a study",
                f"'{path}' has none of design.json, verdicts.json, summary.json and the others",
                "give the directory that `sharewise run` wrote",
            )
        )
    return records


def _order(item: Missing) -> int:
    names = list(FILES)
    top = item.file if item.file in FILES else f"{item.file.split('/')[0]}/"
    return names.index(top) if top in names else len(names)


class _Reader:
    """Reads what is there, and remembers what is not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.missing: list[Missing] = []
        self.digests: dict[str, str] = {}
        self.found = False

    def text(self, name: str) -> str:
        """Content of a text file; empty, and named as missing, where it cannot be had."""
        try:
            raw = (self.path / name).read_bytes()
            text = raw.decode()
        except FileNotFoundError:
            self.missing.append(Missing(name, "not written yet"))
        except (OSError, UnicodeDecodeError) as error:
            self.missing.append(Missing(name, f"cannot be read ({_first_line(error)})"))
        else:
            self.digests[name] = hashlib.sha256(raw).hexdigest()
            if not text and name != "study.yaml":
                self.missing.append(Missing(name, "is empty"))
            return text
        return ""

    def one(self, name: str, kind: type[R]) -> R | None:
        """The single record in a file."""
        text = self.text(name)
        return self._parsed(name, kind, text) if text else None

    def many(self, name: str, kind: type[R]) -> tuple[R, ...]:
        """The records listed in a file: all of them or none, so that a count is never of a part."""
        text = self.text(name)
        if not text:
            return ()
        return self._parsed(name, tuple[kind, ...], text) or ()  # type: ignore[valid-type]

    def runs(self) -> tuple[RunRecord, ...]:
        """Every readable run record, by file name."""
        folder = self.path / "runs"
        paths = sorted(folder.glob("*.json"))
        if not paths:
            self.missing.append(Missing("runs/", "no run has ended yet"))
            return ()
        adapter = _adapter(RunRecord)
        found: list[RunRecord] = []
        for path in paths:
            try:
                found.append(adapter.validate_json(path.read_bytes()))
            except (OSError, ValueError) as error:
                self.missing.append(Missing(f"runs/{path.name}", f"cannot be read ({_first_line(error)})"))
        self.found = self.found or bool(found)
        return tuple(found)

    def _parsed(self, name: str, kind: Any, text: str) -> Any:
        try:
            value = _adapter(kind).validate_json(text)
        except ValueError as error:
            self.missing.append(Missing(name, f"does not fit its record ({_first_line(error)})"))
            return None
        self.found = True
        return value


def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _first_line(error: Exception) -> str:
    """What went wrong, short: for a validation error its first place and message."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(p) for p in first["loc"])
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    return str(error).splitlines()[0] if str(error) else type(error).__name__
