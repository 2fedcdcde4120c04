"""Made-up studies that look like real ones: records of any number of tasks with chosen outcomes, and their files."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from sharewise.plan import Plan
from sharewise.records import (
    Arm,
    AuditDetails,
    BalanceRecord,
    Calibration,
    ClassCounts,
    Comparison,
    Curve,
    DataSummary,
    Decision,
    DesignRecord,
    FailedCheck,
    Finding,
    Gate,
    MetricFacts,
    NotComputable,
    Outcome,
    OwnScore,
    PartCounts,
    Phase,
    PlanCost,
    PooledEffect,
    Receipt,
    Role,
    RunRecord,
    SetAside,
    Severity,
    Stability,
    Status,
    StudySummary,
    Suppressed,
    Suppression,
    TargetSpread,
    TaskData,
    Verdict,
    to_json,
)
from sharewise.report.load import StudyRecords
from sharewise.tasks import Task, TaskKind

METRICS = (
    MetricFacts("auroc", "AUROC", True, "ratio"),
    MetricFacts("accuracy", "accuracy", True, "points"),
    MetricFacts("rmse", "RMSE", False, "log_ratio"),
)
SEEDS = 5
TRIALS = 4


@dataclass(frozen=True)
class Made:
    """A task to make up: its kind, single-task score, true change when shared, half-width of its interval, and the
    shares of rows that carry a label."""

    name: str
    kind: TaskKind = TaskKind.BINARY
    score: float = 0.8
    effect: float = 0.0
    half: float = 0.015
    labelled: float = 1.0
    share: bool | None = None
    best: str = "lightgbm"
    family: str | None = None
    primary: bool = False


FOUR = (
    Made("malignant", score=0.951, effect=0.021, half=0.013, primary=True, best="single"),
    Made("grade", TaskKind.MULTICLASS, 0.842, 0.004, 0.016, 0.55, best="single"),
    Made("area", TaskKind.REGRESSION, 41.3, -0.31, 0.12, 0.7),
    Made("texture_high", score=0.713, effect=-0.006, half=0.052, labelled=0.38),
)
TWELVE = (
    Made("NR-AR", score=0.785, effect=0.034, half=0.022),
    Made("NR-AR-LBD", score=0.842, effect=0.041, half=0.028, labelled=0.86),
    Made("NR-AhR", score=0.883, effect=0.006, half=0.014, labelled=0.84, best="single"),
    Made("NR-Aromatase", score=0.81, effect=-0.012, half=0.031, labelled=0.74),
    Made("NR-ER", score=0.718, effect=-0.061, half=0.024, labelled=0.79),
    Made("NR-ER-LBD", score=0.806, effect=0.002, half=0.041, labelled=0.89),
    Made("NR-PPAR-gamma", score=0.775, effect=-0.009, half=0.088, labelled=0.82),
    Made("SR-ARE", score=0.801, effect=-0.034, half=0.011, labelled=0.74),
    Made("SR-ATAD5", score=0.822, effect=-0.014, half=0.027, labelled=0.9),
    Made("SR-HSE", score=0.752, effect=-0.019, half=0.036, labelled=0.82),
    Made("SR-MMP", score=0.887, effect=-0.008, half=0.0075, labelled=0.74, share=False),
    Made("SR-p53", score=0.82, effect=-0.024, half=0.033, labelled=0.86, best="linear"),
)
HOSTILE = (
    Made('<script>alert("x")</script>', effect=0.03),
    Made("a\"b'c & <img src=x onerror=alert(1)>", TaskKind.REGRESSION, 12.0, 0.04),
    Made("</svg></style><svg onload=alert(2)>", effect=-0.08),
    Made("{{ 7*7 }}{% raw %}[red]bold[/red]"),
    Made("\x1b[31mred\x1b[0m\u202eevil\nline"),
    Made("данные_Größe_数据_" + "long" * 12),
)


def school(n: int = 139) -> tuple[Made, ...]:
    """A grouped declaration of `n` tasks whose effects spread around a small gain."""
    luck = random.Random(3)
    return tuple(
        Made(
            f"exam_score[school={i + 1}]", TaskKind.REGRESSION, luck.uniform(9, 12), luck.gauss(0.018, 0.025),
            0.008 + 0.05 * luck.random() ** 2, 1 / n, family="exam_score",
        )
        for i in range(n)
    )  # fmt: skip


def study(
    made: Sequence[Made], name: str = "trial", n_rows: int = 2400, aside: Sequence[SetAside] = (), light: bool = False
) -> StudyRecords:
    """The records of a finished study of the tasks `made`; `light` leaves tuning and selection runs out."""
    luck = random.Random(f"{name}{len(made)}")
    tasks = tuple(_task(m) for m in made)
    design = _design(name, tasks)
    runs = _runs(made, design, luck, light)
    if len(made) == 1:
        return _lone(made[0], design, runs, n_rows, luck)
    pairs = [_comparison(m, luck) for m in made]
    verdicts = tuple(_verdict(c) for c in pairs)
    alone = tuple(
        replace(
            c, baseline="single", baseline_score=c.baseline_score * (1 - luck.gauss(0, 0.004)), effect=c.effect + 0.01,
            low=c.low + 0.009, high=c.high + 0.011, baseline_runs=tuple(_ids("single", m.name)),
        )
        for c, m in zip(pairs, made, strict=True)
        if c.baseline != "single"
    )  # fmt: skip
    decisions = tuple(_decision(m, v) for m, v in zip(made, verdicts, strict=True))
    shared = tuple(d.task for d in decisions if d.shared)
    plan = Plan.of("together", [shared] if shared else [], [t.name for t in tasks])
    return StudyRecords(
        name=f"runs-{name}",
        design=design,
        data=_data(name, made, n_rows, luck, aside),
        audit=_findings(made),
        audit_details=audit_details([m.name for m in made]),
        runs=runs,
        comparisons=(*pairs, *alone),
        verdicts=verdicts,
        isolated=tuple(_verdict(c) for c in (*alone, *(c for c in pairs if c.baseline == "single"))),
        scores=tuple(_own(c) for c in pairs),
        decisions=decisions,
        selection=pairs_seen(pairs),
        stability=_stability(verdicts, decisions),
        calibration=_calibration(made, decisions, luck),
        ensembles=_ensembles(pairs),
        cost=_cost(decisions),
        summary=replace(_summary(design, plan, runs, verdicts, decisions), promises=_promises(pairs)),
        study_file=f"name: {name}\ndata: {name}.parquet  # <b>not bold</b>\ntasks:\n"
        + "".join(f"  - {t.name!r}\n" for t in tasks),
    )


def _lone(
    made: Made, design: DesignRecord, runs: tuple[RunRecord, ...], n_rows: int, luck: random.Random
) -> StudyRecords:
    """A study of one task: nothing to share, nothing to compare."""
    reason = "There is one task only, so there is nothing to share."
    runs = tuple(run for run in runs if run.arm != "together")
    plan = Plan.single_task([made.name])
    return StudyRecords(
        name="runs-one",
        design=replace(design, arms=design.arms[1:]),
        data=_data(design.name, [made], n_rows, luck, ()),
        runs=runs,
        decisions=(Decision(made.name, made.best, f"single:{made.name}", False, None, None, reason),),
        summary=replace(_summary(design, plan, runs, (), ()), selected=None, selection_reason=reason),
        study_file="name: one\n",
    )


def _own(c: Comparison) -> OwnScore:
    """The baseline's own score, give or take a tenth."""
    b = c.baseline_score
    return OwnScore(c.task, c.metric, c.baseline, b, 0.9 * b, 1.1 * b, c.n_rows, c.baseline_runs, c.baseline_run_scores)


