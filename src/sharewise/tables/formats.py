"""What the readers of all formats share: which format a file has, and the sentence for one that cannot be read."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

from sharewise.errors import DataError, Problem

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
"""File format by suffix; CSV and JSON Lines may be compressed (`.csv.gz`)."""


def file_format(path: str) -> str | None:
    """The format that a file's suffix stands for, or None."""
    suffixes = Path(path).suffixes
    if suffixes and suffixes[-1] in (".gz", ".bz2", ".zst"):
        suffixes.pop()
    return FORMATS.get(suffixes[-1].lower()) if suffixes else None


def first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


def unreadable(path: str, error: BaseException) -> DataError:
    kind = {"parquet": "Parquet file", "arrow": "Arrow file", "jsonl": "JSON Lines file"}.get(
        str(file_format(path)), "CSV"
    )
    return DataError(
        Problem(
            f"{article(kind)} {kind} must be whole and readable",
            f"reading it failed ({first_line(error)})",
            "Write or copy the file again",
            file=path,
        )
    )


def article(noun: str) -> str:
    """A or An."""
    return "An" if noun[0] in "AEIOU" else "A"


def open_text(path: str) -> io.TextIOWrapper:
    if path.endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8-sig", errors="replace", newline="")
    return open(path, encoding="utf-8-sig", errors="replace", newline="")
