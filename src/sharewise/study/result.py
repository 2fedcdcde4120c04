"""What a finished study leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sharewise.records import Decision, StudySummary, Verdict


@dataclass(frozen=True)
class StudyResult:
    """What a finished study left in its directory."""

    directory: Path
    verdicts: tuple[Verdict, ...]
    decisions: tuple[Decision, ...]
    summary: StudySummary

    @property
    def bundle(self) -> Path:
        """The shipped bundle."""
        return self.directory / "bundle"

    @property
    def report(self) -> Path:
        """The report."""
        return self.directory / "report.html"