def interrupted(records: StudyRecords, runs: int) -> StudyRecords:
    """The same study, killed after its first `runs` runs."""
    return replace(
        records, runs=records.runs[:runs], comparisons=(), verdicts=(), isolated=(), scores=(), decisions=(),
        selection=(), stability=(), calibration=(), ensembles=(), cost=(), summary=None,
    )  # fmt: skip


def write(records: StudyRecords, path: Path) -> Path:
    """The run directory of `records` at `path`; what the records lack is not written."""
    (path / "runs").mkdir(parents=True)
    (path / "study.yaml").write_text(records.study_file, encoding="utf-8")
    for run in records.runs:
        (path / "runs" / f"{run.run_id}.json").write_text(to_json(run), encoding="utf-8")
    named = {
        "design.json": records.design, "data.json": records.data, "audit.json": records.audit,
        "audit_details.json": records.audit_details,
        "comparisons.json": records.comparisons, "verdicts.json": records.verdicts, "isolated.json": records.isolated,
        "decisions.json": records.decisions, "selection.json": records.selection, "stability.json": records.stability,
        "calibration.json": records.calibration, "ensembles.json": records.ensembles, "cost.json": records.cost,
        "scores.json": records.scores, "summary.json": records.summary,
    }  # fmt: skip
    for file, value in named.items():
        if value is not None and (value or file == "audit.json" or records.summary is not None):
            (path / file).write_text(to_json(value), encoding="utf-8")
    return path


