"""One run directory from checked table to bundle."""

from __future__ import annotations

import io
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ruamel.yaml import YAML

from sharewise import audit, report
from sharewise.audit import files as audit_files
from sharewise.models.alternatives import DEFAULT as ALTERNATIVES
from sharewise.plan import Group, Plan
from sharewise.records import DataSummary, SetAside, Severity, StudySummary, to_json, write_atomic
from sharewise.study import (
    advise,
    balancing,
    challenge,
    enough,
    judge,
    limits,
    search,
    shareable,
    trials,
)
from sharewise.study import prepare as preparing
from sharewise.study.contest import SPENT
from sharewise.study.cost import costs
from sharewise.study.design import BUDGETS, Budget, Design, Variant, Wanted, build, swept, unfit
from sharewise.study.estimate import Clock, at_most
from sharewise.study.file import IN_MEMORY, StudyFile
from sharewise.study.inputs import reading_of, recipe_for
from sharewise.study.progress import Progress
from sharewise.study.run import Conductor, Findings
from sharewise.study.search_section import SearchSection
from sharewise.study.ship import fallbacks, ship
from sharewise.study.transfer import Transfers, with_transfer
from sharewise.study.tuning import available
from sharewise.study.work import Run
from sharewise.study.workers import Workers, default_workers
from sharewise.tables import targets
from sharewise.tables.prepare import Prepared as Checked
from sharewise.tables.split import Split
from sharewise.tasks import TaskSet

PACKAGES = ("sharewise", "torch", "numpy", "scipy", "scikit-learn", "lightgbm", "pyarrow")

REOPENED = (
    "The confirmation runs have fresh seeds, but an earlier revision of this study has opened the same test rows: "
    "what was chosen in between may have been chosen with them in mind."
)


