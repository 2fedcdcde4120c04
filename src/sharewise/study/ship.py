"""What earned its place, as a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sharewise.bundle import Address, Artifact, Reroute, Routes, drift_reference, model_card, save
from sharewise.plan import Group, Plan
from sharewise.records import DataSummary, Decision, Status, StudySummary, plain
from sharewise.study.ensemble import ENSEMBLE
from sharewise.study.run import Conductor, Findings
from sharewise.study.work import Run, read_record


def ship(conductor: Conductor, findings: Findings, data: DataSummary, summary: StudySummary, path: Path) -> None:
    """Write the bundle: one model for every group that answers a task, and each task's route with its reason.

    Of an arm's confirmation runs the one that did best on validation rows ships, of an ensemble all. The best
    single-task model of every task that shares ships too and answers nothing: it is what the task is routed back to
    when it regresses.
    """
    prepared, design = conductor.prepared, conductor.design
    chosen: dict[str, list[Run]] = {}
    for decision in findings.decisions:
        chosen.setdefault(decision.group, members(conductor, findings, decision))
    back = fallbacks(conductor, findings)
    spare = {one.group: members(conductor, findings, one) for one in back if one.group not in chosen}
    auxiliary = [task.name for task in prepared.tasks if task.auxiliary]
    codec = prepared.codec.less(auxiliary)
    plan = Plan("shipped", tuple(_answered(name, findings) for name in chosen))
    routes = [_route(decision, chosen[decision.group], summary.finished) for decision in findings.decisions]
    provenance = {
        "data": {"source": data.source, "sha256": design.data_hash, "split_sha256": design.split_hash},
        "design": {"sha256": design.digest, "name": design.record.name, "budget": design.record.budget},
        "runs": {
            group: _told(runs[0]) if len(runs) == 1 else {"runs": [_told(run) for run in runs]}
            for group, runs in {**chosen, **spare}.items()
        },
        "fallbacks": {one.task: one.group for one in back},
        "versions": summary.versions,
        "finished": summary.finished,
    }
    save(
        path,
        plan=plan,
        codec=codec,
        artifacts=[_artifact(name, runs, conductor.directory, auxiliary) for name, runs in {**chosen, **spare}.items()],
        routes=Routes(tuple(routes)),
        provenance=plain(provenance),
        card=model_card(
            codec.schema, design.record, data, findings.verdicts, findings.decisions, summary, findings.challenges
        ),
        reference=drift_reference(prepared.table, codec.schema, prepared.data.parts["train"]),
        overwrite=True,
    )


def members(conductor: Conductor, findings: Findings, decision: Decision) -> list[Run]:
    """The confirmation runs that answer a task: the best of its arm, or all that an ensemble averages."""
    if decision.arm != ENSEMBLE:
        return [conductor.shipped_run(decision, findings)]
    runs = findings.confirmation[findings.singles[decision.task], decision.task]
    return [run for run in runs if read_record(conductor.directory, run).status is Status.DONE]


def _told(run: Run) -> dict[str, object]:
    """A run as provenance keeps it, with what it started from where it did not start afresh."""
    started = {} if run.source is None else {"source": run.source}
    return {"run": run.run_id, "seed": run.seed, "params": run.params, **started}


def fallbacks(conductor: Conductor, findings: Findings) -> list[Decision]:
    """Who answers each task that shares, or that a challenger took over, when it is routed back to its own model."""
    return [
        Decision(d.task, arm, conductor.home(arm, d.task), False, None, None, "the task's best single-task model")
        for d in findings.decisions
        if d.arm != findings.singles[d.task] and findings.confirmation.get((arm := findings.singles[d.task], d.task))
    ]


def _answered(group: str, findings: Findings) -> Group:
    """A group with the tasks that it answers: a plan is a partition, while a task that went back to its single model
    is also trained in the shared one."""
    return Group(group, tuple(d.task for d in findings.decisions if d.group == group))


def _route(decision: Decision, runs: Sequence[Run], when: str) -> Reroute:
    evidence = {
        **({"run": runs[0].run_id} if len(runs) == 1 else {"runs": [run.run_id for run in runs]}),
        "arm": decision.arm,
        "probability_harm": decision.probability_harm,
        "expected_gain": decision.expected_gain,
    }
    return Reroute(decision.task, Address(decision.group, 1), decision.reason, when, plain(evidence))


def _artifact(group: str, runs: Sequence[Run], directory: Path, auxiliary: Sequence[str]) -> Artifact:
    made = [_model(group, run, directory, auxiliary) for run in runs]
    return made[0] if len(made) == 1 else Artifact.of_ensemble(group, made)


def _model(group: str, run: Run, directory: Path, auxiliary: Sequence[str]) -> Artifact:
    """What a run left, without what is the auxiliary tasks' own."""
    where = directory / "models" / run.run_id
    files = {path.name: path.read_bytes() for path in sorted(where.iterdir())}
    if run.kind != "neural":
        return Artifact.of_alternative(group, run.group.tasks, files)
    states = [files[name] for name in sorted(files, key=lambda n: int(n.partition(".")[0]))]
    return Artifact.of_neural(group, states, dropped=[name for name in auxiliary if name in run.group.tasks])
