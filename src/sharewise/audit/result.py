"""What a check returns and what an audit is: findings with their rows, and all that was not found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sharewise.records import (
    AuditDetails,
    FailedCheck,
    Finding,
    NotComputable,
    Severity,
    Suppressed,
    Suppression,
    to_json,
)

__all__ = [
    "AuditReport",
    "CheckResult",
    "FailedCheck",
    "Found",
    "Listed",
    "NotComputable",
    "Rows",
    "Suppressed",
    "Suppression",
    "no_rows",
]

Rows = npt.NDArray[np.int64]


def no_rows() -> Rows:
    """No row at all: the default of a finding that concerns columns or tasks."""
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Found:
    """A finding before the run gives it the check's name and turns row positions into row ids.

    `measured` and `threshold` are in the unit that `message` names; `rows` are positions in the table, the worst
    first, all of them.
    """

    severity: Severity
    message: str
    why: str
    remedy: str
    measured: float
    threshold: float
    tasks: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: Rows = field(default_factory=no_rows)


@dataclass(frozen=True)
class Listed:
    """Rows worth a look that make no finding: they go to the audit's rows, the worst first, and nowhere else."""

    tasks: tuple[str, ...]
    rows: Rows


@dataclass(frozen=True)
class CheckResult:
    """All that one check says: what it found, plain JSON for the report's plots, what it could not compute, and rows
    worth a look beside those of the findings."""

    found: tuple[Found, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    not_computable: tuple[str, ...] = ()
    listed: tuple[Listed, ...] = ()


@dataclass(frozen=True)
class AuditReport:
    """Everything an audit found.

    `findings` are sorted by severity, then by check; `rows` holds one line for each (finding, row):
    `finding` (position in `findings`), `check`, `severity`, `tasks`, `row` (position in the table from 0) and
    `row_id`, the worst row of a finding first; after them the rows that a check lists without a finding, whose
    `finding` is null and whose `severity` is "listed". `details` is plain JSON by check name, for plots.
    """

    n_rows: int
    n_columns: int
    level: str
    findings: tuple[Finding, ...]
    suppressed: tuple[Suppressed, ...] = ()
    unused_suppressions: tuple[Suppression, ...] = ()
    failed: tuple[FailedCheck, ...] = ()
    not_computable: tuple[NotComputable, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict, compare=False)
    rows: pa.Table | None = field(default=None, compare=False, repr=False)

    def count(self, severity: Severity) -> int:
        """Number of findings of one severity."""
        return sum(f.severity is severity for f in self.findings)

    def worst(self) -> Severity | None:
        """The worst severity among the findings; a failed check counts as a warning, as it hides what it would say."""
        if self.count(Severity.ERROR):
            return Severity.ERROR
        if self.count(Severity.WARNING) or self.failed:
            return Severity.WARNING
        return Severity.INFO if self.findings else None

    def without_findings(self) -> AuditDetails:
        """The record of everything but the findings and the rows, as the report reads it."""
        named = {f.name: getattr(self, f.name) for f in fields(AuditDetails)}
        return AuditDetails(**named)

    def details_json(self) -> str:
        """All but the findings and the rows, as JSON."""
        values = {name: value for name, value in self.__dict__.items() if name not in ("findings", "rows")}
        return to_json(values)
