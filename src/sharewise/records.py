"""What the rooms that only look exchange: frozen, tensor-free records that are JSON as they stand.

`to_json` and `from_json` convert any of them; floats are written with `repr`, so that a record read back is
equal to the one written. Not-a-number and infinities are written as null and read back as None.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from sharewise.plan import Plan
from sharewise.tasks import Task

R = TypeVar("R")


# --- audit ------------------------------------------------------------------------------------------------


class Severity(StrEnum):
    """How bad a finding is: an error stops what depends on it, a warning is shown, info is for the record."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """One thing the audit found in the data.

    `measured` is compared with `threshold`, both in the unit that `message` names. `rows` are row ids (at most
    a few hundred; the full list goes to `audit_rows.parquet`). `why` says what it does to sharing, `remedy`
    what to do.
    """

    check: str
    severity: Severity
    message: str
    why: str
    remedy: str
    tasks: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    n_rows: int = 0
    measured: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Suppression:
    """The user's wish not to hear of a finding: every field that is given must match; `reason` is shown."""

    check: str
    reason: str
    tasks: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def covers(self, finding: Finding) -> bool:
        """True where check, and the tasks and columns as far as they are named, are those of `finding`."""
        return (
            self.check == finding.check
            and set(self.tasks) <= set(finding.tasks)
            and set(self.columns) <= set(finding.columns)
        )


@dataclass(frozen=True)
class Suppressed:
    """A finding that the user chose not to hear of, and why."""

    finding: Finding
    reason: str


@dataclass(frozen=True)
class FailedCheck:
    """A check that raised: its name and the error in one line. The other checks went on."""

    check: str
    error: str


@dataclass(frozen=True)
class NotComputable:
    """Something a check could not say, and why ("not computable" instead of silence)."""

    check: str
    reason: str


