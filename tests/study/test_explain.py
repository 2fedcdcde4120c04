"""The judging rule and the interventions' parts, on comparisons and tables with known truth."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made_comparisons import comparison  # type: ignore[import-not-found]

from sharewise.causes import Effect, Ending, Shift, Trial
from sharewise.errors import ConfigError
from sharewise.metrics import metric
from sharewise.plan import Choice, Group, Plan
from sharewise.records import Curve, DesignRecord, Phase, RunRecord, Status, StudySummary
from sharewise.study.compare import Pair
from sharewise.study.design import Variant
from sharewise.study.explain import CATALOGUE
from sharewise.study.explain.base import Case, lowest
from sharewise.study.explain.bench import Bench, Recipe, without_labels
from sharewise.study.explain.inquiry import LOOKS, Detective, Question
from sharewise.study.explain.partner import without
from sharewise.study.explain.partner_data import suspects
from sharewise.study.explain.scene import Scene
from sharewise.study.explain.shift import convicting, effect_of, promising, shift
from sharewise.study.judge import judge
from sharewise.study.prepare import Prepared
from sharewise.study.study import Study
from sharewise.tasks import Task, TaskKind

TASK = Task("t", TaskKind.REGRESSION, ("t",), "rmse")


def pair(
    rng: np.random.Generator,
    hard: np.ndarray,
    scales: tuple[float, float],
    luck: float,
    baseline: Pair | None,
    n_runs: int = 5,
) -> Pair:
    """Five runs an arm whose errors have these sizes; `hard` (n,) is what all runs share of each row."""
    n = len(hard)

    def runs(scale: float) -> list[np.ndarray]:
        sizes = scale * np.exp(luck * rng.normal(size=n_runs))
        return [s * (0.9 * hard + np.sqrt(1 - 0.81) * rng.normal(size=n))[:, None] for s in sizes]

    one = runs(scales[0]) if baseline is None else list(baseline.baseline)
    two = runs(scales[1])
    truth, present = np.zeros((n, 1)), np.ones((n, 1), dtype=bool)
    ids = ("b1", "b2", "b3", "b4", "b5")
    return Pair(TASK, truth, present, "single", "together", one, two, ids, ("m1",))


@pytest.mark.parametrize(("true", "least", "most"), [(0.0, 0.0, 0.08), (0.15, 0.9, 1.0)])
def test_a_change_that_does_nothing_is_seen_to_move_the_task_in_one_of_twenty(
    true: float, least: float, most: float
) -> None:
    moved, inside = 0, 0
    for repetition in range(200):
        rng = np.random.default_rng([4, repetition])
        hard = rng.normal(size=300)
        before = pair(rng, hard, (1.0, 1.2), 0.03, None)
        after = pair(rng, hard, (1.0, 1.2 * np.exp(-true)), 0.03, before)
        found = shift(before, after, 0.05)
        assert isinstance(found, Shift)
        moved += found.low > 0
        inside += found.low <= true <= found.high
    # Truth is log(1.2) - log(1.2 exp(-true)), in closed form; 200 repetitions, standard error about 1.6 points.
    assert least <= moved / 200 <= most
    assert 0.85 <= inside / 200 <= 0.97


def test_with_its_own_baseline_both_arms_count() -> None:
    rng = np.random.default_rng(1)
    hard = rng.normal(size=2000)
    before = pair(rng, hard, (1.0, 1.3), 0.01, None)
    after = replace(pair(rng, hard, (0.8, 0.8 * 1.3), 0.01, None), baseline_runs=("c1",))
    found = shift(before, after, 0.05)
    assert isinstance(found, Shift)
    # Both models improved by a fifth: nothing of the gap has closed.
    assert found.low < 0 < found.high
    assert abs(found.effect) < 0.02


def test_entities_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    hard = np.repeat(rng.normal(size=100), 10)
    before = pair(rng, hard, (1.0, 1.2), 0.01, None)
    after = pair(rng, hard, (1.0, 1.1), 0.01, before)
    plain = shift(before, after, 0.05)
    clusters = np.repeat(np.arange(100), 10)
    grouped = shift(replace(before, clusters=clusters), replace(after, clusters=clusters), 0.05)
    assert isinstance(plain, Shift)
    assert isinstance(grouped, Shift)
    assert grouped.effect == pytest.approx(plain.effect)
    assert grouped.high - grouped.low > plain.high - plain.low


def test_a_score_that_is_not_finite_is_said() -> None:
    rng = np.random.default_rng(3)
    before = pair(rng, rng.normal(size=50), (1.0, 1.2), 0.01, None)
    broken = replace(before, candidate=[np.full((50, 1), np.nan)])
    assert isinstance(shift(before, broken, 0.05), str)
    assert metric("rmse").per_row(before.truth, before.present, broken.candidate[0]) is None


def moved(effect: float, half: float = 0.02) -> Shift:
    return Shift(effect, effect - half, effect + half, 8.0, 0.05)


@pytest.mark.parametrize(
    ("after", "shift_", "expected"),
    [
        (0.0, moved(0.3), Effect.REMOVES),
        (-0.01, moved(0.29), Effect.REMOVES),
        (-0.05, moved(0.25), Effect.MOST),
        (-0.12, moved(0.18), Effect.EASES),
        (-0.2, moved(0.1), Effect.LITTLE),
        (0.0, moved(0.3, half=0.4), Effect.LITTLE),
    ],
)
def test_the_rule(after: float, shift_: Shift, expected: Effect) -> None:
    assert effect_of(comparison(-0.3), comparison(after), shift_) is expected


def test_what_helps_the_single_model_as_much_is_no_cause() -> None:
    found = effect_of(comparison(-0.3), comparison(-0.29), moved(0.01), comparison(0.2))
    assert found is Effect.BOTH
    # A change that removes the harm is a cause even where the single model gains a little too.
    assert effect_of(comparison(-0.3), comparison(0.0), moved(0.3), comparison(0.05)) is Effect.REMOVES


def tried(*found: tuple[Effect, float]) -> list[Trial]:
    return [Trial("i", str(n), "", effect, "", shift=moved(size)) for n, (effect, size) in enumerate(found)]


def test_the_first_that_removes_convicts_and_a_narrow_change_stands_for_a_broad_one() -> None:
    assert convicting(tried((Effect.LITTLE, 0.0), (Effect.BOTH, 0.0))) is None
    assert convicting(tried((Effect.EASES, 0.2), (Effect.MOST, 0.28), (Effect.REMOVES, 0.3))) == 1
    assert convicting(tried((Effect.EASES, 0.17), (Effect.LITTLE, 0.1), (Effect.EASES, 0.2))) == 0
    assert convicting(tried((Effect.EASES, 0.15), (Effect.EASES, 0.23))) == 1


# --- more runs for what is promising ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "moved_", "expected"),
    [
        (-0.1, moved(0.2, half=0.3), True),
        (-0.01, moved(0.29, half=0.4), True),
        # Proven, too small, or so uncertain that four times the runs would not do.
        (-0.1, moved(0.2, half=0.1), False),
        (-0.2, moved(0.1, half=0.3), False),
        (-0.1, moved(0.2, half=0.7), False),
        (-0.4, moved(-0.1, half=0.3), False),
    ],
)
def test_what_more_runs_may_still_convict(after: float, moved_: Shift, expected: bool) -> None:
    assert promising(comparison(-0.3), comparison(after), moved_) is expected


def test_three_looks_together_keep_to_the_error_of_one() -> None:
    assert sum(share for _, share in LOOKS) <= 1.0
    convicted = 0
    for repetition in range(150):
        rng = np.random.default_rng([5, repetition])
        # Mostly run luck, where another look brings the most news.
        hard = rng.normal(size=100)
        before = pair(rng, hard, (1.0, 1.3), 0.15, None, 20)
        after = pair(rng, hard, (1.0, 1.3), 0.15, before, 20)
        for times, share in LOOKS:
            found = shift(first(before, 5 * times), first(after, 5 * times), 0.05 * share)
            assert isinstance(found, Shift)
            if found.low > 0:
                convicted += 1
                break
    # 5 % may; the standard error of the count is 1.8 points.
    assert convicted / 150 <= 0.05 + 2 * 0.018


def first(p: Pair, n_runs: int) -> Pair:
    return replace(p, baseline=p.baseline[:n_runs], candidate=p.candidate[:n_runs], baseline_runs=("b",))


class Told(Bench):
    """A bench that trains nothing: the error of a run follows from its arm, its luck from its number."""

    def __init__(self, prepared: Prepared, sizes: dict[str, float], luck: float) -> None:
        self.prepared, self.seed, self.n_runs, self.made = prepared, 0, 5, set()
        self.sizes, self.luck = sizes, luck
        self.known: dict[str, tuple[str, int]] = {}

    def carry_out(self, runs, variants, progress, hidden):  # type: ignore[no-untyped-def]
        self.known |= {run.run_id: (run.arm, run.seed) for run in runs}
        made = []
        for run in runs:
            tasks = run.group.tasks
            found = record(tasks, dict.fromkeys(tasks, (0.3, 0.1)), 2, (1.0,) * len(tasks))
            made.append(replace(found, run_id=run.run_id))
        return made

    def pair(self, task, names, baseline, candidate):  # type: ignore[no-untyped-def]
        sides = [[self.answers(r.run_id) for r in records] for records in (baseline, candidate)]
        ids = [tuple(r.run_id for r in records) for records in (baseline, candidate)]
        return Pair(TASK, np.zeros((400, 1)), np.ones((400, 1), dtype=bool), *names, *sides, *ids)

    def answers(self, run_id: str) -> np.ndarray:
        arm, seed = self.known[run_id]
        own = np.random.default_rng([seed, zlib.crc32(arm.encode())])
        size = self.sizes.get(arm, self.sizes[arm.split(",")[0]]) * np.exp(self.luck * own.normal())
        hard = np.random.default_rng(1).normal(size=400)
        made: np.ndarray = size * (0.95 * hard + 0.3 * own.normal(size=400))[:, None]
        return made


def test_a_promising_change_gets_more_runs_and_no_other(prepared: Prepared) -> None:
    group = Group("together", ("a", "b", "c"))
    shared = Variant(Choice("hard", {"width": 16, "depth": 3}), {})
    alone = Recipe(Variant(Choice("hard", {"width": 16, "depth": 3}), {}), 0, {})
    question = Question("together", "single", group, Recipe(shared, 0, {}), dict.fromkeys("abc", alone), ("a",))
    sizes = {"single": 1.0, "together": 1.35, "together, split at 1": 1.05}
    bench = Told(prepared, sizes, 0.12)
    detective = Detective(bench, question)
    detective.repeat()
    found = detective.explain("a")
    by_change = {t.change: t for t in found.trials}
    assert found.convicted is not None
    assert found.trials[found.convicted].change == "split at 1"
    assert by_change["split at 1"].n_runs > 5
    assert by_change["split at 2"].n_runs == 5
    # Nothing but the change that needed it was trained more often, beside the unchanged models it is compared with.
    count = Counter(arm for arm, _ in bench.known.values())
    assert {arm for arm, n in count.items() if n > 5} == {"single", "together", "together, split at 1"}
    assert count["together, split at 1"] == count["together"] == by_change["split at 1"].n_runs


# --- parts of interventions -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Three tasks of 400 rows; a fifth of the labels of `b` are flipped, the labels of `c` are a coin's."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(600, 4))
    flipped = rng.random(600) < 0.2
    table = pa.table(
        {
            **{f"x{i}": x[:, i] for i in range(4)},
            "a": x[:, 0] + 0.1 * rng.normal(size=600),
            "b": np.where((x[:, 1] > 0) ^ flipped, "yes", "no"),
            "c": np.where(rng.random(600) < 0.5, "yes", "no"),
            "part": np.array(["train"] * 350 + ["validation"] * 50 + ["test"] * 200),
        }
    )
    study = Study(table, ["a", "b", "c"], split={"column": "part"}, budget="quick")
    made: Prepared = study.session(tmp_path_factory.mktemp("run")).design()[1]
    return made


def record(
    tasks: tuple[str, ...], losses: dict[str, tuple[float, ...]], best: int, weights: tuple[float, ...]
) -> RunRecord:
    epochs = tuple(range(1, len(next(iter(losses.values()))) + 1))
    return RunRecord(
        "r", "together", "g", Phase.CONFIRM, tasks, 0, 0, {}, Status.DONE,
        best_epoch=dict.fromkeys(tasks, best),
        curves={t: Curve(epochs, v, v, (None,) * len(v)) for t, v in losses.items()},
        effective_weights=dict(zip(tasks, weights, strict=True)),
    )  # fmt: skip


@pytest.fixture
def case(prepared: Prepared) -> Case:
    """The loss of `a` is least at its second epoch, the group's is the fourth; its weight is 1 of 101."""
    group = ("a", "b", "c")
    balance = {"weighting": {"name": "static", "params": {"weights": {"b": 100.0, "a": 1.0}}}}
    losses = {"a": (0.5, 0.2, 0.3, 0.4), "b": (0.6, 0.5, 0.4, 0.3), "c": (0.7, 0.7, 0.7, 0.7)}
    single = {t: record((t,), {t: (0.3, 0.1) if t != "c" else (0.7, 0.7)}, 2, (1.0,)) for t in group}
    return Case(
        "a", Group("together", group), Variant(Choice("hard", {"width": 16, "depth": 3}), balance),
        Variant(Choice("hard"), {}), prepared, (record(group, losses, 4, (0.01, 0.98, 0.01)),),
        (single["a"],), {t: single[t] for t in "bc"},
    )  # fmt: skip


