"""What a source names: the value behind a pointer such as "verdicts.json#/3/comparison/effect"."""

from __future__ import annotations

from typing import Any

from sharewise.records import plain
from sharewise.report.load import StudyRecords

LONGEST = 60
_OF_A_CHANGE = ("baseline_score", "candidate_score", "effect", "low", "high", "margin", "n_rows")
"""What is shown of a comparison; the rest of it is in the file."""


class Pointers:
    """Values of the records by pointer; record files are turned into plain data once."""

    def __init__(self, records: StudyRecords) -> None:
        self._records = {
            "design.json": records.design,
            "plans.json": records.found_arms,
            "data.json": records.data,
            "selection.json": records.selection,
            "comparisons.json": records.comparisons,
            "verdicts.json": records.verdicts,
            "isolated.json": records.isolated,
            "scores.json": records.scores,
            "decisions.json": records.decisions,
            "stability.json": records.stability,
            "calibration.json": records.calibration,
            "ensembles.json": records.ensembles,
            "challenges.json": records.challenges,
            "cost.json": records.cost,
            "summary.json": records.summary,
        }
        self._plain: dict[str, Any] = {}

    def value(self, pointer: str) -> Any:
        """The value, as JSON would hold it; raises KeyError, IndexError or ValueError where the pointer leads "
        "nowhere."""
        file, _, path = pointer.partition("#")
        if file not in self._plain:
            self._plain[file] = plain(self._records[file])
        value = self._plain[file]
        for step in path.strip("/").split("/") if path.strip("/") else ():
            value = value[int(step)] if isinstance(value, list) else value[step]
        return value

    def shown(self, pointer: str) -> str:
        """The value in a few words: a number or text as it stands, of more the parts that are one value; else empty."""
        try:
            value = self.value(pointer)
        except (KeyError, IndexError, ValueError, TypeError):
            return ""
        if isinstance(value, dict):
            if "label" in value and "task" in value:
                return f"{value['task']}: {value['label']}"
            kept = _OF_A_CHANGE if "effect" in value and "low" in value else list(value)
            return ", ".join(f"{key} {_short(value[key])}" for key in kept if isinstance(value[key], int | float))
        if isinstance(value, list):
            simple = [v for v in value if isinstance(v, int | float | str)]
            return ", ".join(map(_short, simple)) if len(simple) == len(value) <= 12 else f"{len(value)} entries"
        return _short(value)


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
