"""`sharewise report`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sharewise.cli.report import command
from sharewise.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
import report_synthetic as synthetic


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return synthetic.write(synthetic.study(synthetic.FOUR), tmp_path / "run")


def test_it_writes_the_page_and_prints_the_answer(run: Path) -> None:
    result = CliRunner().invoke(command, [str(run)], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.startswith("Share 2 of 4 tasks in one model; 2 stay alone.\n")
    assert result.stdout.endswith(f"Report: {run / 'report.html'}\n")
    assert (run / "report.html").exists()


def test_it_writes_elsewhere_and_keeps_quiet(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    result = CliRunner().invoke(command, [str(run), "-o", str(target), "-q"], catch_exceptions=False)
    assert result.stdout == ""
    assert target.exists()
    assert not (run / "report.html").exists()


def test_it_opens_the_page_only_when_asked(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("click.launch", opened.append)
    CliRunner().invoke(command, [str(run)], catch_exceptions=False)
    assert opened == []
    CliRunner().invoke(command, [str(run), "--open"], catch_exceptions=False)
    assert opened == [str(run / "report.html")]


def test_no_run_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no"):
        CliRunner().invoke(command, [str(tmp_path / "absent")], catch_exceptions=False)


def test_help_loads_neither_the_report_nor_torch() -> None:
    code = (
        "import sys; from sharewise.cli.report import command; command(['--help'], standalone_mode=False); "
        "bad = {'torch', 'jinja2', 'rich', 'numpy', 'sharewise.report'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
