"""What the README shows is what happens."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Code blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the table the README speaks of."""
    sys.path.insert(0, str(ROOT / "tests" / "journeys"))
    import importlib.util

    spec = importlib.util.spec_from_file_location("journeys", ROOT / "tests/journeys/conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    import pyarrow.csv as pc

    pc.write_csv(module.plants(), tmp_path / "plants.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_commands_work_as_shown(folder: Path) -> None:
    commands = [line for line in blocks("sh")[1].splitlines() if line.startswith("sharewise")]
    assert len(commands) == 3
    for line in commands:
        arguments = shlex.split(line, comments=True)[1:]
        code = f"from sharewise.cli import main; main({arguments!r})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
    assert (folder / "run" / "report.html").exists()
    assert (folder / "answers.csv").exists()


@pytest.mark.slow
def test_the_python_example_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow.csv as pc

    exec(compile(blocks("python")[0], "README.md", "exec"), {"plants": pc.read_csv("plants.csv")})
    assert "height" in capsys.readouterr().out


def test_make_has_the_commands_the_readme_names() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    named = re.findall(r"^make ([a-z]+)", blocks("sh")[0], re.M)
    assert named == ["demo", "test"]
    assert set(named) <= set(targets)


def test_every_link_leads_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([\w./-]+\.md)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