@dataclass(frozen=True)
class AuditDetails:
    """An audit without its findings and rows: how much was looked at, what was suppressed (with reasons), failed or
    could not be computed, and `details`, plain JSON by check, from which the report's plots are drawn."""

    n_rows: int
    n_columns: int
    level: str
    suppressed: tuple[Suppressed, ...] = ()
    unused_suppressions: tuple[Suppression, ...] = ()
    failed: tuple[FailedCheck, ...] = ()
    not_computable: tuple[NotComputable, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    checks: tuple[str, ...] = ()


# --- training ---------------------------------------------------------------------------------------------


class Phase(StrEnum):
    """Which part of the protocol a run belongs to; only `CONFIRM` runs may see test rows. `SEARCH` runs train the
    sampled groups from which plans are found, `PRETRAIN` runs the weights that transferred models start from."""

    TUNE = "tune"
    SEARCH = "search"
    PRETRAIN = "pretrain"
    SELECT = "select"
    CONFIRM = "confirm"


class Status(StrEnum):
    """How a run ended. A dropped one was behind others of its group and left the stack early."""

    DONE = "done"
    DROPPED = "dropped"
    DIVERGED = "diverged"
    FAILED = "failed"


@dataclass(frozen=True)
class Curve:
    """What one run did on one task, evaluation by evaluation (epoch numbers count from 1)."""

    epochs: tuple[int, ...]
    train_loss: tuple[float | None, ...]
    validation_loss: tuple[float | None, ...]
    validation_score: tuple[float | None, ...]


Series = tuple[float | None, ...]
"""One number per entry of `epochs`, None where nothing was measured."""


@dataclass(frozen=True)
class BalanceRecord:
    """What balancing did in one run of a model that several tasks share.

    `method` names the weighting or aggregator, `level` where task gradients were compared ("losses": nowhere by the
    method itself, then they were looked at now and then, at the shared representation). Series have one entry per
    entry of `epochs` (at most 24, each the mean since the one before). By task: `effective_weights` d objective /
    d loss; `loss_shares` of the weighted losses' sum; `gradient_norms` of the raw losses' gradients (losses in units
    of the best constant answer's); `gradient_norm_shares` of the weighted norms' sum. `conflict_rate` is the share of
    task pairs whose gradients have a negative inner product. `cosines` and `magnitude_similarities`, 2 n_j n_k /
    (n_j^2 + n_k^2), are T x T means over the whole run in the order of the run's tasks; empty where no gradient was
    compared, the latter also for more than 60 tasks. `conflict_rate_by_layer` is from at most three looks at exact
    gradients, by the layer's name, empty where that was too dear. `frozen` is the share of the evaluations at which a
    task's head was frozen, for tasks ever frozen.
    """

    method: str
    level: str
    epochs: tuple[int, ...]
    effective_weights: dict[str, Series]
    loss_shares: dict[str, Series]
    gradient_norms: dict[str, Series] = field(default_factory=dict)
    gradient_norm_shares: dict[str, Series] = field(default_factory=dict)
    conflict_rate: Series = ()
    cosines: tuple[Series, ...] = ()
    magnitude_similarities: tuple[Series, ...] = ()
    conflict_rate_by_layer: dict[str, float | None] = field(default_factory=dict)
    frozen: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """One trained model of one group with one seed: a row of the study's book.

    `arm` is the plan or baseline it belongs to ("single", "together", "lightgbm", "linear", a user's plan);
    `group` the group of that plan; `params` the tuned parameters. Per task: `validation` is the score at the
    chosen epoch in the metric's own unit, `best_epoch` that epoch, `curves` the way there. `sharing` holds what the
    architecture measures of itself, say how far apart tied trunks are. Per-row validation
    and test predictions lie in `predictions`, an .npz file beside the record. `balance` is what balancing did, None
    where a model has one task. `source` is the run whose weights this one started from, None where it started afresh.
    `standings` are the best relative validation losses up to each pause at which trials of a group were compared.
    `lookahead` (T, T), where its steps were looked at, is the share by which a step on task j lowered task k's loss.
    """

    run_id: str
    arm: str
    group: str
    phase: Phase
    tasks: tuple[str, ...]
    seed: int
    trial: int
    params: dict[str, Any]
    status: Status
    message: str = ""
    validation: dict[str, float | None] = field(default_factory=dict)
    best_epoch: dict[str, int] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    effective_weights: dict[str, float] = field(default_factory=dict)
    sharing: dict[str, float] = field(default_factory=dict)
    n_parameters: int = 0
    n_train_rows: int = 0
    epochs: int = 0
    seconds: float = 0.0
    predictions: str | None = None
    balance: BalanceRecord | None = None
    source: str | None = None
    standings: tuple[float | None, ...] = ()
    lookahead: tuple[Series, ...] = ()


# --- evidence ---------------------------------------------------------------------------------------------


class Outcome(StrEnum):
    """The three things a verdict can say about harm."""

    HARM = "harm"
    NO_HARM = "no harm"
    UNDECIDED = "not enough evidence"


@dataclass(frozen=True)
class Comparison:
    """Relative change of one task's test score when `candidate` answers instead of `baseline`.

    `effect` is theta, positive where the candidate is better whatever the metric's direction; [`low`, `high`] is
    its two-sided 90 % interval, on `scale` ("relative" to the baseline's score, or "points" of the metric).
    `var_rows`, `var_baseline` and `var_candidate` are the parts of its variance that more test rows or more runs
    would shrink. `baseline_runs` and `candidate_runs` name the confirmation runs, `baseline_run_scores` and
    `candidate_run_scores` are their test scores in the same order: what a reader needs to check the numbers.
    `n_entities` counts the members of the declared group where rows repeat them, `n_rarest` the rows of the rarer
    class where the metric's precision hangs on those. `own_error` and `own_df` are the standard error and its degrees
    of freedom by this task's own runs, where the run variances above were shrunk to those of other tasks.
    """

    task: str
    metric: str
    scale: str
    baseline: str
    candidate: str
    baseline_score: float
    candidate_score: float
    effect: float
    low: float
    high: float
    margin: float
    df: float
    var_rows: float
    var_baseline: float
    var_candidate: float
    n_rows: int
    n_baseline_runs: int
    n_candidate_runs: int
    baseline_runs: tuple[str, ...] = ()
    candidate_runs: tuple[str, ...] = ()
    baseline_run_scores: tuple[float, ...] = ()
    candidate_run_scores: tuple[float, ...] = ()
    n_entities: int | None = None
    n_rarest: int | None = None
    own_error: float | None = None
    own_df: float | None = None

    @property
    def standard_error(self) -> float:
        """Square root of the sum of the three variance parts."""
        return math.sqrt(self.var_rows + self.var_baseline + self.var_candidate)


@dataclass(frozen=True)
class Receipt:
    """What would settle an open verdict: runs per arm, or test rows; None where no number of it can."""

    runs_needed: int | None
    rows_needed: int | None
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What the evidence says about one task. `label` refines `outcome`: better, no harm, slightly worse within
    the margin, harm, not enough evidence."""

    task: str
    outcome: Outcome
    label: str
    comparison: Comparison
    receipt: Receipt | None = None


@dataclass(frozen=True)
class Decision:
    """Who answers a task from now on, and why.

    `probability_harm` is the posterior probability that the shared model is worse than the best single-task
    alternative by more than the margin; `expected_gain` the posterior mean of the change, on the metric's scale.
    """

    task: str
    arm: str
    group: str
    shared: bool
    probability_harm: float | None
    expected_gain: float | None
    reason: str


@dataclass(frozen=True)
class Challenge:
    """A further way to answer one task, judged once it is decided who answers otherwise.

    `kind` is "transfer" (a network of the task's own that starts from other tasks' weights) or "ensemble" (the mean of
    the task's single-task runs), `arm` and `group` who would answer. `verdict` judges it against the task's best
    single-task model that starts afresh; `against` compares it with `incumbent`, the arm that would answer without it,
    from which `probability_harm` and `expected_gain` follow as for a `Decision`. `n_models` is how many models one
    answer takes, `tried` the expected change on validation rows of every arm of this kind, against the same network
    from scratch. Where `answers` it takes the task over, else `reason` says why not.
    """

    task: str
    kind: str
    arm: str
    group: str
    incumbent: str
    verdict: Verdict | None
    against: Comparison | None
    probability_harm: float | None
    expected_gain: float | None
    n_models: int
    answers: bool
    reason: str
    tried: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """Answer to "no task is harmed": `passed` where every task is cleared; the others by name, and a sentence."""

    passed: bool
    harmed: tuple[str, ...]
    undecided: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class Stability:
    """Would one retrain alone have decided the same?

    `effects` are the changes of one shared run against one single-task run, retrain by retrain, on the metric's scale;
    `shared` what the shipping rule says of the task with each of them in place of the mean, all else as it was.
    `n_same` counts the retrains that agree with what was decided.
    """

    task: str
    scale: str
    effects: tuple[float, ...]
    shared: tuple[bool, ...]
    n_same: int


@dataclass(frozen=True)
class OwnScore:
    """What a task's best single-task arm scores on test rows, the mean over its confirmation runs.

    [`low`, `high`] is a two-sided 90 % interval of the score itself, of `n_rows` rows (or `n_entities` entities, where
    rows repeat them) and of the luck of the runs; `run_scores` are those of `runs`, in the same order.
    """

    task: str
    metric: str
    arm: str
    score: float
    low: float
    high: float
    n_rows: int
    runs: tuple[str, ...] = ()
    run_scores: tuple[float, ...] = ()
    n_entities: int | None = None


@dataclass(frozen=True)
class Calibration:
    """How far an arm's certainty about one task can be taken at its word: test rows, mean over confirmation runs.

    Classes: `nll`, the mean negative log likelihood in nats of a label; `ece`, the expected calibration error over ten
    bins of equal count; `ece_chance`, what a perfectly calibrated model would show on as few rows. Numbers: `bias`, the
    mean of prediction minus truth, and `bias_sd`, the same in standard deviations of the truth; `half_width`, that of
    the interval that holds 90 % of the validation rows, and `coverage`, the share of test rows that it holds.
    `answers` says whether this arm answers the task.
    """

    task: str
    arm: str
    answers: bool
    n_rows: int
    n_runs: int
    nll: float | None = None
    ece: float | None = None
    ece_chance: float | None = None
    bias: float | None = None
    bias_sd: float | None = None
    half_width: float | None = None
    coverage: float | None = None


@dataclass(frozen=True)
class PlanCost:
    """What it costs to train a plan's models once and to answer every task by them.

    `plan` is "shipped" or "single" (each task by its best single-task model). `train_seconds` adds up the mean
    processor time of a confirmation run of each model; `n_parameters` counts those of the neural nets, `n_bytes` the
    models' files. `seconds_one` and `seconds_many` are the medians of answering every task for one row and for
    `n_many` rows, encoding included, on the machine that ran the study.
    """

    plan: str
    n_models: int
    n_neural: int
    train_seconds: float
    n_parameters: int
    n_bytes: int
    seconds_one: float
    seconds_many: float
    n_many: int


# --- data -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PartCounts:
    """A count in each part of the split."""

    train: int
    validation: int
    test: int

    @property
    def total(self) -> int:
        """Sum over the parts."""
        return self.train + self.validation + self.test


@dataclass(frozen=True)
class ClassCounts:
    """Labelled rows of one class (of one label, for a multilabel task) in each part."""

    label: str
    rows: PartCounts


@dataclass(frozen=True)
class TargetSpread:
    """Five numbers of a numeric target over its labelled train rows, in the original unit."""

    mean: float
    std: float
    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True)
class TaskData:
    """What the table holds for one task: labelled rows in each part, and its classes or its spread.

    `n_classes` counts all classes; `classes` may list only the most frequent of many.
    """

    task: str
    labelled: PartCounts
    n_classes: int = 0
    classes: tuple[ClassCounts, ...] = ()
    spread: TargetSpread | None = None


@dataclass(frozen=True)
class SetAside:
    """A declared task that the study leaves out, and why: a clause that follows its name ("has no label in ...")."""

    task: str
    reason: str


@dataclass(frozen=True)
class DataSummary:
    """`data.json`: the table as the study saw it, written before the first run.

    `source` is what the user gave, `data_hash` the SHA-256 of its content; `n_rows` counts the table's rows,
    `n_unlabelled` those without a label of any task; `rows` is the split and `split` how it was made, in
    words. `inputs` counts input columns by kind. `tasks` holds the tasks of the study, in order, and
    `overlap` the rows labelled for both of two tasks, in the same order (T×T, its diagonal the labelled rows
    of each); it may be left empty when the tasks share no rows by construction. `n_entities` counts distinct
    entities when rows of one entity count once.
    """

    source: str
    data_hash: str
    n_rows: int
    n_unlabelled: int
    rows: PartCounts
    split: str
    inputs: dict[str, int]
    tasks: tuple[TaskData, ...]
    overlap: tuple[tuple[int, ...], ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    n_entities: int | None = None
    notes: tuple[str, ...] = ()


# --- the study --------------------------------------------------------------------------------------------


class Role(StrEnum):
    """What an arm is in the contest: a plan that shares, the same architecture for each task alone (isolates
    sharing), a single-task model of another kind (what an honest buyer asks), or a network of one task that starts
    from weights that other tasks have trained."""

    CANDIDATE = "candidate"
    ALONE = "same architecture alone"
    ALTERNATIVE = "single-task alternative"
    TRANSFER = "transfer"


@dataclass(frozen=True)
class Arm:
    """One contestant: a plan with its model and its budget.

    `model` says in a few words what is trained ("hard sharing, 2 layers of 256", "LightGBM"); `trials` is the
    number of tuning trials each of its groups gets; `alone` names, for a candidate, the arm that trains each
    task alone with the same architecture; `weights` is the method that weighs a candidate's losses; `source` the tasks
    that a transferred model's weights were trained on first.
    """

    name: str
    role: Role
    plan: Plan
    model: str
    trials: int
    alone: str | None = None
    weights: str = ""
    source: tuple[str, ...] = ()


@dataclass(frozen=True)
class MetricFacts:
    """What a reader of scores must know about a metric. `effect` is how a change is measured: "ratio" of the
    scores less one, "log_ratio" (its logarithm), or "points" (plain difference)."""

    name: str
    label: str
    bigger_is_better: bool
    effect: str


@dataclass(frozen=True)
class Latency:
    """Milliseconds on the machine that froze a design, of one row: to read it, to answer it by one model of all tasks,
    and by the mean of the models of single tasks."""

    read: float
    whole: float
    alone: float


@dataclass(frozen=True)
class SearchDesign:
    """How plans are searched for, frozen with the design.

    `groups` are the sampled groups that are trained once each, `plan_models` the models kept for found plans,
    `models` all models of the search with each task alone and all together; `risk` is the price of a certain harm in
    margins. `together`, `apart` and `max_models` constrain the plans; `latency` is what a limit in milliseconds was set
    against.
    """

    method: str
    groups: tuple[tuple[str, ...], ...]
    plan_models: int
    models: int
    n_plans: int
    risk: float
    together: tuple[tuple[str, ...], ...] = ()
    apart: tuple[tuple[str, ...], ...] = ()
    max_models: int | None = None
    latency: Latency | None = None


@dataclass(frozen=True)
class Forecast:
    """A plan and its mean gain over all tasks as the search predicts it, with its standard deviation, in margins, from
    the `n_groups` groups that had been measured by then."""

    name: str
    groups: tuple[tuple[str, ...], ...]
    gain: float
    sd: float
    n_groups: int = 0


@dataclass(frozen=True)
class GroupingRecord:
    """`grouping.json`: what the search measured, believes and proposes. Gains are in margins, plus is better.

    `helps[k][j]` is what task j does to task k when it joins k's group, `helps_sd` its standard deviation;
    `sharing[k]` what k gains or loses by any sharing at all, and `behind[k]` how far the same architecture alone
    is behind k's best single-task model on validation rows. `n_groups` groups gave `n_gains` gains. `plans` are those
    that were trained, in the order they were found; `reason` says why no other was.
    """

    method: str
    tasks: tuple[str, ...]
    helps: tuple[tuple[float, ...], ...]
    helps_sd: tuple[tuple[float, ...], ...]
    sharing: tuple[float, ...]
    behind: tuple[float, ...]
    n_groups: int
    n_gains: int
    plans: tuple[Forecast, ...]
    runner_up: Forecast | None
    reason: str
    suggested: tuple[Series, ...] = ()


@dataclass(frozen=True)
class DesignRecord:
    """`design.json`: everything frozen before the first run that a reader needs (the file may hold more).

    `level` is the confidence of the two-sided intervals, `max_probability_harm` the shipping rule's bound;
    `tuning_runs`, `selection_runs` and `confirmation_runs` are the runs of each phase for every group of
    every arm (tuning: trials), `planned_runs` their total; of what run luck leaves open there are up to `most_runs`
    confirmation runs, at most `further_runs` more in all. `seed` is the root seed, `revision` counts how often the
    confirmation was drawn anew.
    """

    name: str
    budget: str
    tasks: tuple[Task, ...]
    metrics: tuple[MetricFacts, ...]
    arms: tuple[Arm, ...]
    seed: int
    tuning_runs: int
    selection_runs: int
    confirmation_runs: int
    planned_runs: int
    level: float = 0.90
    max_probability_harm: float = 0.05
    prefer_fewer_models: bool = False
    version: str = ""
    search: SearchDesign | None = None
    revision: int = 0
    most_runs: int = 0
    further_runs: int = 0


@dataclass(frozen=True)
class PooledEffect:
    """The effects of many tasks taken together, by the posterior that decides what ships: their mean with its
    interval and the spread (standard deviation) between tasks. `family` is None for all tasks of a study."""

    family: str | None
    n_tasks: int
    scale: str
    mean: float
    low: float
    high: float
    between_sd: float


@dataclass(frozen=True)
class StudySummary:
    """`summary.json`: written last, when everything else is on disk.

    `selected` names the candidate that validation rows chose and test rows confirmed (None where none was
    worth confirming), `selection_reason` why; `promises` holds every candidate's expected mean change on validation
    rows, in margins, by which it was chosen; `plan` is what ships. `gate` answers "no task is harmed",
    `harmed` are the tasks that may be listed together as harmed (Holm), `fallbacks` maps each
    task that shares to the group that answers it when it is rolled back, which ships without a route.
    `design_digest` is the SHA-256 of design.json;
    `versions` maps package to version; `threads` and `workers` describe the machine's share that was used.
    """

    selected: str | None
    selection_reason: str
    plan: Plan
    design_digest: str
    data_hash: str
    versions: dict[str, str]
    platform: str
    device: str
    workers: int
    threads: int
    n_runs: int
    n_diverged: int
    seconds: float
    started: str
    finished: str
    bundle: str | None = None
    pooled: tuple[PooledEffect, ...] = ()
    gate: Gate | None = None
    harmed: tuple[str, ...] = ()
    fallbacks: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    promises: dict[str, float] = field(default_factory=dict)


# --- JSON -------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """`value` as JSON-able plain data; nan and infinities become None, enums their text."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, StrEnum):
        return value.value
    return value


def to_json(value: Any) -> str:
    """A record, or any nest of records, as indented JSON that ends in a newline."""
    return json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n"


def from_json(kind: type[R], text: str | bytes) -> R:
    """A record of `kind` (any type annotation) from JSON text; raises ValueError where it does not fit."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_json(text)


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a whole file or nothing: to a temporary name beside it, flushed to disk, then renamed."""
    raw = data.encode() if isinstance(data, str) else data
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
