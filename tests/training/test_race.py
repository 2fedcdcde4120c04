"""Members that compete: across stacks, at their own pace, and without a trace on those that stay."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from sharewise.models.build import GroupModel, slots_of
from sharewise.plan import Choice
from sharewise.records import Status
from sharewise.training.cohort import Cohort
from sharewise.training.data import TrainingData
from sharewise.training.race import Place, Race, halved
from sharewise.training.recipe import Recipe, Tuned
from sharewise.training.results import FitResult, Member

RECIPE = Recipe(epochs=8, min_steps=80, batch_size=32, patience=99)
PAUSES = (0.25, 0.5)


def cohorts(data: TrainingData, only: set[str] | None = None) -> list[Cohort]:
    """Two stacks, of nets of 16 and of 24 units; "a" has all tasks, "b" one, so that their steps differ."""
    made = []
    for width in (16, 24):
        for tasks, letter in (((0, 1, 2), "a"), ((1,), "b")):
            some = [
                Member(f"{letter}{width}{i}", tasks, i, Tuned(lr=(0.3e-3, 1e-3, 6e-3)[i], dropout=0.1 * i))
                for i in range(3)
            ]
            some = [m for m in some if only is None or m.run_id in only]
            if some:
                model = GroupModel(
                    {"n_numeric": 6}, Choice("hard", {"width": width}), slots_of([data.tasks.tasks[t] for t in tasks])
                )
                made.append(Cohort(some, model, data, RECIPE))
    return made


def contests(made: list[Cohort]) -> list[list[Place]]:
    places = [[(n, m) for n, c in enumerate(made) for m, _ in enumerate(c.members)]]
    return [[(n, m) for n, m in places[0] if made[n].members[m].run_id[0] == letter] for letter in "ab"]


def raced(data: TrainingData) -> tuple[Race, dict[str, FitResult], list[tuple[int, int, dict[int, float]]]]:
    made, seen = cohorts(data), []

    def judge(contest: int, pause: int, found: Mapping[int, float]) -> set[int]:
        seen.append((contest, pause, dict(found)))
        return set(sorted(found, key=lambda i: found[i])[halved(6, pause) :])

    race = Race(made, contests(made), PAUSES, judge)
    race.run()
    return race, {r.member.run_id: r for c in made for r in c.results(("validation",))}, seen


def test_contests_over_two_stacks_are_judged_once_at_each_pause(three_tasks: TrainingData) -> None:
    race, results, seen = raced(three_tasks)
    assert sorted((c, p) for c, p, _ in seen) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for contest, pause, found in seen:
        assert len(found) == (6, 3)[pause]
        assert {i for i, s in enumerate(race.standings[contest]) if len(s) > pause} == set(found)
    for letter in "ab":
        ended = [r for name, r in results.items() if name[0] == letter and r.status is Status.DONE]
        assert len(ended) == halved(6, 1) == 2
    gone = [r for r in results.values() if r.status is Status.DROPPED]
    for letter, at in (("a", {2, 4}), ("b", {3, 5})):
        epochs = {r.epochs for r in gone if r.member.run_id[0] == letter}
        assert epochs == at, "a quarter and a half of eight epochs, of ten where there are fewer batches"
    assert all("was behind after" in r.message for r in gone)


def test_who_stays_trains_as_if_alone(three_tasks: TrainingData) -> None:
    _, results, _ = raced(three_tasks)
    stayed = {name for name, r in results.items() if r.status is Status.DONE}
    for cohort in cohorts(three_tasks, stayed):
        for alone in cohort.fit():
            mine = results[alone.member.run_id]
            assert mine.best_epoch == alone.best_epoch
            for task, predicted in alone.predictions["validation"].items():
                np.testing.assert_allclose(mine.predictions["validation"][task], predicted, rtol=1e-3, atol=1e-3)


def test_nobody_waits_for_one_that_is_through(three_tasks: TrainingData) -> None:
    """A member that has stopped for want of progress counts by its best and keeps nobody waiting."""
    recipe = Recipe(epochs=8, min_steps=80, batch_size=32, patience=1)
    task = [three_tasks.tasks.tasks[1]]
    made = []
    for width, lr in ((16, 5.0), (24, 1e-3)):
        model = GroupModel({"n_numeric": 6}, Choice("hard", {"width": width}), slots_of(task))
        made.append(Cohort([Member(f"m{width}", (1,), 0, Tuned(lr=lr))], model, three_tasks, recipe))
    Race(made, [[(0, 0), (1, 0)]], PAUSES, lambda c, p, found: set()).run()
    assert [c.results(())[0].status for c in made] == [Status.DONE, Status.DONE]


@pytest.mark.parametrize(("n", "left"), [(16, (8, 4)), (6, (3, 2)), (5, (3, 2)), (1, (1, 1))])
def test_a_half_stays(n: int, left: tuple[int, int]) -> None:
    assert (halved(n, 0), halved(n, 1)) == left
