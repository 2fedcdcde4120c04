"""What a plan costs to train and to run: the one that ships, and every task by its best single-task model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sharewise.bundle import Address, Bundle, Reroute, Routes
from sharewise.records import Decision, PlanCost, RunRecord, Status, from_json
from sharewise.study.ensemble import ENSEMBLE
from sharewise.study.run import Conductor, Findings
from sharewise.study.ship import fallbacks, members
from sharewise.study.work import read_record
from sharewise.tables.read import Table

MANY = 1000
FEWER = 100
SLOW = 0.2
"""Seconds for one row from which many rows are a hundred, not a thousand."""
PATIENCE = 1.0
"""Seconds after which a measurement is not repeated."""
REPEATS = 5


def costs(conductor: Conductor, findings: Findings, path: Path) -> tuple[PlanCost, ...]:
    """Cost of the plan that ships and, where it differs, of the single-task models alone; measured on `path`'s bundle.

    Latencies are of this process on this machine with nothing else asked of it, of validation rows.
    """
    bundle = Bundle.load(path)
    spare = {decision.task: decision for decision in fallbacks(conductor, findings)}
    alone = [spare.get(decision.task, decision) for decision in findings.decisions]
    plans = {"shipped": list(findings.decisions), "single": alone}
    if not spare or any(d.shared for d in alone):
        plans.pop("single")
    rows = conductor.prepared.data.parts["validation"]
    table = conductor.prepared.table.take(rows[:MANY])
    first = table.slice(0, 1)
    by_plan = {name: _routed(bundle, decisions) for name, decisions in plans.items()}
    one = {name: _median([_seconds(routed, first) for _ in range(REPEATS + 1)][1:]) for name, routed in by_plan.items()}
    many = table if max(one.values()) < SLOW else table.slice(0, FEWER)
    made = []
    for name, decisions in plans.items():
        took = _repeated(lambda routed=by_plan[name]: _seconds(routed, many))  # type: ignore[misc]
        made.append(_cost(name, decisions, conductor, findings, bundle, one[name], took, many.n_rows))
    return tuple(made)


def _cost(
    plan: str,
    decisions: Sequence[Decision],
    conductor: Conductor,
    findings: Findings,
    bundle: Bundle,
    one: float,
    many: float,
    n_many: int,
) -> PlanCost:
    models = {d.group: d for d in decisions}
    runs = [found for d in models.values() for found in _runs(d, conductor, findings)]
    artifacts = [one for group in models for one in bundle.artifacts[Address(group)].members]
    return PlanCost(
        plan=plan,
        n_models=len(artifacts),
        n_neural=sum(one.kind == "neural" for one in artifacts),
        train_seconds=sum(statistics.fmean(r.seconds for r in records) for records in runs)
        + _pretraining(runs, conductor.directory),
        n_parameters=sum(records[0].n_parameters for records in runs),
        n_bytes=sum(len(f) for group in models for f in bundle.artifacts[Address(group)].to_files().values()),
        seconds_one=one,
        seconds_many=many,
        n_many=n_many,
    )


def _pretraining(runs: Sequence[Sequence[RunRecord]], directory: Path) -> float:
    """Mean seconds of what transferred models start from, once for all models that start from the same arm's."""
    sources = {records[0].arm: {str(r.source) for r in records} for records in runs if records[0].source}
    found = [
        [from_json(RunRecord, (directory / "runs" / f"{s}.json").read_bytes()) for s in some]
        for some in sources.values()
    ]
    return sum(statistics.fmean(record.seconds for record in some) for some in found)


def _runs(decision: Decision, conductor: Conductor, findings: Findings) -> list[list[RunRecord]]:
    """Records of the confirmation runs of each model that answers: all runs of one model, or one of each of several."""
    if decision.arm == ENSEMBLE:
        return [[read_record(conductor.directory, run)] for run in members(conductor, findings, decision)]
    runs = findings.confirmation[decision.arm, decision.task]
    records = [read_record(conductor.directory, run) for run in runs]
    return [[record for record in records if record.status is Status.DONE]]


def _routed(bundle: Bundle, decisions: Sequence[Decision]) -> Bundle:
    """The bundle with other routes, its models shared."""
    log = tuple(Reroute(d.task, Address(d.group), "", "") for d in decisions)
    return replace(bundle, routes=Routes(log))


def _seconds(bundle: Bundle, table: Table) -> float:
    asked = bundle.asked(None)
    started = time.perf_counter()
    bundle.answer(table, bundle.encode(table, asked), asked)
    return time.perf_counter() - started


def _repeated(measure: Callable[[], float]) -> float:
    """Median of a few measurements, of fewer where one is slow."""
    found = [measure()]
    while len(found) < REPEATS and sum(found) < PATIENCE:
        found.append(measure())
    return _median(found)


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(values))
