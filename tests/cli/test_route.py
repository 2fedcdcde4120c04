"""`sharewise route`: who answers, who else could, and the change of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bundle"))
import tiny_bundle as tiny

from sharewise.bundle import Address, Bundle, save
from sharewise.cli import answer
from sharewise.models.linear import Linear


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The tiny bundle with a model of its own for 'kind' and one of the schools that answer nothing yet."""
    parts = tiny.parts()
    spare = [tiny.single(Linear, name, parts["codec"]) for name in ("kind", "score@a")]
    return save(tmp_path / "bundle", **{**parts, "artifacts": [*parts["artifacts"], *spare]})


def routed(bundle: Path) -> dict[str, Address]:
    return Bundle.load(bundle).routes.addresses()


def test_without_a_goal_it_says_who_answers_and_who_else_could(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(["route", str(bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "kind: together; could be answered by single:kind" in lines
    assert "grade: single:grade" in lines
    assert len(lines) == len(tiny.tasks())


def test_a_task_goes_back_to_its_own_model_and_comes_again(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tiny.table()
    before = Bundle.load(bundle).predict(table.arrow)
    assert answer(["route", str(bundle), "kind", "--to", "single", "--reason", "worse in May"]) == 0
    assert capsys.readouterr().out == "kind: together -> single:kind\n"
    held = Bundle.load(bundle)
    assert routed(bundle)["kind"] == Address("single:kind")
    assert held.routes.log[-1].why == "worse in May"
    assert held.routes.log[-1].evidence["before"] == "together"
    own = held.artifacts[Address("single:kind")].answerer("here").predict(held.codec.encode(table), ["kind"])["kind"]
    classes = tiny.tasks()["kind"].classes
    answers = held.predict(table.arrow, ["kind"]).columns[1].to_pylist()
    assert answers == [classes[i] for i in own.argmax(axis=1)]
    assert answer(["route", str(bundle), "kind", "--to", "together", "-r", "mended"]) == 0
    assert Bundle.load(bundle).predict(table.arrow).equals(before)
    assert len(Bundle.load(bundle).routes.log) == len(tiny.tasks()) + 2


def test_all_moves_every_task_that_can_be_moved(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["route", str(bundle), "--all", "--to", "single", "-r", "roll back"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "kind: together -> single:kind",
        "score@a: schools -> single:score@a",
    ]
    assert answer(["route", str(bundle), "--all", "--to", "single", "-r", "again"]) == 0
    assert capsys.readouterr().out.startswith("Nothing to change")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kindd"], "A task that is routed must be in the bundle; however, 'kindd' is not."),
        (["grade", "--to", "together", "-r", "x"], "'together' cannot answer 'grade'. Those that can: single:grade"),
        (["kind", "--to", "together@7", "-r", "x"], "'together@7' cannot answer 'kind'"),
        (["kind", "--to", "single"], "Add --reason TEXT"),
        (["--to", "single", "-r", "x"], "names both or none"),
        (["kind", "--all", "--to", "single", "-r", "x"], "names both or none"),
        (["--all", "--to", "nobody", "-r", "x"], "'nobody' cannot answer 'yes'"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    bundle: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (bundle / "routes.jsonl").read_bytes()
    assert answer(["route", str(bundle), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert (bundle / "routes.jsonl").read_bytes() == before