def _task(m: Made) -> Task:
    metric = {TaskKind.BINARY: "auroc", TaskKind.MULTICLASS: "accuracy", TaskKind.REGRESSION: "rmse"}[m.kind]
    classes = {TaskKind.BINARY: ("no", "yes"), TaskKind.MULTICLASS: ("low", "mid", "high")}.get(m.kind, ())
    return Task(m.name, m.kind, (m.name,), metric, 0.02, classes, primary=m.primary, family=m.family)


def _design(name: str, tasks: Sequence[Task]) -> DesignRecord:
    names = [task.name for task in tasks]
    single = Plan.single_task(names)
    arms = (
        Arm(
            "together",
            Role.CANDIDATE,
            Plan.all_together(names),
            "hard sharing, 3 layers of 256",
            TRIALS,
            "single",
            "equal",
        ),
        Arm("single", Role.ALONE, single, "hard sharing, 3 layers of 256", TRIALS),
        Arm("lightgbm", Role.ALTERNATIVE, single, "LightGBM", TRIALS),
        Arm("linear", Role.ALTERNATIVE, single, "regularised linear model", TRIALS),
    )
    groups = 1 + 3 * len(names)
    planned = groups * (TRIALS + 3 + SEEDS)
    return DesignRecord(name, "quick", tuple(tasks), METRICS, arms, 0, TRIALS, 3, SEEDS, planned, version="0.1.0")


def _comparison(m: Made, luck: random.Random) -> Comparison:
    metric = next(f for f in METRICS if f.name == _task(m).metric)
    scale = "points" if metric.effect == "points" else "relative"
    sign = 1 if metric.bigger_is_better else -1
    if metric.effect == "points":
        candidate = m.score + sign * m.effect
    elif metric.effect == "log_ratio":
        candidate = m.score * math.exp(sign * m.effect)
    else:
        candidate = m.score * (1 + sign * m.effect)
    sd = 0.004 * m.score
    noise = [luck.gauss(0, sd) for _ in range(2 * SEEDS)]
    base = [m.score + e for e in noise[:SEEDS]]
    cand = [candidate + e for e in noise[SEEDS:]]
    var = (m.half / 1.9) ** 2
    return Comparison(
        m.name, metric.name, scale, m.best, "together", m.score, candidate,
        m.effect, m.effect - m.half, m.effect + m.half,
        0.02, 12.3, 0.6 * var, 0.2 * var, 0.2 * var, max(int(480 * m.labelled), 4), SEEDS, SEEDS,
        tuple(_ids(m.best, m.name)), tuple(_ids("together", "together")), tuple(base), tuple(cand),
    )  # fmt: skip


def _ids(arm: str, group: str) -> list[str]:
    safe = "".join(c if c.isalnum() else "_" for c in group)
    return [f"confirm-{arm}-{safe}-s{s}" for s in range(SEEDS)]


