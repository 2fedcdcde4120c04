"""A study as a person starts it; what is heavy is imported when the table has been checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharewise.errors import ConfigError, Problem
from sharewise.study.file import StudyFile, load
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
        budget: str | Mapping[str, Any] = "standard",
        seed: int = 0,
        roles: Mapping[str, str] | None = None,
    ) -> None:
        in_memory = not isinstance(data, str | Path)
        where = "in memory" if in_memory else str(data)
        said: dict[str, Any] = {
            "data": {"path": where, **(roles or {})},
            "tasks": [*tasks],
            "architecture": architecture,
            "budget": budget,
            "seed": seed,
        }
        optional = {"split": split, "inputs": inputs, "candidates": [*candidates] or None, "balance": balance}
        optional["alternatives"] = None if alternatives is None else [*alternatives]
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

        Raises UserError for what the user can mend, SharewiseError where training cannot go on.
        """
        started = time.time()
        directory = Path(out or self.declared.out or "runs/study")
        session = self.session(directory, workers=workers, progress=progress, log=log)
        _claim(directory)
        return session.carry_out(started)

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


def _claim(directory: Path) -> None:
    """Make the run directory; raises ConfigError where something else is there.

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
    directory.mkdir(parents=True, exist_ok=True)
