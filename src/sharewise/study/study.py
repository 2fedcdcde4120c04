"""A study as a person starts it; what is heavy is imported when the table has been checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharewise.records import Outcome
from sharewise.study.file import IN_MEMORY, StudyFile, load
from sharewise.study.lock import held
from sharewise.study.opening import claim, opened
from sharewise.study.progress import Progress, silent
from sharewise.study.result import StudyResult

if TYPE_CHECKING:
    from sharewise.study.session import Session
    from sharewise.tables.read import Source


class Study:
    """Which of these tasks should share a model?

    `data` is a path (file, folder, glob) or a pandas, polars or pyarrow table; `tasks` are names or mappings as in a
    study file, and every other key of the study file is a keyword of the same name.

    Raises ConfigError with every problem of the declaration, DataError with every problem of the table.
    """

    def __init__(
        self,
        data: Source,
        tasks: Sequence[str | Mapping[str, Any]],
        *,
        split: str | Mapping[str, Any] | None = None,
        inputs: Sequence[str | Mapping[str, Any]] | None = None,
        encoders: Mapping[str, Any] | None = None,
        candidates: Sequence[Mapping[str, Any]] = (),
        alternatives: Sequence[str] | None = None,
        architecture: str | Mapping[str, Any] = "hard",
        balance: Mapping[str, Any] | None = None,
        search: str | Mapping[str, Any] | None = None,
        tuning: str | Mapping[str, Any] | None = None,
        transfer: str | Sequence[Sequence[str]] | Mapping[str, Any] | None = None,
        ship_ensembles: bool = False,
        budget: str | Mapping[str, Any] = "standard",
        audit: Mapping[str, Any] | None = None,
        seed: int = 0,
        revision: int = 0,
        auto_remedy: bool = False,
        roles: Mapping[str, str] | None = None,
    ) -> None:
        in_memory = not isinstance(data, str | Path)
        where = IN_MEMORY if in_memory else str(data)
        said: dict[str, Any] = {
            "data": {"path": where, **(roles or {})},
            "tasks": [*tasks],
            "architecture": architecture,
            "budget": budget,
            "seed": seed,
        }
        optional: dict[str, Any] = {
            "split": split,
            "inputs": inputs,
            "encoders": encoders,
            "audit": audit,
            "revision": revision or None,
            "auto_remedy": auto_remedy or None,
            "candidates": [*candidates] or None,
            "balance": balance,
        }
        optional["alternatives"] = None if alternatives is None else [*alternatives]
        optional |= {"search": search, "tuning": tuning, "transfer": transfer}
        optional["ship_ensembles"] = ship_ensembles or None
        said |= {key: value for key, value in optional.items() if value is not None}
        self.declared = StudyFile.from_dict(said)
        self._source: Source = data

    @classmethod
    def from_file(cls, path: str | Path, *, budget: str | None = None) -> Study:
        """The study that a YAML file declares, with another level of budget where one is given."""
        declared = load(path)
        if budget is not None:
            declared = declared.with_budget(budget)
        made = cls.__new__(cls)
        made.declared, made._source = declared, declared.data_path
        return made

    def run(
        self,
        out: str | Path | None = None,
        *,
        workers: int | None = None,
        progress: Progress = silent,
        log: Callable[[str], None] = lambda text: None,
    ) -> StudyResult:
        """Carry the study out in the directory `out`, going on where an earlier run of the same design stopped.

        Raises UserError for what the user can mend, which another process at work there is too, SharewiseError where
        training cannot go on.
        """
        started = time.time()
        directory = Path(out or self.declared.out or "runs/study")
        session = self.session(directory, workers=workers, progress=progress, log=log)
        with claim(directory), held(directory, "run"):
            findings, summary = session.carry_out(started)
        result = StudyResult(directory, findings.verdicts, findings.decisions, summary)
        if self.declared.auto_remedy and any(v.outcome is Outcome.HARM for v in result.verdicts):
            from sharewise.study.explain.remedy import remedy

            remedy(directory, data=self._source, workers=workers, progress=progress, log=log)
        return result

    def session(
        self,
        directory: Path,
        *,
        workers: int | None = None,
        progress: Progress = silent,
        log: Callable[[str], None] = lambda text: None,
    ) -> Session:
        """The table read and checked, ready to be carried out; raises DataError with every problem found."""
        return opened(self.declared, self._source, directory, workers=workers, progress=progress, log=log)