def test_signals_point_where_they_should_and_only_rank(case: Case) -> None:
    said = {n: CATALOGUE.build(n).suspicion(case) for n in CATALOGUE}
    checkpoint, scale, data = said["checkpoint"], said["scale"], said["partner data"]
    assert checkpoint is not None
    assert scale is not None
    assert data is not None
    # (0.4 - 0.2) of (0.4 - 0.1) is two thirds of the gap.
    assert checkpoint.value == pytest.approx(2 / 3)
    assert scale.value == pytest.approx(0.01)
    assert scale.strength == 1.0
    assert data.strength > 0.5
    assert "'c'" in data.sentence
    assert said["surgery"] is None


def test_skill_is_counted_against_the_best_constant_on_the_same_rows(case: Case, prepared: Prepared) -> None:
    record_ = case.single[0]
    rows, where = prepared.rows_of("a", "validation"), prepared.targets.slices[prepared.tasks.index("a")]
    constant = float(np.mean(np.asarray(prepared.targets.values)[rows, where] ** 2))
    asked = replace(case, others={"a": record_})
    least = lowest(record_.curves["a"])
    assert least is not None
    assert asked.skill("a") == pytest.approx(1 - least / constant, rel=1e-4)


def test_what_was_wrong_before_sharing_is_tried_before_what_would_hide_it(case: Case, prepared: Prepared) -> None:
    question = Question("together", "single", case.group, Recipe(case.shared_variant, 0, {}), {}, ("a",))
    detective = Detective(Told(prepared, {}, 0.0), question)
    said = [h for i in detective.interventions if (h := i.suspicion(case)) is not None]
    # Weights that leave the task a hundredth are the surer fault; without them it is the partner's labels.
    assert [i.name for i in detective._ordered(said)][:2] == ["scale", "partner data"]
    weighed_alike = [h for h in said if h.intervention != "scale"]
    assert detective._ordered(weighed_alike)[0].name == "partner data"
    assert detective._ordered(())[0].name == "checkpoint"


