"""An audit on disk: audit.json (the findings), audit_details.json (all the rest), audit_rows.parquet (all rows)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sharewise.audit.result import AuditReport
from sharewise.errors import ConfigError, Problem
from sharewise.records import to_json, write_atomic

FINDINGS, DETAILS, ROWS = "audit.json", "audit_details.json", "audit_rows.parquet"


def check_targets(sources: Sequence[Path], folder: Path | None, files: Sequence[Path]) -> None:
    """Raise ConfigError where what is to be written would replace what is read, or cannot be written there."""
    wrong = []
    read = {source.resolve() for source in sources}
    for path in files:
        if path.resolve() in read:
            wrong.append(Problem("An audit never changes what it reads", f"'{path}' is read", "Give another name"))
        elif path.is_dir():
            wrong.append(Problem("A file must be named", f"'{path}' is a folder", "Give the name of a file in it"))
    for path in (*files, *((folder / FINDINGS,) if folder is not None else ())):
        blocked = next((p for p in path.parents if p.exists() and not p.is_dir()), None)
        if blocked is not None:
            wrong.append(Problem("Results go into a folder", f"'{blocked}' is a file", "Give another folder"))
    if wrong:
        raise ConfigError(wrong)


def write_rows(report: AuditReport, path: Path) -> None:
    """Write all rows that findings and lists name, as CSV, or as Parquet where the name ends so; whole or not at all.

    Raises ConfigError for another ending.
    """
    import io

    from pyarrow import csv, parquet

    rows_format(path)
    buffer = io.BytesIO()
    if report.rows is not None:
        if path.suffix.lower() == ".csv":
            csv.write_csv(report.rows, buffer)
        else:
            parquet.write_table(report.rows, buffer, compression="zstd")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())


def rows_format(path: Path) -> None:
    """Raise ConfigError where the file's name says neither CSV nor Parquet."""
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise ConfigError(
            Problem(
                "Rows are written as CSV or Parquet",
                f"the name '{path}' ends in neither",
                "End it in .csv or .parquet",
            )
        )


def write(report: AuditReport, folder: Path) -> None:
    """Write the three files into a folder, each whole or not at all.

    `audit.json` is the list of findings; `audit_details.json` an object with `suppressed`, `failed`,
    `not_computable`, `details` (what plots need, by check) and the like; `audit_rows.parquet` one line for each
    finding and row.
    """
    import io

    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / FINDINGS, to_json(report.findings))
    write_atomic(folder / DETAILS, report.details_json())
    if report.rows is not None:
        buffer = io.BytesIO()
        parquet.write_table(report.rows, buffer, compression="zstd")
        write_atomic(folder / ROWS, buffer.getvalue())
