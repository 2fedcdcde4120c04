"""Whether a run directory can be explained at all, before anything heavy is imported."""

from __future__ import annotations

import json
from pathlib import Path

from sharewise import __version__
from sharewise.errors import ConfigError, DataError, Problem


def finished(directory: Path) -> None:
    """Raise ConfigError or DataError where `directory` holds no finished run of this version."""
    fact = f"there is no '{directory}'"
    if directory.exists():
        fact = f"'{directory}' has no design.json" if directory.is_dir() else f"'{directory}' is a file"
    if not (directory / "design.json").exists():
        raise DataError(Problem("A run directory is needed", fact, "give the one that `sharewise run` wrote"))
    if not (directory / "summary.json").exists():
        raise ConfigError(
            Problem(
                "Only a finished study has something to explain",
                f"the one in '{directory}' has not come to its end",
                "finish it with the `sharewise run` that started it, which goes on where it stopped",
            )
        )
    try:
        version = str(json.loads((directory / "design.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        version = "an unknown version"
    if version != __version__:
        raise ConfigError(
            Problem(
                "A run directory belongs to the version that wrote it",
                f"'{directory}' was written by {version}, and this is {__version__}",
                "run the study again in another directory",
            )
        )