def test_every_intervention_changes_one_thing(case: Case) -> None:
    base = case.shared_variant
    for name in CATALOGUE:
        for change in CATALOGUE.build(name).changes(case):
            differs = [
                change.shared.architecture != base.architecture,
                change.shared.recipe != base.recipe,
                change.shared.balance != base.balance and change.without is None,
                change.without is not None or bool(change.hidden),
            ]
            assert sum(differs) == 1, change.name
            both = name == "capacity" or "steps" in change.name
            assert (change.alone is not None) == both


def test_a_partner_takes_its_weight_along(case: Case) -> None:
    assert without(case, "b").balance["weighting"]["params"]["weights"] == {"a": 1.0}


def test_only_the_named_labels_are_hidden(prepared: Prepared) -> None:
    rows = prepared.rows_of("b", "train")[:20].astype(np.int64)
    less = without_labels(prepared, {"b": rows})
    assert len(less.rows_of("b", "train")) == len(prepared.rows_of("b", "train")) - 20
    assert len(less.rows_of("a", "train")) == len(prepared.rows_of("a", "train"))
    assert len(less.rows_of("b", "test")) == len(prepared.rows_of("b", "test"))
    assert without_labels(prepared, {}) is prepared
    everything = np.concatenate([prepared.rows_of("b", part) for part in ("train", "validation")]).astype(np.int64)
    assert not len(without_labels(prepared, {"b": everything}).rows_of("b", "train"))


