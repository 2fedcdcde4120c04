"""A run directory is worked in by one process at a time, and is free again however that process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sharewise.errors import ConfigError
from sharewise.study.lock import held
from sharewise.study.opening import claim

IMPORTS = """
import os, sys, time
from pathlib import Path
from sharewise.study.lock import held
"""
HOLDER = """
with held(Path(sys.argv[1]), "explain"):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
def test_another_process_is_named_and_a_killed_one_holds_nothing_by_its_workers(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", IMPORTS + HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    worker = int(holder.stdout.readline())
    try:
        with pytest.raises(ConfigError) as caught, held(tmp_path, "remedy"):
            pass
        assert f"however, `explain`, process {holder.pid} on " in str(caught.value)
        assert "is at work in" in str(caught.value)
        holder.kill()
        holder.wait()
        os.kill(worker, 0)  # its worker lives on
        with held(tmp_path, "remedy"):
            assert f"`remedy`, process {os.getpid()}" in (tmp_path / ".lock").read_text()
        assert (tmp_path / ".lock").read_text() == ""
    finally:
        holder.kill()
        os.kill(worker, signal.SIGKILL)
        holder.stdout.close()


def test_a_directory_that_cannot_be_written_to_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sentence = "A run needs a directory that it can write to; however, writing to '.*' failed \\(Not a directory\\)"
    with pytest.raises(ConfigError, match=sentence), held(tmp_path / "file", "explain"):
        pass
    with pytest.raises(ConfigError, match=sentence), claim(tmp_path / "file" / "run"):
        pass


def test_it_is_let_go_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), held(tmp_path, "run"):
        raise RuntimeError
    code = "with held(Path(sys.argv[1]), 'run'): pass"
    subprocess.run([sys.executable, "-c", IMPORTS + code, str(tmp_path)], check=True)
