"""Design -> records -> comparisons -> verdicts -> what ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharewise.study.study import Study

__all__ = ["Study"]


def __getattr__(name: str) -> Any:
    """Import the study when it is asked for: reading a study file must not load torch."""
    if name == "Study":
        from sharewise.study.study import Study

        return Study
    raise AttributeError(f"module 'sharewise.study' has no attribute '{name}'")
