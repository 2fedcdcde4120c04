"""A bundle written as a whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.numpy

from sharewise.bundle import backbones, layout
from sharewise.bundle.artifact import Artifact
from sharewise.bundle.mlmodel import mlmodel
from sharewise.bundle.routes import Reroute, Routes
from sharewise.errors import BundleError, Problem
from sharewise.plan import Plan
from sharewise.records import plain, write_atomic
from sharewise.tables.codec import Codec, schema_to_json


def save(
    path: str | Path,
    *,
    plan: Plan,
    codec: Codec,
    artifacts: Sequence[Artifact],
    routes: Routes,
    provenance: Mapping[str, Any],
    card: str,
    reference: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a bundle to the directory `path`: to a folder beside it first, flushed to disk, then renamed.

    `plan` says what was trained together, `routes` who answers; every task must be routed to an artifact that can
    answer it, or be retired. `reference` are the files that drift is measured against. An existing bundle is
    replaced only with `overwrite`. Raises BundleError where the parts do not fit, or the disk does not take them.
    """
    path = Path(path)
    _check(codec, artifacts, routes)
    if path.exists() and not overwrite:
        raise BundleError(Problem("A bundle is written to a new place", f"'{path}' exists", "Name another one"))
    if path.exists() and not (path / layout.CHECKSUMS).is_file():
        raise BundleError(
            Problem("Only a bundle is overwritten", f"'{path}' holds something else", "Name another place")
        )
    contents = {
        layout.PLAN: _json(plan),
        layout.ROUTES: routes.to_jsonl(),
        layout.SCHEMA: _json(schema_to_json(codec.schema)),
        layout.CODEC: _json(codec.to_json()),
        layout.PROVENANCE: _json(provenance),
        layout.CARD: card.encode(),
        layout.MLMODEL: mlmodel(codec).encode(),
    }
    contents |= backbones.copies(codec)
    if arrays := codec.arrays():
        contents[layout.ARRAYS] = safetensors.numpy.save(arrays)
    for artifact in artifacts:
        where = layout.folder(artifact.address)
        contents |= {f"{where}/{name}": content for name, content in artifact.to_files().items()}
    contents |= {f"{layout.REFERENCE}/{name}": content for name, content in (reference or {}).items()}
    contents[layout.CHECKSUMS] = layout.checksums({n: layout.Entry.of(c) for n, c in contents.items()})
    with _room(path):
        _write(path, contents)
    return path


def append_route(path: str | Path, *changes: Reroute) -> Routes:
    """Append changes to the routes of the bundle at `path`, all or none; raises BundleError where no model answers one.

    The log is replaced first and its checksum after it: cut off in between, the bundle is whole, because the old
    checksum vouches for the old lines and the new one for itself.
    """
    from sharewise.bundle.load import Bundle

    bundle = Bundle.load(path)
    routes = bundle.routes
    for change in changes:
        routes = routes.apply(change)
    _check(bundle.codec, list(bundle.artifacts.values()), routes)
    root = Path(path)
    said = json.loads((root / layout.CHECKSUMS).read_bytes())["files"]
    entries = {name: layout.Entry(e["size"], e["sha256"]) for name, e in said.items()}
    text = routes.to_jsonl()
    with _room(root):
        write_atomic(root / layout.ROUTES, text)
        write_atomic(root / layout.CHECKSUMS, layout.checksums({**entries, layout.ROUTES: layout.Entry.of(text)}))
    return routes


def _check(codec: Codec, artifacts: Sequence[Artifact], routes: Routes) -> None:
    """Every task of the schema has a route, and every route an artifact that answers the task."""
    rule = "Every task of a bundle has a route to a model that answers it"
    held = {artifact.address: artifact for artifact in artifacts}
    now = routes.now
    names = codec.schema.tasks.names
    problems = [Problem(rule, f"task '{name}' has none") for name in names if name not in now]
    problems += [Problem(rule, f"there is no task '{name}'") for name in now if name not in names]
    for task, address in routes.addresses().items():
        if address not in held:
            problems.append(
                Problem(
                    rule, f"'{task}' is routed to '{address.group}' revision {address.revision}, which is not there"
                )
            )
        elif task not in held[address].tasks:
            problems.append(Problem(rule, f"'{task}' is routed to '{address.group}', which does not answer it"))
    if len(held) != len(artifacts):
        problems.append(Problem("A group has one model a revision", "two artifacts have the same address"))
    if problems:
        raise BundleError(problems)


def _json(value: Any) -> bytes:
    return (json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n").encode()


@contextmanager
def _room(path: Path) -> Iterator[None]:
    """Turn the disk's refusal into a sentence."""
    try:
        yield
    except OSError as error:
        fact = f"writing '{path}' failed ({error.strerror or error})"
        remedy = "Free some space, or name another place, and run the same command again"
        raise BundleError(Problem("A bundle needs a disk that takes it", fact, remedy)) from error


def _write(path: Path, contents: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}.partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    work = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.partial-"))
    try:
        work.chmod(0o755)
        for name, content in contents.items():
            target = work / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        if path.exists():
            # The old bundle moves into the folder that is thrown away: at no time is half of one in its place.
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.partial-"))
            path.rename(old / "old")
            work.rename(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            work.rename(path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
