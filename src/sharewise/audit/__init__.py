"""The audit room: a table in, findings out. Never imports torch."""

from sharewise.audit.result import AuditReport, Suppression
from sharewise.audit.run import run

__all__ = ["AuditReport", "Suppression", "run"]
