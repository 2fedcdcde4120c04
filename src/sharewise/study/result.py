"""What a finished study leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sharewise.causes import Inquiry
from sharewise.records import Decision, StudySummary, Verdict

if TYPE_CHECKING:
    from sharewise.tables.read import Source


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

    def explain(self, task: str | None = None, *, data: Source | None = None, everything: bool = False) -> Inquiry:
        """Why every harmed task, or `task`, is worse off in the shared model: see `sharewise.study.explain.verb`.

        `data` is the table where the study was given one in memory.
        """
        from sharewise.study.explain.verb import explain

        return explain(self.directory, task, data=data, everything=everything)
