"""Features by the content that they are of, on disk: what is there is never computed twice, whoever was killed when."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEY = 16
"""Bytes of a content hash."""

IN_MEMORY = 64_000_000
"""Bytes up to which a study's block of features is held in memory."""

Array = NDArray[Any]


def cache_folder() -> Path:
    """Where features are kept: SHAREWISE_CACHE, else the user's cache folder."""
    said = os.environ.get("SHAREWISE_CACHE")
    if said:
        return Path(said)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sharewise"


def key(content: bytes) -> bytes:
    """The content's hash."""
    return hashlib.blake2b(content, digest_size=KEY).digest()


class Store:
    """Vectors (n, width) float16 by key, in two files that only grow: `vectors` and, written after it, `keys`.

    A vector counts from the moment its key is whole on disk; what a killed process left beyond that is cut off by
    the next one. One process writes at a time (a file lock), any number read. Without a folder it is in memory.
    """

    def __init__(self, folder: Path | None, width: int) -> None:
        self.folder, self.width = folder, width
        self._held: list[Array] = []
        self._at: dict[bytes, int] = {}
        self._n = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the store for writing; reads what others wrote before."""
        if self.folder is None:
            yield
            return
        with open(self.folder / "lock", "ab") as lock:
            if sys.platform != "win32":
                import fcntl

                fcntl.flock(lock, fcntl.LOCK_EX)
            self._refresh()
            yield

    def _refresh(self) -> None:
        """Read the keys on disk, and cut both files to whole entries."""
        assert self.folder is not None
        keys, vectors = self.folder / "keys", self.folder / "vectors"
        for path in (keys, vectors):
            path.touch()
        n = min(keys.stat().st_size // KEY, vectors.stat().st_size // (2 * self.width))
        os.truncate(keys, n * KEY)
        os.truncate(vectors, n * 2 * self.width)
        raw = keys.read_bytes()
        self._at = {raw[i * KEY : (i + 1) * KEY]: i for i in range(n)}
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __contains__(self, name: object) -> bool:
        return name in self._at

    def append(self, names: Sequence[bytes], vectors: Array) -> None:
        """Keep vectors (n, width) under new names, in this order; of a name that is given again the last counts."""
        made = np.ascontiguousarray(vectors, np.float16)
        if self.folder is None:
            self._held.append(made)
        else:
            with open(self.folder / "vectors", "ab") as stream:
                stream.write(made.tobytes())
            with open(self.folder / "keys", "ab") as stream:
                stream.write(b"".join(names))
        self._at.update({name: self._n + i for i, name in enumerate(names)})
        self._n += len(names)

    def rows(self, names: Sequence[bytes]) -> Array:
        """Positions of names that are all there, (n,)."""
        return np.fromiter((self._at[name] for name in names), np.int64, len(names))

    def vectors(self) -> Array:
        """All vectors (n, width); on disk they are mapped, not read."""
        if self.folder is None:
            return np.concatenate(self._held) if self._held else np.zeros((0, self.width), np.float16)
        if not self._n:
            return np.zeros((0, self.width), np.float16)
        return np.memmap(self.folder / "vectors", np.float16, "r", shape=(self._n, self.width))


def room(folder: Path | None, name: str, shape: tuple[int, ...]) -> Array:
    """An array (float16) to fill: in memory where it is small or there is no folder, else a file mapped into memory.

    The file has no name of its own once it is open: it is gone when the last process that maps it ends.
    """
    if folder is None or 2 * int(np.prod(shape)) <= IN_MEMORY:
        return np.zeros(shape, np.float16)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{os.getpid()}"
    made = np.memmap(path, np.float16, "w+", shape=shape)
    if sys.platform != "win32":
        path.unlink()
    return made
