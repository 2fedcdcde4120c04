"""A study from declaration to shipped bundle."""

from __future__ import annotations

import platform
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharewise import audit
from sharewise.audit import files as audit_files
from sharewise.errors import ConfigError, Problem
from sharewise.plan import Choice, Group, Plan
from sharewise.records import (
    DataSummary,
    Decision,
    SetAside,
    Severity,
    StudySummary,
    Verdict,
    to_json,
    write_atomic,
)
from sharewise.study import prepare as preparing
from sharewise.study.design import BUDGETS, Budget, Design, Variant, Wanted, build
from sharewise.study.file import StudyFile, load
from sharewise.study.progress import Progress, silent
from sharewise.study.run import Conductor, Findings
from sharewise.study.sections import BudgetSection
from sharewise.study.workers import Workers, default_workers
from sharewise.tables import targets
from sharewise.tables.prepare import prepare as check_table
from sharewise.tables.read import Table, read
from sharewise.tables.split import Split

if TYPE_CHECKING:
    from sharewise.tables.read import Source

PACKAGES = ("sharewise", "torch", "numpy", "scipy", "scikit-learn", "lightgbm", "pyarrow")


@dataclass(frozen=True)
class StudyResult:
    """What a finished study left in its directory."""

    directory: Path
    verdicts: tuple[Verdict, ...]
    decisions: tuple[Decision, ...]
    summary: StudySummary

    @property
    def bundle(self) -> Path:
        """The shipped bundle."""
        return self.directory / "bundle"

    @property
    def report(self) -> Path:
        """The report."""
        return self.directory / "report.html"


class Study:
    """Which of these tasks should share a model?

    `data` is a path (file, folder, glob) or a pandas, polars or pyarrow table; `tasks` are names or mappings as in a
    study file, and every other key of the study file is a keyword of the same name.

    Raises ConfigError with every problem of the declaration, DataError with every problem of the table.
    """

    def __init__(
        self,
        data: Source,
        tasks: Sequence[str | Mapping[str, Any]],
        *,
        split: str | Mapping[str, Any] | None = None,
        inputs: Sequence[str | Mapping[str, Any]] | None = None,
        candidates: Sequence[Mapping[str, Any]] = (),
        architecture: str | Mapping[str, Any] = "hard",
        balance: Mapping[str, Any] | None = None,
        budget: str | Mapping[str, Any] = "standard",
        seed: int = 0,
        roles: Mapping[str, str] | None = None,
    ) -> None:
        in_memory = not isinstance(data, str | Path)
        where = "in memory" if in_memory else str(data)
        said: dict[str, Any] = {
            "data": {"path": where, **(roles or {})},
            "tasks": [*tasks],
            "architecture": architecture,
            "budget": budget,
            "seed": seed,
        }
        optional = {"split": split, "inputs": inputs, "candidates": [*candidates] or None, "balance": balance}
        said |= {key: value for key, value in optional.items() if value is not None}
        self.declared = StudyFile.from_dict(said)
        self._source: Source = data

    @classmethod
    def from_file(cls, path: str | Path, *, budget: str | None = None) -> Study:
        """The study that a YAML file declares, with another level of budget where one is given."""
        declared = load(path)
        if budget is not None:
            declared = declared.model_copy(update={"budget": BudgetSection.model_validate(budget)})
        made = cls.__new__(cls)
        made.declared, made._source = declared, declared.data_path
        return made

    def run(
        self,
        out: str | Path | None = None,
        *,
        workers: int | None = None,
        progress: Progress = silent,
        log: Callable[[str], None] = lambda text: None,
    ) -> StudyResult:
        """Carry the study out in the directory `out`, going on where an earlier run of the same design stopped.

        Raises UserError for what the user can mend, SharewiseError where training cannot go on.
        """
        started = time.time()
        directory = Path(out or self.declared.out or "runs/study")
        table = read(self._source)
        session = Session(self.declared, table, directory, workers, progress, log)
        return session.carry_out(started)


