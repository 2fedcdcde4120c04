"""Run the checks over a table: one that raises is reported as failed, and the others go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sharewise.audit.checks import CATALOGUE
from sharewise.audit.checks.base import Check
from sharewise.audit.result import (
    AuditReport,
    CheckResult,
    FailedCheck,
    Found,
    NotComputable,
    Rows,
    Suppressed,
    Suppression,
)
from sharewise.audit.view import AuditView, Level
from sharewise.errors import ConfigError, Problem
from sharewise.records import Finding, Severity, to_json
from sharewise.tables.schema import Schema

MAX_ROWS_SHOWN = 200
LISTED = "listed"
"""The severity, in the table of rows, of a row that belongs to no finding."""
_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


class HasArrow(Protocol):
    """A table that holds an Arrow table, as `sharewise.tables.read` returns it."""

    @property
    def arrow(self) -> pa.Table:
        """The table itself."""


class HasParts(Protocol):
    """A split: row positions of the three parts."""

    @property
    def train(self) -> npt.NDArray[np.int64]:
        """Row positions of the train part."""

    @property
    def validation(self) -> npt.NDArray[np.int64]:
        """Row positions of the validation part."""

    @property
    def test(self) -> npt.NDArray[np.int64]:
        """Row positions of the test part."""


@dataclass(frozen=True)
class Progress:
    """One line of progress: check number `done` of `total`, called `check`, comes next."""

    done: int
    total: int
    check: str


def view_of(
    table: pa.Table | HasArrow, schema: Schema, split: HasParts | None, *, seed: int = 0, level: Level = "full"
) -> AuditView:
    """The view that checks get; without a split every row counts as train."""
    arrow = table if isinstance(table, pa.Table) else table.arrow
    part = np.zeros(arrow.num_rows, dtype=np.int8)
    if split is not None:
        part[:] = -1
        for number, rows in enumerate((split.train, split.validation, split.test)):
            part[rows] = number
    part.setflags(write=False)
    return AuditView(arrow, schema, part, seed, level)


def run(
    table: pa.Table | HasArrow,
    schema: Schema,
    split: HasParts | None,
    *,
    suppress: Sequence[Suppression] = (),
    seed: int = 0,
    level: Level = "full",
    checks: Mapping[str, Mapping[str, Any]] | Sequence[str] | None = None,
    plugins: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
) -> AuditReport:
    """Audit a table before anything is trained on it.

    `checks` names the checks to run (default: all of the level), as a mapping with parameters of their own;
    `plugins` adds checks of the user as "module:Class". A finding that a suppression covers is moved to
    `suppressed` with its reason. Raises KeyError for a check that does not exist, TypeError for a parameter
    that it does not have, and ConfigError for plug-ins that cannot be made.
    """
    # Auxiliary tasks are judged nowhere: what a check asks of test labels is not asked of them.
    schema = schema.without([task.name for task in schema.tasks if task.auxiliary])
    view = view_of(table, schema, split, seed=seed, level=level)
    built = {name: CATALOGUE.build(name, **params) for name, params in _wanted(checks, level).items()}
    built |= made_plugins(plugins)
    results: dict[str, CheckResult] = {}
    failed: list[FailedCheck] = []
    seconds: dict[str, float] = {}
    for done, (name, check) in enumerate(built.items()):
        if progress is not None:
            progress(Progress(done, len(built), name))
        start = time.perf_counter()
        try:
            results[name] = _sound(check.run(view), view)
        except Exception as error:  # the audit must say what the other checks found
            failed.append(FailedCheck(name, f"{type(error).__name__}: {error}".splitlines()[0]))
        seconds[name] = time.perf_counter() - start
    return _report(view, results, failed, seconds, suppress)


def made_plugins(names: Sequence[str]) -> dict[str, Check]:
    """The user's own checks by name; raises ConfigError that says of each that cannot be made why."""
    made: dict[str, Check] = {}
    wrong = []
    for name in names:
        fact = ""
        try:
            check: object = CATALOGUE.build(name)
            if isinstance(check, Check):
                made[name] = check
            else:
                fact = f"'{name}' is no sharewise.audit.checks.base.Check"
        except Exception as error:  # whatever a stranger's module does when it is imported
            fact = f"'{name}' cannot be made ({type(error).__name__}: {str(error).strip() or 'no reason given'})"
        if fact:
            wrong.append(Problem("A plug-in check must be module:Class", fact.splitlines()[0], "Mend audit.plugins"))
    if wrong:
        raise ConfigError(wrong)
    return made