def _verdict(c: Comparison) -> Verdict:
    if c.high < -c.margin:
        return Verdict(c.task, Outcome.HARM, "harm", c)
    if c.low > -c.margin:
        label = "better" if c.low > 0 else "slightly worse within the margin" if c.high < 0 else "no harm"
        return Verdict(c.task, Outcome.NO_HARM, label, c)
    half = (c.high - c.low) / 2
    if half > 0.06:
        receipt = Receipt(None, None, "No number of runs or test rows within reach can settle this.")
    elif half > 0.03:
        receipt = Receipt(
            None, 4 * c.n_rows, f"No number of runs can settle this; about {4 * c.n_rows} test rows would."
        )
    else:
        receipt = Receipt(11, 3 * c.n_rows, "About 11 runs of each arm would settle this.")
    return Verdict(c.task, Outcome.UNDECIDED, "not enough evidence", c, receipt)


def _decision(m: Made, v: Verdict) -> Decision:
    c = v.comparison
    risk = 0.5 * math.erfc((c.effect + c.margin) / (c.standard_error * math.sqrt(2)))
    share = (risk <= 0.05 and c.effect > 0) if m.share is None else m.share
    told = f"harm beyond 2 % has probability {100 * risk:.0f} %"
    if share:
        reason = f"Shared: {told}, and the expected change is {80 * c.effect:+.1f} %."
        return Decision(m.name, "together", "together", True, risk, 0.8 * c.effect, reason)
    why = (
        f"{told}, more than 5 %" if risk > 0.05 else f"nothing is gained: the expected change is {80 * c.effect:+.1f} %"
    )
    reason = f"Its single-task model answers, because {why}."
    return Decision(m.name, m.best, f"single:{m.name}", False, risk, 0.8 * c.effect, reason)


def _runs(made: Sequence[Made], design: DesignRecord, luck: random.Random, light: bool) -> tuple[RunRecord, ...]:
    found = []
    phases = ((Phase.CONFIRM, SEEDS),) if light else ((Phase.TUNE, TRIALS), (Phase.SELECT, 3), (Phase.CONFIRM, SEEDS))
    by_name = {m.name: m for m in made}
    for phase, n in phases:
        for arm in design.arms:
            for group in arm.plan.groups:
                for i in range(n):
                    found.append(_run(arm, group.name, [by_name[t] for t in group.tasks], phase, i, luck))
    return tuple(found)


def _run(arm: Arm, group: str, made: Sequence[Made], phase: Phase, i: int, luck: random.Random) -> RunRecord:
    neural = arm.name in ("together", "single")
    safe = "".join(c if c.isalnum() else "_" for c in group.removeprefix("single:"))
    epochs = luck.randint(24, 60) if neural else 0
    curves, best, validation = {}, {}, {}
    for m in made:
        gain = m.effect if arm.name == "together" else 0.0
        validation[m.name] = m.score * (1 + gain * (1 if m.kind is not TaskKind.REGRESSION else -1)) + luck.gauss(
            0, 0.004 * m.score
        )
        if neural:
            curves[m.name], best[m.name] = _curve(epochs, gain, luck)
    return RunRecord(
        f"{phase.value}-{arm.name}-{safe}-s{i}", arm.name, group, phase, tuple(m.name for m in made),
        luck.getrandbits(40), i if phase is Phase.TUNE else 0, {"learning_rate": 0.0021, "dropout": 0.15},
        Status.DONE, "", validation, best, curves,
        _weights(arm, made), n_parameters=71_234 if neural else 0, n_train_rows=1500, epochs=epochs,
        seconds=luck.uniform(0.2, 1.4),
        balance=balanced(tuple(made)) if arm.role is Role.CANDIDATE and len(made) > 1 else None,
    )  # fmt: skip


@cache
def balanced(made: tuple[Made, ...]) -> BalanceRecord:
    """What balancing did: the first task pulls twice as hard as any other, and the last opposes it."""
    n, epochs = len(made), (4, 8, 12)
    names = [m.name for m in made]
    shares = [2 / (n + 1)] + [1 / (n + 1)] * (n - 1)
    cosines = [[1.0 if i == j else 0.2 for j in range(n)] for i in range(n)]
    cosines[0][-1] = cosines[-1][0] = -0.3
    return BalanceRecord(
        "nash", "representation", epochs,
        effective_weights=dict.fromkeys(names, (1 / n,) * 3),
        loss_shares=dict.fromkeys(names, (1 / n,) * 3),
        gradient_norms=dict.fromkeys(names, (1.0, None, 0.5)),
        gradient_norm_shares={name: (share, None, share) for name, share in zip(names, shares, strict=True)},
        conflict_rate=(0.25, None, 0.25),
        cosines=tuple(tuple(row) for row in cosines),
        magnitude_similarities=tuple(tuple(1.0 for _ in names) for _ in names),
        conflict_rate_by_layer={"sharing.layers.0": 0.4},
    )  # fmt: skip


