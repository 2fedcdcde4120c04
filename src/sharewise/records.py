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


# --- training ---------------------------------------------------------------------------------------------


class Phase(StrEnum):
    """Which part of the protocol a run belongs to; only `CONFIRM` runs may see test rows."""

    TUNE = "tune"
    SELECT = "select"
    CONFIRM = "confirm"


class Status(StrEnum):
    """How a run ended."""

    DONE = "done"
    DIVERGED = "diverged"
    FAILED = "failed"


@dataclass(frozen=True)
class Curve:
    """What one run did on one task, evaluation by evaluation (epoch numbers count from 1)."""

    epochs: tuple[int, ...]
    train_loss: tuple[float | None, ...]
    validation_loss: tuple[float | None, ...]
    validation_score: tuple[float | None, ...]


@dataclass(frozen=True)
class RunRecord:
    """One trained model of one group with one seed: a row of the study's book.

    `arm` is the plan or baseline it belongs to ("single", "together", "lightgbm", "linear", a user's plan);
    `group` the group of that plan; `params` the tuned parameters. Per task: `validation` is the score at the
    chosen epoch in the metric's own unit, `best_epoch` that epoch, `curves` the way there. Per-row validation
    and test predictions lie in `predictions`, an .npz file beside the record.
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
    n_parameters: int = 0
    n_train_rows: int = 0
    epochs: int = 0
    seconds: float = 0.0
    predictions: str | None = None


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
    would shrink.
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
