"""The study file: every problem at once, each with file and line and the nearest valid name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharewise.errors import ConfigError
from sharewise.plan import Choice
from sharewise.study.file import StudyFile, load
from sharewise.study.json_schema import json_schema
from sharewise.tables.schema import InputDeclaration, InputKind
from sharewise.tables.split import SplitSpec
from sharewise.tasks import Task, TaskKind, TaskSet

FULL = """\
data: {path: t.csv, id: row, time: day, group: site, entity: patient}
split: {column: part}
inputs:
  age: numeric
  job:
tasks:
  - {name: income, kind: binary, positive: high, class_weights: {high: 3, low: 1.5}, margin: 0.05, primary: true}
  - {name: rent, kind: regression, column: rent_eur, transform: log1p, metric: mae, weight: 2}
  - {name: school, kind: regression, by: site}
  - {name: tags, kind: multilabel, columns: [t1, t2]}
  - stars
candidates:
  - {name: money, groups: [[income, rent], [tags, school]], architecture: {name: hard, width: 64}}
architecture: {name: hard, depth: 3}
balance: {weighting: equal, scaling: running_mean}
budget: {level: quick, seeds: 4}
seed: 7
out: runs/mine
"""


def _load(tmp_path: Path, text: str) -> StudyFile:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return load(path)


def _problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    return [str(p).removeprefix(f"{tmp_path}/") for p in caught.value.problems]


def test_a_full_file(tmp_path: Path) -> None:
    study = _load(tmp_path, FULL)
    assert study.data_path == str(tmp_path / "t.csv")
    assert study.architecture == Choice("hard", {"depth": 3})
    assert study.balance.scaling == Choice("running_mean")
    assert study.candidates[0].architecture == Choice("hard", {"width": 64})
    assert study.budget.level == "quick"
    assert study.budget.seeds == 4
    assert (study.seed, study.out) == (7, "runs/mine")
    said = study.declaration()
    assert said.inputs == (InputDeclaration("age", InputKind.NUMERIC, 4), InputDeclaration("job", None, 5))
    assert said.roles == {"id": "row", "split": "part", "time": "day", "group": "site", "entity": "patient"}
    assert [t.line for t in said.tasks] == [7, 8, 9, 10, 11]
    assert said.tasks[0].class_weights == {"high": 3.0, "low": 1.5}
    assert said.tasks[0].primary
    assert said.tasks[1].columns == ("rent_eur",)
    assert said.tasks[3].kind is TaskKind.MULTILABEL
    assert said.tasks[4].kind is None
    assert study.split_spec() == SplitSpec("column")


def test_only_data_and_tasks_are_needed(tmp_path: Path) -> None:
    study = _load(tmp_path, "data: t.csv\ntasks: [a]\n")
    assert study.inputs is None
    assert study.budget.level == "standard"
    assert study.split_spec() == SplitSpec()
    assert study.architecture == Choice("hard")
    assert study.with_budget("quick").budget.level == "quick"


def test_plain_data_round_trip(tmp_path: Path) -> None:
    study = _load(tmp_path, FULL)
    again = StudyFile.from_dict(json.loads(json.dumps(study.to_dict())))
    assert again.to_dict() == study.to_dict()
    assert again.declaration().tasks[0].class_weights == {"high": 3.0, "low": 1.5}


def test_plans_over_resolved_tasks(tmp_path: Path) -> None:
    study = _load(tmp_path, FULL)
    grouped = [Task(f"school@{s}", TaskKind.REGRESSION, ("school",), "rmse", family="school") for s in "ab"]
    tasks = TaskSet(
        (Task("income", TaskKind.BINARY, ("income",), "auroc"), *grouped, Task("x", TaskKind.BINARY, ("x",), "auroc"))
    )
    plan = study.plan(study.candidates[0], tasks)
    assert [g.tasks for g in plan.groups] == [("income",), ("school@a", "school@b"), ("x",)]


BROKEN = """\
data: t.csv
split: {by: time, column: x, validation: 0.9}
inputs:
  f1: numeric
  f2: nmeric
tasks:
  - a
  - name: b
    knd: binary
    kind: binry
    margin: wide
    metric: aurc
  - {name: c, class_weights: {0: 1.0, 1: x}, margin: -1}
  - {name: a, primary: 3}
candidates:
  - {name: together, groups: [[a, bb], [a]]}
  - {name: q, groups: [[a]], architecture: {name: hrd}, balance: {weighting: {name: static}, aggregatr: mean}}
