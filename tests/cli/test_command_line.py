"""The command line as a person meets it: help as text, exit codes, sentences instead of tracebacks."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import click
import pytest

import sharewise.cli
from sharewise.cli import VERBS, answer, cli
from sharewise.errors import ConfigError, GateError, Problem, SharewiseError

HELP = """\
Usage: sharewise [OPTIONS] COMMAND [ARGS]...

  One table, several things to predict: which of them should share a model?

  Exit codes: 0 done; 1 the run failed; 2 usage, study file or data are wrong;
  3 a gate that was asked for is not met.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.
"""


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_help_is_this_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for flag in ("--help", "-h"):
        assert answer([flag]) == 0
        out = capsys.readouterr().out
        assert out.startswith(HELP)
        for verb, line in VERBS.items():
            assert f"  {verb:<9}{line}" in out


def test_help_imports_no_verb_and_nothing_heavy() -> None:
    code = (
        "import sys\nfrom sharewise.cli import answer\nanswer(['--help'])\n"
        "heavy = ('torch', 'pandas', 'sklearn', 'scipy', 'numpy', 'pyarrow', 'pydantic', 'rich')\n"
        "print([m for m in sys.modules if m in heavy or m.startswith('sharewise.') and m.count('.') > 1])"
    )
    assert _python(code).stdout.splitlines()[-1] == "[]"


def test_help_starts_fast() -> None:
    def best(code: str) -> float:
        times = []
        for _ in range(5):
            start = time.process_time(), time.perf_counter()
            _python(code)
            times.append(time.perf_counter() - start[1])
        return min(times)

    assert best("from sharewise.cli import answer; answer(['--help'])") - best("pass") < 0.4


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_says_of_itself_what_help_says(verb: str) -> None:
    if find_spec(f"sharewise.cli.{verb}") is None:
        pytest.skip(f"verb '{verb}' has no module yet")
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    assert command.name == verb
    assert command.short_help == VERBS[verb]
    assert command.help


def test_unknown_verb_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["initt"]) == 2
    assert "A verb must be known; however, 'initt' is not. Did you mean 'init'?" in capsys.readouterr().err
    assert answer(["init"]) == 2
    assert "Missing argument 'TABLE'" in capsys.readouterr().err
    assert answer(["schema", "--nope"]) == 2
    assert "No such option" in capsys.readouterr().err
    assert answer(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sharewise 0.")


@click.command("fails")
@click.argument("how")
def _fails(how: str) -> NoReturn:
    """Fails on purpose."""
    match how:
        case "config":
            raise ConfigError([Problem("A must hold", f"b{i} is found", file="s.yaml", line=i) for i in range(1, 13)])
        case "gate":
            raise GateError("A gate is not met.")
        case "run":
            raise SharewiseError("The run failed.")
        case "ctrl-c":
            raise KeyboardInterrupt
        case "full":
            raise OSError(28, "No space left on device", "runs/a.json")
        case _:
            raise RuntimeError("a bug")


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("config", 2, "s.yaml:1: A must hold; however, b1 is found."),
        ("gate", 3, "A gate is not met."),
        ("run", 1, "The run failed."),
        ("ctrl-c", 130, "Interrupted. Nothing is half-written; the same command goes on from the last finished run."),
        ("full", 1, "writing runs/a.json failed: the disk is full. Free some space and run the same command again."),
    ],
)
def test_errors_are_sentences_and_exit_codes(
    how: str, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sharewise.cli.VERBS, "fails", "Fails on purpose.")
    monkeypatch.setattr(cli, "get_command", lambda ctx, name: _fails)
    assert answer(["fails", how]) == code
    streams = capsys.readouterr()
    assert streams.out == ""
    assert message in streams.err
    assert "Traceback" not in streams.err
    assert len(streams.err.splitlines()) <= 11
    if how == "config":
        assert streams.err.endswith("... and 2 more problems.\n")


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sharewise.cli.VERBS, "fails", "Fails on purpose.")
    monkeypatch.setattr(cli, "get_command", lambda ctx, name: _fails)
    with pytest.raises(RuntimeError, match="a bug"):
        answer(["fails", "bug"])


def test_a_reader_that_leaves_is_no_error() -> None:
    code = f"{sys.executable} -m sharewise schema | head -c 10"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert len(done.stdout) == 10


def test_schema_is_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import json

    assert answer(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["title"] == "Sharewise study"
