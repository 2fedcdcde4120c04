"""Limits of a search against the tasks that a study turns out to have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sharewise.errors import ConfigError
from sharewise.study.file import StudyFile
from sharewise.study.limits import check, remarks, standing
from sharewise.study.search_section import SearchSection
from sharewise.study.study import Study


def section(**said: Any) -> SearchSection:
    return SearchSection.model_validate(said)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"apart": [["y", "y@1"]]}, "names single tasks; however, 'y' stands for 2 of them. Write 'y@1', 'y@2'"),
        ({"apart": [["y@1", "y@3"]]}, "names tasks of the study; however, 'y@3' is none"),
        ({"together": [["a", "helper"]]}, "'helper' of 'together' is auxiliary. Remove it there"),
        ({"apart": [["y@1", "y@2", "a"]], "max_models": 2}, "3 tasks must not share with one another"),
    ],
)
def test_what_is_no_limit_is_refused(said: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        check(section(**said), ["a", "y@1", "y@2", "helper"], ["helper"], {"a": ["a"], "y": ["y@1", "y@2"]})
    assert says in str(error.value)


def test_a_helper_may_be_kept_apart_and_needs_no_model_of_its_own() -> None:
    said = section(apart=[["a", "b", "helper"]], max_models=2)
    check(said, ["a", "b", "helper"], ["helper"])
    read = StudyFile.from_dict(
        {
            "data": {"path": "t.csv"},
            "tasks": ["a", "b", {"name": "helper", "auxiliary": True}],
            "search": {"apart": [["a", "helper"]]},
        }
    )
    assert read.search.apart == (("a", "helper"),)


def test_what_was_set_aside_needs_no_limit() -> None:
    log: list[str] = []
    said = section(apart=[["a", "gone"], ["a", "b", "gone"]], together=[["c", "gone"]], max_models=3)
    left = standing(said, {"gone": "has no label"}, log.append)
    assert (left.apart, left.together, left.max_models) == ((("a", "b"),), (), 3)
    assert log == ["The search's limits stand without 'gone', set aside."]
    assert standing(said, {}, log.append) is said


def test_what_binds_nothing_is_said() -> None:
    given = section(together=[["a", "b"]], max_models=2)
    (idle,) = remarks(given, {}, searches=False)
    assert idle.startswith("'together' and 'max_models' of the search shape only plans that it finds")
    assert remarks(section(apart=[["a", "b"]]), {}, searches=False) == []
    cut, whole = {"x": [["a", "c"]]}, {"y": [["a", "b", "c"]]}
    (said,) = remarks(given, {**cut, **whole}, searches=True)
    assert said.startswith("Candidate 'x' has no one model for 'a' and 'b'")


def test_groups_of_a_study_that_does_not_search_are_kept_apart_or_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pa.table({"x": random.normal(size=240), "g": np.arange(240) % 3, "y": random.normal(size=240)})

    def design(*kept: str) -> Any:
        limits = {"method": "off", "apart": [[*kept]]}
        made = Study(table, [{"name": "y", "by": "g"}], alternatives=["pooled"], search=limits, budget="quick")
        return made.session(tmp_path).design()[0]

    with pytest.raises(ConfigError, match="'y@7' is none"):
        design("y@0", "y@7")
    arms = {a.name: [g.tasks for g in a.plan.groups if len(g.tasks) > 1] for a in design("y@0", "y@1").record.arms}
    assert arms["together"] == arms["pooled"] == [("y@0", "y@2")]
