"""A study as a person starts it; what is heavy is imported when the table has been checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharewise.errors import ConfigError, Problem
from sharewise.records import Outcome
from sharewise.study.file import IN_MEMORY, StudyFile, load
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
        candidates: Sequence[Mapping[str, Any]] = (),
        alternatives: Sequence[str] | None = None,
        architecture: str | Mapping[str, Any] = "hard",
        balance: Mapping[str, Any] | None = None,
        search: str | Mapping[str, Any] | None = None,
        tuning: str | Mapping[str, Any] | None = None,
        transfer: str | Sequence[Sequence[str]] | Mapping[str, Any] | None = None,
        ship_ensembles: bool = False,
        budget: str | Mapping[str, Any] = "standard",
        seed: int = 0,
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
        return cls.of(declared)

    @classmethod
    def from_run(cls, directory: Path, data: Source | None = None) -> Study:
        """The study that a run directory describes; `data` is its table where that was in memory or has moved.

        Raises ConfigError where the directory does not say, or the table was in memory and is not given.
        """
        declared = load(directory / "study.yaml")
        if data is None and declared.data.path == IN_MEMORY:
            raise ConfigError(
                Problem(
                    "A study of a table in memory needs that table again",
                    f"{directory} does not hold it",
                    "give it as `data`, or the file it came from with --data",
                )
            )
        return cls.of(declared, data)

    @classmethod
    def of(cls, declared: StudyFile, data: Source | None = None) -> Study:
        """The study of a declaration that is there already, and its table where that is not at its path."""
        made = cls.__new__(cls)
        made.declared, made._source = declared, declared.data_path if data is None else data
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

        Raises UserError for what the user can mend, SharewiseError where training cannot go on.
        """
        started = time.time()
        directory = Path(out or self.declared.out or "runs/study")
        session = self.session(directory, workers=workers, progress=progress, log=log)
        claim(directory)
        result = session.carry_out(started)
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
        from sharewise.tables.prepare import prepare
        from sharewise.tables.read import read

        table = read(self._source)
        declared = self.declared
        checked = prepare(table, declared.declaration(table), declared.split_spec(), declared.seed)
        from sharewise.study.session import Session

        return Session(declared, table, checked, directory, workers, progress, log)


def claim(directory: Path) -> None:
    """Check that a run may have the directory, which its design makes; raises ConfigError where it is another's.

    A run that was killed before its design was written leaves at most hidden files behind, which do not count.
    """
    if directory.exists() and not directory.is_dir():
        raise ConfigError(Problem("A run needs a directory", f"{directory} is a file", "choose another --out"))
    held = [p for p in directory.iterdir() if not p.name.startswith(".")] if directory.is_dir() else []
    if held and not (directory / "design.json").exists():
        raise ConfigError(
            Problem(
                "A run needs an empty directory or one of its own",
                f"{directory} holds other files",
                "choose another --out",
            )
        )
