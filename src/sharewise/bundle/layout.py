"""Names and checks of a bundle's files: what lies where, and whether it is all there and whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sharewise.bundle.routes import Address
from sharewise.errors import BundleError, Problem

FORMAT = 1
"""Raised by one with every change that an older Sharewise cannot read."""

CHECKSUMS = "checksums.json"
PLAN = "plan.json"
ROUTES = "routes.jsonl"
SCHEMA = "schema.json"
CODEC = "codec.json"
ARRAYS = "codec.safetensors"
PROVENANCE = "provenance.json"
CARD = "card.md"
MLMODEL = "MLmodel"
GROUPS = "groups"
REFERENCE = "reference"
MODEL = "model.json"

_LONGEST_SLUG = 40
_SHOWN = 8


def slug(name: str) -> str:
    """A folder name for `name` that any file system keeps, distinct for distinct names also where case is ignored.

    >>> slug("together"), slug("Together")
    ('together', 'together-330e6de0')
    """
    plain = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:_LONGEST_SLUG]
    if plain == name:
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else f"group-{digest}"


def folder(address: Address) -> str:
    """Where a revision of a group lies, relative to the bundle."""
    return f"{GROUPS}/{slug(address.group)}@{address.revision}"


@dataclass(frozen=True)
class Entry:
    """Length and SHA-256 of a file. `routes.jsonl` may be longer than said here: it only grows, and checks itself."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> Entry:
        """The entry of a file with this content."""
        return cls(len(content), hashlib.sha256(content).hexdigest())


def checksums(entries: dict[str, Entry]) -> bytes:
    """The text of `checksums.json`."""
    files = {name: {"size": e.size, "sha256": e.sha256} for name, e in sorted(entries.items())}
    return (json.dumps({"format": FORMAT, "files": files}, indent=1, ensure_ascii=False) + "\n").encode()


def verified(root: Path) -> dict[str, bytes]:
    """Content of every file of the bundle at `root`, by path relative to it.

    Raises BundleError with all that is missing, damaged or too much, before anything is interpreted.
    """
    entries = _entries(root)
    present = _files_below(root) - {CHECKSUMS}
    problems = [
        Problem("A bundle's files must all be there", f"'{name}' is missing", "Copy the bundle again", file=str(root))
        for name in sorted(set(entries) - present)
    ]
    problems += [
        Problem(
            "A bundle holds no file that its checksums do not know",
            f"'{name}' is there",
            "Remove it, or copy the bundle again",
            file=str(root),
        )
        for name in sorted(present - set(entries))
    ]
    contents: dict[str, bytes] = {}
    for name in sorted(set(entries) & present):
        try:
            content = (root / name).read_bytes()
        except OSError as error:
            problems.append(Problem("A bundle must be readable", f"'{name}' is not ({error.strerror})", file=str(root)))
            continue
        fault = _fault(name, content, entries[name])
        if fault:
            problems.append(
                Problem("A bundle's files must be whole", f"'{name}' {fault}", "Copy the bundle again", file=str(root))
            )
        contents[name] = content
    if problems:
        raise BundleError(_shown(problems))
    return contents


def _fault(name: str, content: bytes, entry: Entry) -> str | None:
    if len(content) < entry.size:
        return f"is cut off: it has {len(content)} of {entry.size} bytes"
    if name == ROUTES:
        content = content[: entry.size]
    if Entry.of(content) != entry:
        return "is damaged: its checksum differs"
    return None


def _shown(problems: list[Problem]) -> list[Problem]:
    if len(problems) <= _SHOWN:
        return problems
    rest = len(problems) - _SHOWN + 1
    last = Problem("A bundle's files must be whole", f"{rest} more are missing, damaged or unknown")
    return [*problems[: _SHOWN - 1], last]


def _files_below(root: Path) -> set[str]:
    """Files below `root` with forward slashes; a link counts as a file and never leads anywhere."""
    found: set[str] = set()
    for here, folders, names in os.walk(root, followlinks=False):
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        found.update((Path(here) / name).relative_to(root).as_posix() for name in [*names, *links])
    return found


def _entries(root: Path) -> dict[str, Entry]:
    """`checksums.json`, checked as strictly as what it vouches for."""
    if not root.is_dir():
        fact = f"'{root}' is a file" if root.exists() else f"there is no '{root}'"
        raise BundleError(Problem("A bundle is a directory", fact, "Name the folder that a run wrote, RUN/bundle"))
    path = root / CHECKSUMS
    if not path.is_file():
        hint = f"Did you mean '{root / 'bundle'}'?" if (root / "bundle" / CHECKSUMS).is_file() else "Copy it again"
        raise BundleError(Problem("A bundle holds checksums.json", f"'{root}' does not", hint))
    try:
        said: Any = json.loads(path.read_bytes())
        version = said["format"]
        if not isinstance(version, int) or version < 1:
            raise ValueError(f"format {version!r}")
        if version > FORMAT:
            raise BundleError(
                Problem(
                    f"This Sharewise reads bundles of format {FORMAT} and older",
                    f"'{root}' is of format {version}",
                    "Install a newer Sharewise",
                )
            )
        entries = {name: Entry(int(e["size"]), str(e["sha256"])) for name, e in said["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        fact = f"it cannot be read ({type(error).__name__})"
        raise BundleError(
            Problem("checksums.json must be whole", fact, "Copy the bundle again", file=str(path))
        ) from None
    for name in entries:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
            raise BundleError(
                Problem("A bundle's files lie inside it", f"checksums.json names '{name}'", file=str(path))
            )
    return entries