architecture: {name: hard, width: wide, dept: 3}
budget: {level: quik, seeds: five}
seed: -1
ot: 3
"""


def test_every_problem_at_once(tmp_path: Path) -> None:
    assert [p.removeprefix("study.yaml:") for p in _problems(tmp_path, BROKEN)] == [
        "2: A split column goes with by: column; however, by is 'time'. Remove one of them.",
        "5: 'inputs[2].kind' must be one of numeric, categorical, boolean, datetime, embedding, text, tokens, "
        "image, id; however, it is 'nmeric'. Did you mean 'numeric'?",
        "9: A key of 'tasks[2]' must be known; however, 'knd' is not. Did you mean 'kind'?",
        "10: 'tasks[2].kind' must be one of binary, multiclass, ordinal, multilabel, regression, "
        "reconstruction, token_tagging; however, it is 'binry'. Did you mean 'binary'?",
        "11: 'tasks[2].margin' must be a number; however, it is 'wide'.",
        "12: A metric must be known; however, 'aurc' is not. Did you mean 'auroc'?",
        "13: 'tasks[3].margin' must be above 0; however, it is -1.",
        "13: Class weights are 'balanced' or a mapping of labels to positive numbers; however, the weight of "
        "'1' is 'x'.",
        "14: 'tasks[4].primary' must be true or false; however, it is 3.",
        "14: Task names must be unique; however, 'a' occurs twice. Rename one of them.",
        "16: Candidate names must be unique; however, 'together' is the name of one that every study has. Rename it.",
        "16: A candidate groups tasks of the study; however, 'bb' is none. Did you mean 'b'?",
        "16: A task is in one group of a candidate; however, 'a' occurs twice in candidate 'together'. Remove one.",
        "17: A sharing architecture must be known; however, 'hrd' is not. Did you mean 'hard'?",
        "17: 'static' needs its parameter 'weights'; however, it is not given. Add weights: Sequence[float] | "
        "Mapping[str, float].",
        "17: A key of 'candidates[2].balance' must be known; however, 'aggregatr' is not. Did you mean 'aggregator'?",
        "18: A parameter of 'hard' must be known; however, 'dept' is not. Did you mean 'depth'?",
        "19: 'budget.level' must be one of quick, standard, thorough; however, it is 'quik'. Did you mean 'quick'?",
        "19: 'budget.seeds' must be a whole number; however, it is 'five'.",
        "20: 'seed' must be at least 0; however, it is -1.",
        "21: A key of a study file must be known; however, 'ot' is not. Did you mean 'out'?",
    ]


TASK = "data: t.csv\ntasks: [{name: r, %s}]\n"
SOUND = "data: t.csv\ntasks: [a]\n"
YAML = "A study file must be valid YAML; however, "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: t.csv\n", "study.yaml: A study file needs the key 'tasks'; however, it is not given. Add tasks: ..."),
        ("data: t.csv\ntasks:\n", "study.yaml:2: 'tasks' must be a list; however, it is empty."),
        ("data: t.csv\ntasks: []\n", "study.yaml:2: 'tasks' must not be empty; however, it is. Fill it, or remove"),
        (SOUND + "inputs: {}\n", "study.yaml:3: 'inputs' must not be empty"),
        (
            "data: {path: t, tiem: x}\ntasks: [a]\n",
            "A key of 'data' must be known; however, 'tiem' is not. Did you mean",
        ),
        ("data: 3\ntasks: [a]\n", "study.yaml:1: 'data' must be a mapping; however, it is 3."),
        ("data: t.csv\ntasks: [{kind: binary}]\n", "study.yaml:2: 'tasks[1]' needs the key 'name'; however, it is not"),
        (TASK % "kind: reconstruction", "A reconstruction task names the inputs to rebuild"),
        (TASK % "kind: binary, transform: log1p", "Only regression tasks have a transform"),
        (TASK % "column: a, columns: [b]", "A task has a column or columns; however, task 'r' has both"),
        (TASK % "class_weights: balancd", "however, they are 'balancd'. Did you mean 'balanced'?"),
        (TASK % "classes: [a, a]", "Classes must be unique; however, a class of task 'r' occurs twice"),
        (SOUND + "split: sideways\n", "study.yaml:3: 'split.by' must be one of auto, column, random, group, time"),
        (SOUND + "split: column\n", "study.yaml:3: A split by column needs the column; however, none is named"),
        (
            SOUND + "split: {validation: 0.6, test: 0.6}\n",
            "A split must leave rows to train on; however, validation and",
        ),
        (SOUND + "balance: {weighting: {name: equal, n: 3}}\n", "A parameter of 'equal' must be known; however, 'n'"),
        (
            SOUND + "balance: nahs\n",
            "study.yaml:3: A balance is a weighting or an aggregator; however, 'nahs'",
        ),
        (
            SOUND + "balance: {weighting: log, aggregator: nash}\n",
            "A step has one method, a weighting or an aggregator; however, 'log' and 'nash' are given. Keep one",
        ),
        (SOUND + "balance: {aggregator: nash, level: losses}\n", "'nash' compares task gradients; however, the level"),
        (
            SOUND + "balance: {clip: 1.0}\n",
            "'clip' acts on a direction made of task gradients; however, 'equal'",
        ),
        (
            SOUND + "balance: {sampler: unimx}\n",
            "A sampler must be known; however, 'unimx' is not. Did you mean",
        ),
        (SOUND + "balance: {freeze: {patence: 3}}\n", "'patence' is not. Did you mean 'patience'?"),
        (SOUND + "balance: {freeze: {patience: soon}}\n", "Parameter 'patience' of 'freeze' must be a whole number"),
        (
            SOUND + "balance: {stop: primry}\n",
            "'stop' is a mapping of parameters; however, it is 'primry'. Did",
        ),
        (
            SOUND + "balance: {sweep: 5}\n",
            "A sweep is a family of candidates; however, it is the balance of all",
        ),
        (
            SOUND + "candidates: [{name: s, balance: {sweep: 3, aggregator: nash}}]\n",
            "A sweep is of plain static weights; however, 'nash' is given beside it.",
        ),
        (
            SOUND + "balance: {weighting: {name: static, weights: {b: 2.0}}}\n",
            "study.yaml:3: A balance names tasks of the study; however, 'b' under 'weighting: weights' is none.",
        ),
        (
            SOUND + "balance: {weighting: {name: static, weights: abc}}\n",
            "Parameter 'weights' of 'static' must be a list of numbers or a mapping of tasks to numbers; however,",
        ),
        (
            SOUND + "balance: {rates: {scales: {a: fast}}}\n",
            "Parameter 'scales' of 'rates' must be a mapping of tasks to numbers; however, it is {'a': 'fast'}.",
        ),
        (
            SOUND + "balance: {checkpoint: primary}\n",
            "The primary task's checkpoint needs a primary task; however",
        ),
        (
            SOUND + "balance: {aggregator: 'no:Such'}\n",
            "An aggregator from elsewhere is module:Class; however, 'no",
        ),
        (
            SOUND + "candidates: [{name: s, balance: {sweep: 2}}, {name: s 1, balance: log}]\n",
            "Candidate names must be unique; however, the sweep 's' makes a 's 1' too.",
        ),
        (SOUND + "balance: {rates: {scales: {aa: 2.0}}}\n", "'aa' under 'rates: scales' is none. Did you mean 'a'?"),
        (
            SOUND + "balance: {sampler: {name: class_balanced, task: x}}\n",
            "A balance names tasks of the study; however, 'x' under 'sampler: task' is none.",
        ),
        (
            SOUND + "architecture: {name: hard, width: wide}\n",
            "study.yaml:3: Parameter 'width' of 'hard' must be a whole number; however, it is 'wide'. The default is",
        ),
        (
            SOUND + "architecture: {name: hard, n_in: 3}\n",
            "A parameter that the engine supplies may not be set; however, 'n_in' of 'hard' is given. Remove it.",
        ),
        (SOUND + "architecture: [hard]\n", "'architecture' is a name, or a mapping with a name and parameters"),
        (SOUND + "seed: 1\nseed: 2\n", f"study.yaml:4: {YAML}found duplicate key"),
        ("data: t.csv\n tasks: [a]\n", f"study.yaml:2: {YAML}mapping values are not allowed here"),
        ("", "study.yaml: A study file is a mapping with the keys data and tasks; however, it is empty."),
        ("- a\n", "study.yaml: A study file is a mapping with the keys data and tasks; however, it is a list."),
    ],
)
def test_single_problems(tmp_path: Path, text: str, message: str) -> None:
    problems = _problems(tmp_path, text)
    assert len(problems) == 1
    assert message in problems[0]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["", "a", "hard", "name", "mean"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "kind", "groups", "path", "by", "columns", "level", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*StudyFile.model_fields, "other"]), ANYTHING, max_size=6))
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_is_answered_with_sentences(said: dict[str, Any]) -> None:
    try:
        StudyFile.from_dict({"data": "t.csv", "tasks": ["a"], **said})
    except ConfigError as error:
        for problem in error.problems:
            assert "; however, " in str(problem)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="A study file must exist; however, there is no file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="there is no file"):
        load(tmp_path)
    (tmp_path / "b.yaml").write_bytes(b"data: \xff\xfe\n")
    with pytest.raises(ConfigError, match="A study file must be readable UTF-8 text"):
        load(tmp_path / "b.yaml")
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfdata: t.csv\ntasks: [a]\n")
    assert load(tmp_path / "bom.yaml").data.path == "t.csv"


def test_tables_describe_themselves_where_the_file_is_silent() -> None:
    import pyarrow as pa

    from sharewise.tables.read import read

    metadata: dict[str, Any] = {
        "row_id": "id",
        "split": "part",
        "time": "t",
        "group": None,
        "inputs": [{"name": "a", "kind": "numeric"}, {"name": "s", "kind": "text"}],
        "tasks": [],
    }
    columns = {"id": ["r"], "part": ["train"], "t": [1], "a": [1.0], "s": ["x"], "other": [1], "y": [1.0]}
    table = read(pa.table(columns).replace_schema_metadata({"mtl": json.dumps(metadata)}))
    said = StudyFile.from_dict({"data": "t", "tasks": ["y"]}).declaration(table)
    assert said.roles == {"id": "id", "split": "part", "time": "t"}
    assert said.inputs == (InputDeclaration("a", InputKind.NUMERIC), InputDeclaration("s", InputKind.TEXT))
    own = StudyFile.from_dict({"data": "t", "tasks": ["y"], "split": "random", "inputs": ["other"]}).declaration(table)
    assert own.split is None
    assert own.inputs == (InputDeclaration("other"),)


def test_json_schema_is_small_and_knows_every_name() -> None:
    schema = json_schema()
    text = json.dumps(schema)
    assert len(text) < 40_000
    for word in ("auroc", "hard", "equal", "mean", "regression", "embedding", "quick"):
        assert f'"{word}"' in text
    assert schema["required"] == ["data", "tasks"]
    assert schema["additionalProperties"] is False
    names = set(schema["$defs"])
    for reference in _references(schema):
        assert reference.removeprefix("#/$defs/") in names


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [r for value in node.values() for r in _references(value)]
    if isinstance(node, list):
        return [r for value in node for r in _references(value)]
    return []


def test_checking_a_file_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(BROKEN)
    code = (
        "import sys\nfrom sharewise.study.file import load\nfrom sharewise.errors import ConfigError\n"
        f"try:\n load({str(tmp_path / 'study.yaml')!r})\nexcept ConfigError: pass\n"
        "print([m for m in ('torch', 'pandas', 'sklearn', 'scipy', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_balance_is_a_name_or_a_section_and_its_short_forms() -> None:
    balance = {"sampler": {"name": "temperature", "temperature": 3.0}, "freeze": True, "stop": "primary"}
    said = {"data": "t.csv", "tasks": ["a", "b"], "balance": "nash", "candidates": [{"name": "x", "balance": balance}]}
    study = StudyFile.from_dict(said)
    assert study.balance.plain() == {"aggregator": {"name": "nash", "params": {}}}
    section = study.candidates[0].balance
    assert section is not None
    assert section.plain() == {
        "sampler": {"name": "temperature", "params": {"temperature": 3.0}},
        "freeze": {},
        "stop": {"watch": "primary"},
    }
    assert StudyFile.from_dict(study.to_dict()).candidates == study.candidates


def test_a_candidate_without_groups_shares_everything() -> None:
    study = StudyFile.from_dict({"data": "t.csv", "tasks": ["a", "b"], "candidates": [{"name": "x", "balance": "log"}]})
    tasks = TaskSet(tuple(Task(n, TaskKind.REGRESSION, (n,), "rmse") for n in "ab"))
    assert [g.tasks for g in study.plan(study.candidates[0], tasks).groups] == [("a", "b")]


def test_contradictory_limits_are_told_with_their_line_before_the_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    text = "data: none.csv\ntasks: [a, b, c]\nsearch:\n  together: [[a, b], [b, c]]\n  apart: [[a, c]]\n"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(path), 3)
    assert "'a' and 'c' must ship together and must not share" in str(problem)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"tuning": {"objective": {"hight": 2}}}, "for a task of the study; however, 'hight' is none. Did you mean"),
        ({"search": {"apart": [["height"]]}}, "'search.apart[1]' needs at least 2 entries; however, it has 1."),
    ],
)
def test_what_would_be_passed_over_in_silence_is_said(said: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        StudyFile.from_dict({"data": {"path": "t.csv"}, "tasks": ["height", "weight"], **said})
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"tuning": {"objective": {"height": -1}}}, "'tuning.objective.height' must be above 0; however, it is -1."),
        (
            {"tuning": {"objective": "best"}},
            "'tuning.objective' must be one of mean, worst or a mapping; however, it is 'best'.",
        ),
        ({"transfer": {"pairs": "bets"}}, "'transfer.pairs' must be auto or a list; however, it is 'bets'."),
    ],
)
def test_a_value_of_several_forms_gets_one_sentence_about_the_form_that_was_meant(
    said: dict[str, object], expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        StudyFile.from_dict({"data": {"path": "t.csv"}, "tasks": ["height", "weight"], **said})
    assert [str(problem) for problem in caught.value.problems] == [expected]