def _weights(arm: Arm, made: Sequence[Made]) -> dict[str, float]:
    """Effective weights: those of rarely labelled tasks lie lower."""
    if arm.name != "together":
        return {}
    return {m.name: 0.9 + 0.1 * m.labelled for m in made}


def _curve(epochs: int, gain: float, luck: random.Random) -> tuple[Curve, int]:
    floor, speed, rise = 0.36 - gain + luck.gauss(0, 0.008), luck.uniform(4, 7), luck.uniform(0.0008, 0.003)
    steps = tuple(range(1, epochs + 1))
    train = tuple(0.9 * math.exp(-e / speed) + 0.2 + 0.12 * math.exp(-e / 30) + luck.gauss(0, 0.004) for e in steps)
    held = tuple(0.75 * math.exp(-e / speed) + floor + rise * max(e - 14, 0) + luck.gauss(0, 0.006) for e in steps)
    best = min(range(epochs), key=lambda i: held[i]) + 1
    return Curve(steps, train, held, tuple(None for _ in steps)), best


def _data(name: str, made: Sequence[Made], n: int, luck: random.Random, aside: Sequence[SetAside]) -> DataSummary:
    rows = PartCounts(int(0.64 * n), int(0.16 * n), n - int(0.64 * n) - int(0.16 * n))
    tasks = []
    for m in made:
        labelled = PartCounts(
            int(rows.train * m.labelled), int(rows.validation * m.labelled), int(rows.test * m.labelled)
        )
        if m.kind is TaskKind.REGRESSION:
            tasks.append(TaskData(m.name, labelled, spread=TargetSpread(880.6, 351.9, 143.5, 782.7, 2501.0)))
            continue
        names = ("no", "yes") if m.kind is TaskKind.BINARY else ("low", "mid", "high")
        weights = (0.9, 0.1) if len(names) == 2 else (0.5, 0.3, 0.2)
        counts = tuple(
            ClassCounts(c, PartCounts(int(labelled.train * w), int(labelled.validation * w), int(labelled.test * w)))
            for c, w in zip(names, weights, strict=True)
        )
        tasks.append(TaskData(m.name, labelled, len(names), counts))
    overlap = tuple(
        tuple(
            tasks[i].labelled.total if i == j else 0 if a.family is not None and a.family == b.family
            else int(n * min(a.labelled, b.labelled) * max(a.labelled, b.labelled))
            for j, b in enumerate(made)
        )
        for i, a in enumerate(made)
    )  # fmt: skip
    return DataSummary(
        f"{name}.parquet", "9f2c" * 16, n, 31, rows, "Split at random, the labels of every task balanced.",
        {"numeric": 26, "categorical": 4}, tuple(tasks), overlap, tuple(aside), None,
        ("30 numeric inputs were scaled on train rows.",),
    )  # fmt: skip


def _gate(verdicts: Sequence[Verdict]) -> Gate:
    bad = tuple(v.task for v in verdicts if v.outcome is Outcome.HARM)
    open_ = tuple(v.task for v in verdicts if v.outcome is Outcome.UNDECIDED)
    said = f"{len(bad)} harmed, {len(open_)} undecided." if bad or open_ else f"All {len(verdicts)} are cleared."
    return Gate(not bad and not open_, bad, open_, said)


def _findings(made: Sequence[Made]) -> tuple[Finding, ...]:
    first, last = made[0].name, made[-1].name
    return (
        Finding(
            "constant",
            Severity.INFO,
            "Column 'batch' holds one value and is not used.",
            "it tells the models nothing",
            "leave it out",
            columns=("batch",),
        ),
        Finding(
            "few labels",
            Severity.WARNING,
            f"Task '{last}' has 182 labelled test rows.",
            "its interval will be wider than the margin, so that its verdict may stay open",
            "add labelled test rows, or widen its margin",
            tasks=(last,),
            measured=182.0,
            threshold=510.0,
        ),
        Finding(
            "duplicates",
            Severity.WARNING,
            "14 rows occur twice, 3 of them in train and test.",
            "copied rows make test scores too good",
            "drop the copies",
            tasks=(first, last),
            rows=("17", "203"),
            n_rows=14,
            measured=14.0,
            threshold=0.0,
        ),
    )


