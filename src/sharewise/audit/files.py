"""An audit on disk: audit.json (the findings), audit_details.json (all the rest), audit_rows.parquet (all rows)."""

from __future__ import annotations

from pathlib import Path

from sharewise.audit.result import AuditReport
from sharewise.records import to_json, write_atomic

FINDINGS, DETAILS, ROWS = "audit.json", "audit_details.json", "audit_rows.parquet"


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