class Session:
    """One call of `Study.run`."""

    def __init__(
        self,
        declared: StudyFile,
        table: Table,
        directory: Path,
        workers: int | None,
        progress: Progress,
        log: Callable[[str], None],
    ) -> None:
        self.declared, self.table, self.directory = declared, table, directory
        self.workers = workers or default_workers()
        self.progress, self.log = progress, log

    def carry_out(self, started: float) -> StudyResult:
        design, prepared, data = self.design()
        _claim(self.directory)
        design.freeze(self.directory)
        self._keep_study_file()
        write_atomic(self.directory / "data.json", to_json(data))
        audit_files.write(self._audit(prepared), self.directory)
        conductor = Conductor(design, prepared, self.directory, self.log)
        self._announce(design, conductor)
        with Workers(prepared, self.directory, self.workers) as pool:
            tuning = conductor.plan_units(conductor.tuning())
            with self.progress("tuning", sum(len(u.runs) for u in tuning)) as advance:
                conductor.tune(pool, advance)
            with self.progress("selection", None) as advance:
                selected, singles = conductor.select(pool, advance)
            runs = conductor.confirmation(selected, singles)
            with self.progress("confirmation", len(runs)) as advance:
                pool.carry_out(conductor.plan_units(runs), advance)
        findings = conductor.judge(selected, singles, runs)
        conductor.write(findings)
        summary = self._summary(design, conductor, findings, started)
        self._ship(conductor, findings, data, summary)
        write_atomic(self.directory / "summary.json", to_json(summary))
        from sharewise import report

        report.write(self.directory)
        return StudyResult(self.directory, findings.verdicts, findings.decisions, summary)

    # --- before the first run -----------------------------------------------------------------------------

    def design(self) -> tuple[Design, preparing.Prepared, DataSummary]:
        """Everything that is settled before anything is trained."""
        declared, table = self.declared, self.table
        checked = check_table(table, declared.declaration(table), declared.split_spec(), declared.seed)
        schema, split = checked.schema, checked.split
        tasks = schema.tasks
        aside = tuple(SetAside(name, reason) for name, reason in checked.set_aside.items())
        for line in (*checked.notes, *(f"Task '{a.task}' is set aside: it {a.reason}." for a in aside)):
            self.log(line)
        truth = {task.name: targets.raw(table, task) for task in tasks}
        budget = self._budget()
        default = Variant(declared.architecture, _balance(declared.balance))
        recipe = {"epochs": budget.epochs}
        data_hash = preparing.content_hash(table, schema.columns)
        wanted = [Wanted("together", None)]
        for candidate in declared.candidates:
            plan = declared.plan(candidate, tasks)
            groups = tuple(g.tasks for g in plan.groups if len(g.tasks) > 1)
            if not groups:
                self.log(f"Candidate '{candidate.name}' shares nothing and is left out.")
                continue
            balance = None if candidate.balance is None else _balance(candidate.balance)
            wanted.append(Wanted(candidate.name, groups, candidate.architecture, balance))
        design = build(
            name=Path(declared.file).stem if declared.file else "study",
            tasks=tasks,
            budget=budget,
            seed=declared.seed,
            default=default,
            wanted=tuple(wanted),
            recipe=recipe,
            data_hash=data_hash,
            split_hash=preparing.split_hash(split),
            prefer_fewer_models=False,
            describe={"lightgbm": "LightGBM", "linear": "regularised linear model"},
        )
        prepared = preparing.prepare(table, schema, split, design.variants, recipe)
        data = preparing.summarise(table, tasks, schema, split, truth, data_hash, aside, checked.notes)
        return design, prepared, data

    def _audit(self, prepared: preparing.Prepared) -> audit.AuditReport:
        """The checks of the quick level; their errors and warnings go to the log."""
        parts = prepared.data.parts
        said = self.declared.audit
        found = audit.run(
            self.table,
            prepared.schema,
            Split(parts["train"], parts["validation"], parts["test"]),
            suppress=[audit.Suppression(s.check, s.reason, s.tasks, s.columns) for s in said.suppress],
            plugins=said.plugins,
            seed=self.declared.seed,
            level="quick",
        )
        loud = [f for f in found.findings if f.severity is not Severity.INFO]
        for finding in loud[:8]:
            self.log(f"{finding.severity.value}: {finding.message}")
        if len(loud) > 8:
            self.log(f"and {len(loud) - 8} more findings in audit.json.")
        return found

    def _keep_study_file(self) -> None:
        """`study.yaml` with everything that was said, so that the directory describes itself."""
        import io

        from ruamel.yaml import YAML

        yaml, text = YAML(typ="safe"), io.StringIO()
        yaml.default_flow_style = False
        yaml.dump(self.declared.to_dict(), text)
        write_atomic(self.directory / "study.yaml", text.getvalue())

    def _budget(self) -> Budget:
        said = self.declared.budget
        base = BUDGETS[said.level]
        return replace(
            base,
            trials=said.trials or base.trials,
            confirmation_runs=said.seeds or base.confirmation_runs,
            epochs=said.epochs or base.epochs,
        )

    def _announce(self, design: Design, conductor: Conductor) -> None:
        """Say what will be done before doing it, with a rough time."""
        units = conductor.plan_units(conductor.tuning())
        tuning = sum(unit.cost for unit in units)
        share = (design.budget.confirmation_runs + design.budget.selection_runs - 1) / max(design.budget.trials, 1)
        minutes = tuning * (1 + share) / max(min(self.workers, len(units)), 1) / 60
        n = len(design.record.tasks)
        about = "under a minute" if minutes < 1 else f"about {minutes:.0f} minute{'s' if minutes >= 1.5 else ''}"
        crew = f"{self.workers} worker{'s' if self.workers > 1 else ''}"
        runs = f"at most {design.record.planned_runs} runs"
        self.log(f"{n} task{'s' if n > 1 else ''}, {len(design.record.arms)} arms, {runs}, {about} with {crew}.")

    # --- after the last run -------------------------------------------------------------------------------

    def _summary(self, design: Design, conductor: Conductor, findings: Findings, started: float) -> StudySummary:
        records = [*(self.directory / "runs").glob("*.json")]
        shipped: dict[str, list[str]] = {}
        for decision in findings.decisions:
            shipped.setdefault(decision.group, []).append(decision.task)
        plan = Plan("shipped", tuple(Group(name, tuple(tasks)) for name, tasks in shipped.items()))
        return StudySummary(
            selected=findings.selected,
            selection_reason=findings.reason,
            plan=plan,
            design_digest=design.digest,
            data_hash=design.data_hash,
            versions=_versions(),
            platform=platform.platform(),
            device="cpu",
            workers=self.workers,
            threads=1,
            n_runs=len(records),
            n_diverged=sum(b'"diverged"' in path.read_bytes() for path in records),
            seconds=time.time() - started,
            started=datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            bundle="bundle",
            notes=findings.notes,
        )

    def _ship(self, conductor: Conductor, findings: Findings, data: DataSummary, summary: StudySummary) -> None:
        from sharewise.study.ship import ship

        ship(conductor, findings, data, summary, self.directory / "bundle")


def _claim(directory: Path) -> None:
    """Make the run directory; raises ConfigError where something else is there."""
    if directory.exists() and not directory.is_dir():
        raise ConfigError(Problem("A run needs a directory", f"{directory} is a file", "choose another --out"))
    if directory.is_dir() and any(directory.iterdir()) and not (directory / "design.json").exists():
        raise ConfigError(
            Problem(
                "A run needs an empty directory or one of its own",
                f"{directory} holds other files",
                "choose another --out",
            )
        )
    (directory / "runs").mkdir(parents=True, exist_ok=True)
    for leftover in (directory / "runs").glob(".*"):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(directory / ".bundle", ignore_errors=True)


def _balance(section: Any) -> dict[str, Any]:
    """A balance section as plain data; equal weights are nothing said."""
    made = {
        key: asdict(choice)
        for key in ("scaling", "weighting", "aggregator")
        if (choice := getattr(section, key)) is not None
    }
    return {} if made == {"weighting": asdict(Choice("equal"))} else made


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found