def test_flipped_labels_are_found_and_a_coin_is_noise_as_a_whole(
    case: Case, prepared: Prepared, tmp_path: Path
) -> None:
    rng = np.random.default_rng(7)
    rng.normal(size=(600, 4))
    flipped = rng.random(600) < 0.2
    found = suspects(case, "b")
    wrong = np.flatnonzero(flipped[:400])
    assert len(np.intersect1d(found, wrong)) > 0.75 * len(wrong)
    assert len(np.setdiff1d(found, wrong)) < 0.1 * 400
    assert len(suspects(case, "c")) == 400


# --- which tasks are explained ----------------------------------------------------------------------------


def scene(folder: Path, isolated: dict[str, float], best: dict[str, float]) -> Scene:
    """A study with these changes against the same architecture, and against the best single-task models."""
    tasks = tuple(replace(TASK, name=name) for name in ("a", "b", "lone"))
    design = DesignRecord("s", "quick", tasks, (), (), 0, 1, 1, 3, 10)
    summary = StudySummary("together", "", Plan.all_together("ab"), "", "", {}, "", "cpu", 1, 1, 1, 0, 1.0, "", "")
    made = [tuple(judge(comparison(e, task=t)) for t, e in found.items()) for found in (best, isolated)]
    return Scene(folder, design, {}, summary, made[0], made[1])


def test_a_task_that_is_not_harmed_is_said_to_be_so(tmp_path: Path) -> None:
    found = scene(tmp_path, {"a": 0.01, "b": -0.3}, {"a": -0.2, "b": -0.3})
    assert found.asked(None) == (("b",), ())
    assert found.asked("b") == (("b",), ())
    tasks, said = found.asked("a")
    assert tasks == ()
    # Harmed against the best single-task model, which is of another kind: sharing did not do it.
    assert said[0].ending is Ending.NOT_HARMED
    assert "It is not sharing that makes 'a' worse" in said[0].sentence
    assert "shares no model" in found.asked("lone")[1][0].sentence
    unharmed = scene(tmp_path, {"a": 0.01}, {"a": 0.01}).asked("a")[1][0]
    assert "not shown to be harmed" in unharmed.sentence
    # Worse, but within the margin: explained where it is asked about by name.
    slightly = scene(tmp_path, {"a": -0.012}, {"a": -0.012})
    assert slightly.asked(None) == ((), ())
    assert slightly.asked("a") == (("a",), ())


def test_an_unknown_task_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'lone'"):
        scene(tmp_path, {"a": 0.0}, {}).asked("lonee")
