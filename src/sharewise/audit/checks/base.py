"""What every check of the audit is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from sharewise.audit.result import CheckResult
from sharewise.audit.view import AuditView


class Check(ABC):
    """One question about the data. Final subclasses are frozen dataclasses whose fields are the thresholds.

    `run` reads the view and changes nothing; the same view gives the same result. `quick` says that it needs no
    fitted model and may run in front of every study.
    """

    quick: ClassVar[bool] = True

    @abstractmethod
    def run(self, view: AuditView) -> CheckResult:
        """What the check finds; raises nothing on purpose (an exception is reported as a failed check)."""