def audit_details(names: Sequence[str], *, timed: bool = True) -> AuditDetails:
    """What an audit of tasks called `names` measures, in the shape of the checks' own details."""
    n = len(names)
    windows = [{"start": 86400.0 * i, "end": 86400.0 * i + 80000, "train": 60 - 5 * i, "validation": 0, "test": 5 * i}
               for i in range(12)]  # fmt: skip
    told = {
        name: {"task": name, "quartiles": [None if j == 3 else [j - 1.0, j + 0.5, j + 2.0] for j in range(12)]}
        if i % 2
        else {"task": name, "classes": ["no", "<b>yes"], "shares": [[0.9 - j / 30, 0.1 + j / 30] for j in range(12)]}
        for i, name in enumerate(names)
    }
    details = {
        "label_noise": {
            "noise": {
                name: {"rate": 0.02 * i, "low": 0.015 * i, "high": 0.03 * i, "plateau": i != 1, "suspects": 7 * i,
                       "worst": [f"r{j}" for j in range(min(i, 12))]}
                for i, name in enumerate(names)
            },
            "limits": {"warning": 0.05, "error": 0.15},
        },
        "input_leaks": {"best": {name: {"x": 0.99 - i / 10 / n, "y": 0.2} for i, name in enumerate(names)},
                        "limits": {"warning": 0.8, "error": 0.95}},
        "target_copies": {"labels": list(names),
                          "skill": [[None if i == j else 0.3 for j in range(n)] for i in range(n)]},
        "task_overlap": {"tasks": list(names), "rows": [[100] * n for _ in range(n)]},
        "task_volumes": {"parts": ["train", "validation", "test"], "labels": {name: [60, 20, 20] for name in names}},
        "missing_labels": {"auc": {name: 0.5 + 0.4 / (i + 1) for i, name in enumerate(names)}, "limit": 0.65},
        "test_power": {"labels": {name: {"test_rows": 20, "half_width": 0.01 * i, "margin": 0.02, "needed": 5 * i}
                                  for i, name in enumerate(names)}},
    }  # fmt: skip
    if timed:
        details["label_drift"] = {
            "within_train": dict.fromkeys(names, 0.1), "train_to_test": dict.fromkeys(names, 0.2), "is_date": True,
            "limits": {"within_train": 0.15, "train_to_test": 0.15}, "windows": windows, "labels": told,
        }  # fmt: skip
        details["task_periods"] = {
            "window_start": [w["start"] for w in windows], "window_end": [w["end"] for w in windows],
            "label_rate": {name: [i / 12] * 6 + [0.0] * 6 for i, name in enumerate(names)},
        }  # fmt: skip
    hidden = Finding("constant_columns", Severity.WARNING, "Column 'b' is constant.", "Why.", "drop it", columns=("b",))
    return AuditDetails(
        n_rows=100,
        n_columns=5,
        level="quick",
        suppressed=(Suppressed(hidden, "bought for <next> year"),),
        unused_suppressions=(Suppression("heavy_tails", "never seen", ("x",)),),
        failed=(FailedCheck("mixed_units", "ValueError: <i>odd</i>"),),
        not_computable=(NotComputable("near_duplicates", "too coarse"),),
        details=details,
        checks=("constant_columns", "mixed_units"),
    )