def _sound(result: object, view: AuditView) -> CheckResult:
    """The result as it is; raises where the report could not be made of it, so that the check counts as failed."""
    if not isinstance(result, CheckResult):
        raise TypeError(f"it returned {type(result).__name__} instead of CheckResult")
    for rows in (*(f.rows for f in result.found), *(x.rows for x in result.listed)):
        if len(rows) and not 0 <= int(np.min(rows)) <= int(np.max(rows)) < view.n_rows:
            raise ValueError(f"it names rows that the table of {view.n_rows:,} rows does not have")
    for found in result.found:
        _finding(view, "", found)
    to_json(result.details)
    return result


def _wanted(
    checks: Mapping[str, Mapping[str, Any]] | Sequence[str] | None, level: Level
) -> dict[str, Mapping[str, Any]]:
    if checks is None:
        names = [n for n in CATALOGUE if level == "full" or _is_quick(CATALOGUE.load(n))]
        return {name: {} for name in names}
    if isinstance(checks, Mapping):
        return dict(checks)
    return {name: {} for name in checks}


def _is_quick(kind: type[Check]) -> bool:
    return kind.quick


def _report(
    view: AuditView,
    results: Mapping[str, CheckResult],
    failed: Sequence[FailedCheck],
    seconds: dict[str, float],
    suppress: Sequence[Suppression],
) -> AuditReport:
    named = [(name, found) for name, result in results.items() for found in result.found]
    named.sort(key=lambda pair: _RANK[pair[1].severity])  # stable: the catalogue's order within a severity
    kept: list[tuple[Finding, Found]] = []
    hidden: list[Suppressed] = []
    used: set[int] = set()
    for name, found in named:
        finding = _finding(view, name, found)
        covering = [i for i, wish in enumerate(suppress) if wish.covers(finding)]
        used.update(covering)
        if covering:
            hidden.append(Suppressed(finding, suppress[covering[0]].reason))
        else:
            kept.append((finding, found))
    return AuditReport(
        n_rows=view.n_rows,
        n_columns=view.arrow.num_columns,
        level=view.level,
        findings=tuple(finding for finding, _ in kept),
        suppressed=tuple(hidden),
        unused_suppressions=tuple(wish for i, wish in enumerate(suppress) if i not in used),
        failed=tuple(failed),
        not_computable=tuple(NotComputable(n, text) for n, r in results.items() for text in r.not_computable),
        details={name: dict(result.details) for name, result in results.items() if result.details},
        checks=tuple(seconds),
        seconds=seconds,
        rows=_row_table(view, kept, results),
    )


def _finding(view: AuditView, check: str, found: Found) -> Finding:
    return Finding(
        check=check,
        severity=found.severity,
        message=found.message,
        why=found.why,
        remedy=found.remedy,
        tasks=found.tasks,
        columns=found.columns,
        rows=tuple(view.row_ids(found.rows[:MAX_ROWS_SHOWN])),
        n_rows=len(found.rows),
        measured=float(found.measured),
        threshold=float(found.threshold),
    )


@dataclass(frozen=True)
class _Lines:
    """Rows that belong together in the table of rows; `finding` is None for those that are only listed."""

    finding: int | None
    check: str
    severity: str
    tasks: tuple[str, ...]
    rows: Rows


def _row_table(view: AuditView, kept: Sequence[tuple[Finding, Found]], results: Mapping[str, CheckResult]) -> pa.Table:
    parts = [_Lines(i, f.check, f.severity.value, f.tasks, found.rows) for i, (f, found) in enumerate(kept)]
    parts += [_Lines(None, name, LISTED, x.tasks, x.rows) for name, said in results.items() for x in said.listed]
    parts = [part for part in parts if len(part.rows)]
    rows = np.concatenate([part.rows for part in parts]) if parts else np.empty(0, dtype=np.int64)
    sizes = [len(part.rows) for part in parts]
    # Dictionary columns: a million lines cost a few bytes each.
    which = np.repeat(np.arange(len(parts), dtype=np.int32), sizes)

    def text(values: list[str]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(which), pa.array(values, pa.string())).cast(pa.string())

    return pa.table(
        {
            "finding": pa.array([part.finding for part in parts], pa.int32()).take(pa.array(which)),
            "check": text([part.check for part in parts]),
            "severity": text([part.severity for part in parts]),
            "tasks": text([", ".join(part.tasks) for part in parts]),
            "row": pa.array(rows),
            "row_id": pa.array(view.row_ids(rows), pa.string()),
        }
    )
