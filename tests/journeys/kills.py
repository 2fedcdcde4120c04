"""Studies in sessions of their own, killed at a moment and run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path


def start(study: Path, out: Path) -> subprocess.Popen[bytes]:
    """A study in a session of its own, so that its workers die with it."""
    code = "from sharewise.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(study), "--out", str(out), "--workers", "2", "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def same_after_kills(study: Path, folder: Path, moments: Sequence[float], files: Iterable[str]) -> None:
    """Check that a study killed at each of the `moments`, shares of its whole time, and then run again writes the same
    `files`, byte for byte, as one that was left alone, and that most kills came before the study's end."""
    whole = folder / "whole"
    began = time.monotonic()
    assert start(study, whole).wait(timeout=300) == 0
    seconds = time.monotonic() - began
    expected = {name: (whole / name).read_bytes() for name in files}
    unfinished = 0
    for n, moment in enumerate(moments):
        out = folder / f"killed{n}"
        process = start(study, out)
        time.sleep(seconds * moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        unfinished += not (out / "summary.json").exists()
        assert start(study, out).wait(timeout=300) == 0
        for name, content in expected.items():
            assert (out / name).read_bytes() == content, f"{name} differs after kill {n}"
        assert not list((out / "runs").glob(".*")), "half-written files were left behind"
    assert unfinished >= len(moments) // 2, "most kills came too late to test anything"