def pairs_seen(pairs: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The comparisons as validation rows saw them: a little more favourable."""
    return tuple(replace(c, effect=c.effect + 0.004, low=c.low + 0.004, high=c.high + 0.004) for c in pairs)


def _promises(pairs: Sequence[Comparison]) -> dict[str, float]:
    """What each candidate promised, as if the mean of its changes had been it."""
    changes: dict[str, list[float]] = {}
    for c in pairs_seen(pairs):
        changes.setdefault(c.candidate, []).append(c.effect / c.margin)
    return {name: round(sum(found) / len(found), 4) for name, found in changes.items()}


def _stability(verdicts: Sequence[Verdict], decisions: Sequence[Decision]) -> tuple[Stability, ...]:
    made = []
    for i, (v, d) in enumerate(zip(verdicts, decisions, strict=True)):
        effects = tuple(v.comparison.effect + 0.002 * (s - 2) for s in range(SEEDS))
        shared = tuple(d.shared if (i + s) % 7 else not d.shared for s in range(SEEDS))
        same = sum(s == d.shared for s in shared)
        made.append(Stability(d.task, v.comparison.scale, effects, shared, same))
    return tuple(made)


def _calibration(made: Sequence[Made], decisions: Sequence[Decision], luck: random.Random) -> tuple[Calibration, ...]:
    found = []
    for m, d in zip(made, decisions, strict=True):
        for arm in (m.best, "together"):
            n, answers = max(int(480 * m.labelled), 4), d.arm == arm
            if m.kind is TaskKind.REGRESSION:
                off = luck.gauss(0, 1)
                found.append(
                    Calibration(m.name, arm, answers, n, SEEDS, bias=off, bias_sd=off / 350, half_width=61.2,
                                coverage=0.9 - 0.05 * luck.random())
                )  # fmt: skip
            else:
                ece = 0.01 + 0.05 * luck.random()
                found.append(Calibration(m.name, arm, answers, n, SEEDS, nll=0.41, ece=ece, ece_chance=0.021))
    return tuple(found)


def _ensembles(pairs: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """A small gain of the mean over runs, and sharing against it."""
    made = [
        replace(
            c, candidate="ensemble", candidate_score=c.baseline_score * 1.005, effect=0.005, low=0.005 - c.margin / 3,
            high=0.005 + c.margin / 3, n_candidate_runs=1, candidate_run_scores=(c.baseline_score * 1.005,),
        )
        for c in pairs
    ]  # fmt: skip
    shared = [
        replace(
            c, baseline="ensemble", baseline_score=c.baseline_score * 1.005, effect=c.effect - 0.005, low=c.low - 0.005,
            high=c.high - 0.005, n_baseline_runs=1, baseline_run_scores=(c.baseline_score * 1.005,),
        )
        for c in pairs
    ]  # fmt: skip
    return (*made, *shared)


def _cost(decisions: Sequence[Decision]) -> tuple[PlanCost, ...]:
    n = len(decisions)
    shared = sum(d.shared for d in decisions)
    alone = PlanCost("single", n, n, 0.8 * n, 71_234 * n, 290_000 * n, 0.0011 * n, 0.012 * n, 1000)
    if not shared:
        return (replace(alone, plan="shipped"),)
    k = n - shared + 1
    return (PlanCost("shipped", k, k, 0.7 * k + 1.5, 71_234 * k, 310_000 * k, 0.0012 * k, 0.013 * k, 1000), alone)


def _summary(
    design: DesignRecord, plan: Plan, runs: Sequence[RunRecord], verdicts: Sequence[Verdict],
    decisions: Sequence[Decision],
) -> StudySummary:  # fmt: skip
    scales = {v.comparison.scale for v in verdicts}
    values = [v.comparison.effect for v in verdicts]
    pooled = ()
    if len(scales) == 1 and len(values) > 4:
        mean = sum(values) / len(values)
        family = design.tasks[0].family
        pooled = (PooledEffect(family, len(values), scales.pop(), mean, mean - 0.011, mean + 0.012, 0.021),)
    return StudySummary(
        "together", "'together' is the only plan that shares.", plan, "41d7" * 16, "9f2c" * 16,
        {"sharewise": "0.1.0", "python": "3.11.2", "torch": "2.13.0"}, "Linux-6.1-x86_64", "cpu", 2, 1,
        len(runs), 0, 83.4, "2026-11-22T11:03:12", "2026-11-22T11:04:36", "bundle", pooled,
        _gate(verdicts) if verdicts else None,
        tuple(v.task for v in verdicts if v.outcome is Outcome.HARM),
        {d.task: f"single:{d.task}" for d in decisions if d.shared},
    )  # fmt: skip