class Session:
    """A checked table and all that is done with it in one run directory."""

    def __init__(
        self,
        declared: StudyFile,
        checked: Checked,
        directory: Path,
        workers: int | None,
        progress: Progress,
        log: Callable[[str], None],
    ) -> None:
        self.declared, self.table, self.checked, self.directory = declared, checked.table, checked, directory
        self.workers = workers or default_workers()
        self.progress, self.log = progress, log

    def carry_out(self, started: float) -> tuple[Findings, StudySummary]:
        """The whole study, from its design to its report; goes on where an interrupted one stopped."""
        design, prepared, data = self.design()
        said = self.declared.tuning.storage
        if said is not None:
            trials.check(said, self.directory)
        design.freeze(self.directory)
        self._tidy()
        self._keep_study_file()
        write_atomic(self.directory / "data.json", to_json(data))
        audit_files.write(self._audit(prepared), self.directory)
        conductor = Conductor(design, prepared, self.directory, self.log)
        transfers = Transfers(conductor)
        self._announce(design, conductor, transfers)
        storage = None if said is None else trials.opened(said, self.directory)
        with Workers(prepared, self.directory, self.workers) as pool:
            tuning = conductor.plan_units(conductor.tuning())
            with self.progress("tuning", sum(len(u.runs) for u in tuning)) as advance:
                conductor.tune(pool, advance)
            with self.progress("selection", len(conductor.selecting())) as advance:
                selected, singles = conductor.select(pool, advance)
            if design.record.search is not None:
                selected, singles = self._search(conductor, pool, singles)
            runs = self._confirm(conductor, pool, selected, singles)
            if transfers.arms:
                self.log(transfers.announce(self.workers))
                with self.progress("transfer", transfers.n_to_choose) as advance:
                    transfers.choose(pool, advance)
                with self.progress("transfer, confirmation", transfers.n_to_confirm) as advance:
                    runs += transfers.confirm(pool, advance)
        if storage is not None:
            trials.export(conductor, storage)
        findings = conductor.judge(selected, singles, runs)
        if transfers.arms:
            findings = challenge.with_transfers(conductor, findings, transfers)
        if self.declared.ship_ensembles:
            findings = challenge.with_ensembles(conductor, findings)
        conductor.write(findings)
        challenge.write(conductor, findings)
        summary = self._summary(design, conductor, findings, started)
        ship(conductor, findings, data, summary, self.directory / "bundle")
        write_atomic(self.directory / "cost.json", to_json(costs(conductor, findings, self.directory / "bundle")))
        write_atomic(self.directory / "summary.json", to_json(summary))
        report.write(self.directory)
        report.write_decision(self.directory)
        return findings, summary

    def _confirm(
        self, conductor: Conductor, pool: Workers, selected: str | None, singles: dict[str, dict[str, str]]
    ) -> list[Run]:
        """Retrain the chosen plan and its rivals with fresh seeds, more often where run luck leaves a task open."""
        runs: list[Run] = []
        more = conductor.confirmation(selected, singles)
        while more:
            with self.progress("further confirmation" if runs else "confirmation", len(more)) as advance:
                pool.carry_out(conductor.plan_units(more), advance)
            runs += more
            more = enough.further(conductor, selected, singles, runs)
            if more:
                self.log(enough.said(more))
        return runs

    def _search(
        self, conductor: Conductor, pool: Workers, singles: dict[str, dict[str, str]]
    ) -> tuple[str | None, dict[str, dict[str, str]]]:
        """Look for plans, tune each as any candidate before the next is looked for, and select again among all."""
        looking = search.PlanSearch(conductor, self.log)
        with self.progress("search", len(looking.record.groups)) as advance:
            looking.measure(pool, advance, singles)
        while (arm := looking.next_plan()) is not None:
            conductor.design = conductor.design.joined_by((arm,))
            with self.progress(f"tuning '{arm.name}'", len(conductor.tuning([arm]))) as advance:
                conductor.tune(pool, advance, [arm])
        with self.progress("selection", len(conductor.selecting())) as advance:
            return conductor.select(pool, advance, looking.forecasts())

    # --- before the first run -----------------------------------------------------------------------------

    def design(self) -> tuple[Design, preparing.Prepared, DataSummary]:
        """Everything that is settled before anything is trained."""
        declared, table, checked = self.declared, self.table, self.checked
        schema, split = checked.schema, checked.split
        tasks = schema.tasks
        aside = tuple(SetAside(name, reason) for name, reason in checked.set_aside.items())
        helpers = [task.name for task in tasks if task.auxiliary]
        helping = (f"Task '{name}' is auxiliary: it is trained with the others and judged nowhere." for name in helpers)
        for line in (*checked.notes, *helping, *(f"Task '{a.task}' is set aside: it {a.reason}." for a in aside)):
            self.log(line)
        truth = {task.name: targets.raw(table, task) for task in tasks}
        budget = self._budget()
        default = Variant(declared.architecture, balancing.resolved(declared.balance.plain(), tasks))
        recipe = recipe_for(schema, budget.epochs)
        data_hash = preparing.content_hash(table, schema.columns)
        rows = {name: shareable.rows_of(present) for name, (_, present) in truth.items()}
        known = shareable.reads(table, schema.inputs, tasks.tasks, rows)
        limited = self._limits(tasks)
        kept, tied = limited.apart, limited.together
        shared = shareable.together(known, kept, tied)
        most = [] if shared == () else [Wanted("together", shared)]
        wanted = [*most, *self._wanted(tasks, default)]
        named = [(f"candidate '{w.name}'", w.groups or ()) for w in wanted[len(most) :]]
        shareable.check(known, [("'together' of the search", tied)])
        shareable.check(known, named, kept)
        if len(tasks) > 1 and shareable.said(known):
            self.log(shareable.said(known))
        if kept and shared:
            self.log(f"{shareable.meant(shared, tasks.names)}, by what 'apart' says.")
        declared.check_architectures(tasks, checked.set_aside)
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
            revision=declared.revision,
            alternatives=declared.alternatives,
            kept=kept,
        )
        available(declared.tuning.sampler, declared.tuning.pruner, declared.tuning.storage)
        design = replace(design, tuning=declared.tuning.plain())
        # The study.yaml of a run directory names the defaults too.
        for line in unfit(declared.alternatives, design, asked=declared.alternatives != ALTERNATIVES):
            self.log(line)
        labelled = {name: int(present[split.train].any(axis=1).sum()) for name, (_, present) in truth.items()}
        first = shareable.learnt_first(known, kept, tied)
        design = with_transfer(design, declared.transfer, tasks, labelled, self.log, first, kept)
        if shared == ():
            design = replace(design, variants={**design.variants, "together": default})
        searching = search.wanted(declared.search, len(tasks.judged)) and bool(most)
        own = {w.name: w.groups or () for w in wanted[len(most) :]}
        for line in limits.remarks(limited, own, searches=searching):
            self.log(line)
        if searching:
            design = search.with_variants(design)
        fusion = {"fusion": declared.encoders.fusion, "width": declared.encoders.width}
        design = replace(design, reading=reading_of(schema, fusion))
        prepared = preparing.prepare(table, schema, split, design.variants, recipe, fusion, self.progress)
        gone = preparing.unread(prepared)
        for line in gone:
            self.log(line)
        balancing.check(design, prepared)
        if searching:
            apart = shareable.apart(tasks.judged.names, known, kept, tied)
            said = limited.model_copy(update={"apart": apart})
            design = search.with_search(design, said, prepared, search.known_latency(self.directory))
        data = preparing.summarise(table, tasks.judged, schema, split, truth, data_hash, aside, (*checked.notes, *gone))
        return design, prepared, data

    def _limits(self, tasks: TaskSet) -> SearchSection:
        """The search's limits as they stand for the table's tasks; raises ConfigError where they name no such task."""
        families: dict[str, list[str]] = {}
        for task in tasks:
            families.setdefault(task.family or task.name, []).append(task.name)
        said = limits.standing(self.declared.search, self.checked.set_aside, self.log)
        limits.check(said, tasks.names, [task.name for task in tasks if task.auxiliary], families)
        return said

    def _wanted(self, tasks: TaskSet, default: Variant) -> list[Wanted]:
        """The study file's own candidates; a sweep is a family of them."""
        made = []
        for candidate in self.declared.candidates:
            plan = self.declared.plan(candidate, tasks)
            groups = tuple(g.tasks for g in plan.groups if len(g.tasks) > 1 and set(g.tasks) & set(tasks.judged.names))
            if not groups:
                self.log(f"Candidate '{candidate.name}' shares nothing and is left out.")
                continue
            said = None if candidate.balance is None else balancing.resolved(candidate.balance.plain(), tasks)
            own = {k: v for k, v in candidate.recipe.model_dump().items() if v is not None}
            wanted = Wanted(candidate.name, groups, candidate.architecture, said, own)
            if said is not None and "sweep" in said:
                made += swept(wanted, said, default, self.declared.seed, len(tasks))
            else:
                made.append(wanted)
        return made

    def _audit(self, prepared: preparing.Prepared) -> audit.AuditReport:
        """The checks of the quick level; their errors and warnings go to the log."""
        parts, said = prepared.data.parts, self.declared.audit
        split = Split(parts["train"], parts["validation"], parts["test"])
        suppress = [audit.Suppression(s.check, s.reason, s.tasks, s.columns) for s in said.suppress]
        plugins, seed = said.plugins, self.declared.seed
        found = audit.run(
            self.table, prepared.schema, split, suppress=suppress, plugins=plugins, seed=seed, level="quick"
        )
        loud = [f for f in found.findings if f.severity is not Severity.INFO]
        for finding in loud[:8]:
            self.log(f"{finding.severity.value}: {finding.message}")
        if len(loud) > 8:
            self.log(f"and {len(loud) - 8} more findings in audit.json.")
        return found

    def _tidy(self) -> None:
        """Make the folders, and remove what an interrupted run had half written."""
        for name in ("runs", "models"):
            (self.directory / name).mkdir(exist_ok=True)
        for pattern in (".*.*.*", "runs/.*.*.*", "models/*/.*.*.*"):
            for leftover in self.directory.glob(pattern):
                if leftover.is_file():
                    leftover.unlink(missing_ok=True)
        damaged = [path for path in (self.directory / "runs").glob("*.json") if not _whole(path)]
        for path in damaged:
            path.unlink()
        if damaged:
            records = "1 run record is" if len(damaged) == 1 else f"{len(damaged)} run records are"
            self.log(f"{records} damaged: the runs are made again.")

    def _keep_study_file(self) -> None:
        """`study.yaml` with everything that was said, so that the directory describes itself."""
        said = self.declared.to_dict()
        if self.declared.data.path != IN_MEMORY:
            said["data"]["path"] = os.path.relpath(self.declared.data_path, self.directory)
        yaml, text = YAML(typ="safe"), io.StringIO()
        yaml.default_flow_style = False
        yaml.dump(said, text)
        write_atomic(self.directory / "study.yaml", text.getvalue())

    def _budget(self) -> Budget:
        said = self.declared.budget
        base = BUDGETS[said.level]
        return replace(
            base,
            trials=said.trials or base.trials,
            confirmation_runs=said.seeds or base.confirmation_runs,
            most_runs=said.seeds or base.most_runs,
            epochs=said.epochs or base.epochs,
        )

    def _announce(self, design: Design, conductor: Conductor, transfers: Transfers) -> None:
        """Say what will be done before doing it, with a rough time."""
        units, clock = conductor.plan_units(conductor.tuning()), Clock(conductor.prepared, self.directory)
        later = (design.budget.confirmation_runs + design.budget.selection_runs - 1) / max(design.budget.trials, 1)
        spent = SPENT.get(design.tuning.get("pruner", "none"), 1.0)
        tuning = clock.minutes(units, self.workers)
        minutes = tuning * (spent + later) + transfers.minutes(clock, self.workers)
        n = len(design.record.tasks)
        crew = f"{self.workers} worker{'s' if self.workers > 1 else ''}"
        runs = f"at most {design.record.planned_runs} runs"
        apart = "" if design.record.search is None else ", without the search for a plan"
        tasks = f"{n} task{'s' if n > 1 else ''}"
        self.log(f"{tasks}, {len(design.record.arms)} arms, {runs}, {at_most(minutes)} with {crew}{apart}.")
        if design.candidates and design.budget.most_runs > design.budget.confirmation_runs:
            more = tuning * (design.budget.most_runs - design.budget.confirmation_runs) / max(design.budget.trials, 1)
            most = f"up to {design.budget.most_runs} confirmation runs instead of {design.budget.confirmation_runs}"
            runs = f"at most {design.record.further_runs} further runs"
            self.log(f"Tasks that run luck leaves open take {most}: {runs}, {at_most(more)}.")
        if self.declared.auto_remedy:
            self.log("What explains and remedies a harm (auto_remedy) comes on top; it is announced when there is one.")
        power = advise.power(advise.Subject(self.declared, self.checked))
        if design.candidates and power is not None and power.level == "stop":
            # Said before anything is trained: what would do instead of this budget and these rows.
            self.log(f"No verdict can clear a task here. {power.answer}")
        if design.record.search is not None:
            self.log(search.announce(conductor, clock, self.workers))

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
            pooled=findings.pooled,
            gate=judge.no_task_is_harmed(findings.verdicts) if findings.verdicts else None,
            harmed=tuple(judge.harmed(findings.verdicts)),
            fallbacks={decision.task: decision.group for decision in fallbacks(conductor, findings)},
            notes=(*findings.notes, *((REOPENED,) if self.declared.revision else ())),
            promises={name: round(value, 4) for name, value in conductor.promises.items()},
        )


def _whole(path: Path) -> bool:
    """Whether a record can be read, and its predictions are there."""
    try:
        said = json.loads(path.read_bytes())
        return isinstance(said, dict) and (not said.get("predictions") or (path.parent / said["predictions"]).exists())
    except ValueError:
        return False


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found
