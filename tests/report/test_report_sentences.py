"""The answer in words: right in singular and plural, and never more than the records say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import report_synthetic as synthetic
from report_synthetic import Made

from sharewise.plan import Group, Plan
from sharewise.records import Arm, Challenge, Phase, Receipt, Role, SetAside, Status
from sharewise.report import case, remarks, words
from sharewise.report.load import StudyRecords
from sharewise.report.rows import task_rows
from sharewise.report.sentences import Sentence, answer


def good(i: int, share: bool | None = None) -> Made:
    return Made(f"good{i}", effect=0.04, half=0.01, share=share)


def fine(i: int, share: bool | None = None) -> Made:
    return Made(f"fine{i}", effect=0.002, half=0.01, share=share)


def bad(i: int) -> Made:
    return Made(f"bad{i}", effect=-0.08, half=0.01)


def unsure(i: int, share: bool = False, half: float = 0.05) -> Made:
    return Made(f"open{i}", effect=0.0, half=half, share=share)


def said(records: StudyRecords) -> list[str]:
    return [sentence.text.replace(words.THIN, " ") for sentence in answer(records)]


HEADLINES = {
    "Share all 12 tasks in one model.": [good(i) for i in range(12)],
    "Share both tasks in one model.": [good(1), good(2)],
    "Share 3 of 12 tasks in one model; 9 stay alone.": [good(1), good(2), good(3), *map(bad, range(9))],
    "Share 2 of 3 tasks in one model; 1 stays alone.": [good(1), good(2), bad(3)],
    "Let the shared model answer 1 of 2 tasks; 1 stays alone.": [good(1), bad(2)],
    "Let the shared model answer 1 of 4 tasks; 3 stay alone.": [good(1), bad(2), bad(3), bad(4)],
    "Keep all 4 tasks alone: sharing harms every one of them.": [bad(i) for i in range(4)],
    "Keep both tasks alone: sharing harms both.": [bad(1), bad(2)],
    "Keep all 3 tasks alone: sharing harms 2 and is better for none.": [bad(1), bad(2), fine(3, share=False)],
    "Keep all 3 tasks alone: there is nothing to gain from sharing.": [fine(i, share=False) for i in range(3)],
    "Keep all 3 tasks alone for now: the evidence is not enough to clear sharing of harm for any of them.": [
        unsure(i) for i in range(3)
    ],
    "Keep both tasks alone: sharing did not earn its place, though it is better for 1.": [
        good(1, False),
        fine(2, False),
    ],
    "There is nothing to share: the study has one task, and its single-task model (lightgbm) answers it.": [good(1)],
}


@pytest.mark.parametrize("headline", HEADLINES)
def test_headline(headline: str) -> None:
    assert said(synthetic.study(HEADLINES[headline]))[0] == headline


def pooled(made: Sequence[Made], names: Sequence[str]) -> StudyRecords:
    """The study with the tasks `names` answered by one model of another kind."""
    records = synthetic.study(made)
    assert records.design is not None
    group = Group("pooled:all", tuple(names))
    arm = Arm("pooled", Role.ALTERNATIVE, Plan("pooled", (group,)), "LightGBM", 2)
    decisions = tuple(
        replace(d, arm="pooled", group=group.name, shared=False) if d.task in names else d for d in records.decisions
    )
    return replace(records, design=replace(records.design, arms=(*records.design.arms, arm)), decisions=decisions)


@pytest.mark.parametrize(
    ("made", "names", "headline"),
    [
        ([bad(0), bad(1)], ["bad0", "bad1"], "Let one pooled model answer both tasks and share no network: sharing"),
        ([bad(i) for i in range(3)], ["bad0", "bad2"], "Let one pooled model answer 2 of 3 tasks and keep the others"),
        ([good(0), good(1), bad(2), bad(3)], ["bad2", "bad3"], "in one model; one pooled model answers 2."),
        ([good(0), bad(1), bad(2), bad(3)], ["bad1", "bad2"], "one pooled model answers 2 and 1 stays alone."),
    ],
)
def test_what_a_pooled_model_answers_does_not_stay_alone(made: list[Made], names: list[str], headline: str) -> None:
    records = pooled(made, names)
    assert headline in said(records)[0]
    assert not any("Of the" in text and "stay alone" in text for text in said(records))


def test_two_pooled_models_are_two() -> None:
    records = pooled([bad(i) for i in range(4)], [f"bad{i}" for i in range(4)])
    assert records.design is not None
    pool = records.arms["pooled"]
    groups = (Group("pooled 1", ("bad0", "bad1")), Group("pooled 2", ("bad2", "bad3")))
    arms = tuple(replace(a, plan=Plan("pooled", groups)) if a is pool else a for a in records.design.arms)
    parted = tuple(replace(d, group=next(g.name for g in groups if d.task in g.tasks)) for d in records.decisions)
    two = replace(records, design=replace(records.design, arms=arms), decisions=parted)
    assert said(two)[0].startswith("Let two pooled models answer all 4 tasks and share no network")


SUPPORT: dict[str, Sequence[Made]] = {
    "No shipped task is harmed; it is better than its best single-task model.": [good(1), bad(2)],
    "No shipped task is harmed; both are better than their best single-task models.": [good(1), good(2), bad(3)],
    "No shipped task is harmed; all 3 are better than their best single-task models.": [good(1), good(2), good(3)],
    "No shipped task is harmed; 1 is better than its best single-task model.": [good(1), fine(2), bad(3)],
    "No shipped task is harmed.": [fine(1), fine(2), bad(3)],
    "Of the one that stays alone: sharing would harm it.": [good(1), good(2), bad(3)],
    "Of the one that stays alone: the evidence is not enough.": [good(1), good(2), unsure(3)],
    "Of the one that stays alone: sharing would do no harm, but does not earn its place.": [good(1), fine(2, False)],
    "Of the 2 that stay alone: sharing would harm 1 and the evidence is not enough to clear 1.": [
        good(1), bad(2), unsure(3),
    ],
    "Of the 3 that stay alone: sharing would harm every one.": [good(1), bad(2), bad(3), bad(4)],
    "Of the 2 that stay alone: the evidence is not enough to clear any.": [good(1), unsure(2), unsure(3)],
    "Of the 3 that stay alone: sharing would harm 2 and sharing would do no harm but does not earn its place for 1.": [
        bad(1), bad(2), fine(3, share=False),
    ],
    "The shared model was trained with all 3 tasks and answers 2 of them.": [good(1), good(2), bad(3)],
    "The shared model was trained with both tasks and answers 1 of them.": [good(1), bad(2)],
    "Only more test rows would settle the one open verdict.": [good(1), unsure(2)],
    "More runs would settle the one open verdict.": [good(1), unsure(2, half=0.028)],
    "Neither more runs nor more test rows alone can settle the one open verdict.": [good(1), unsure(2, half=0.08)],
    "Only more test rows would settle the 2 open verdicts.": [good(1), unsure(2), unsure(3)],
    "Of the 3 open verdicts, more runs would settle 1, only more test rows would settle 1, "
    "and neither runs nor test rows alone can settle 1.": [
        good(0), unsure(1, half=0.028), unsure(2), unsure(3, half=0.08),
    ],
}  # fmt: skip


@pytest.mark.parametrize("sentence", SUPPORT)
def test_supporting_sentences(sentence: str) -> None:
    assert sentence in said(synthetic.study(SUPPORT[sentence]))


def test_an_open_verdict_that_ships_is_never_called_unharmed() -> None:
    one = said(synthetic.study([good(1), unsure(2, share=True)]))[1]
    assert one.startswith("No shipped task is shown to be harmed; 1 is better than its best single-task model; ")
    assert "1 verdict is open, with " in one
    assert "probability of harm" in one
    two = said(synthetic.study([unsure(1, share=True), unsure(2, share=True)]))[1]
    assert two.startswith("No shipped task is shown to be harmed; both verdicts are open, each with at most ")


def test_a_harm_that_ships_is_said_first() -> None:
    harmed = [replace(bad(1), share=True), good(2)]
    assert said(synthetic.study(harmed))[1] == "Warning: bad1 ships shared although sharing harms it."
    harmed.append(replace(bad(3), share=True))
    assert said(synthetic.study(harmed))[1] == "Warning: bad1 and bad3 ship shared although sharing harms them."


def test_the_least_favourable_change_stands_beside_the_answer() -> None:
    lines = said(synthetic.study([good(1), fine(2), bad(3)]))
    worst = "The least favourable change among the tasks that share is +0.2 % [−0.8, +1.2] %, for fine2"
    assert lines[2] == f"{worst} (90 % interval)."


def test_tasks_set_aside() -> None:
    one = (SetAside("rare", "has no label in the test part"),)
    records = synthetic.study([good(1), good(2)], aside=one)
    assert said(records)[-1] == "Set aside before the study: rare, which has no label in the test part."
    records = synthetic.study([good(1), good(2)], aside=(*one, SetAside("none", "has one class only")))
    assert said(records)[-1] == "2 tasks were set aside before the study: rare and none."
    assert records.data is not None
    assert records.design is not None
    none_left = replace(
        records, design=replace(records.design, tasks=()), data=replace(records.data, tasks=()),
        verdicts=(), isolated=(), decisions=(), comparisons=(), runs=(), summary=None,
    )  # fmt: skip
    assert said(none_left)[0] == "No task could be studied: both were set aside."


def test_several_shared_models() -> None:
    records = synthetic.study([good(1), good(2), good(3), good(4)])
    moved = tuple(replace(d, group=f"plan:{1 + i // 2}") for i, d in enumerate(records.decisions))
    assert said(replace(records, decisions=moved))[0] == "Share all 4 tasks in two models."


def test_no_candidate_was_worth_a_test() -> None:
    records = synthetic.study([fine(1, False), fine(2, False), fine(3, False)])
    untested = replace(records, verdicts=(), isolated=(), comparisons=())
    assert said(untested)[0] == "Keep all 3 tasks alone: no shared plan earned a test on validation rows."


def test_an_unfinished_study_claims_nothing() -> None:
    records = synthetic.study(synthetic.FOUR)
    some = said(synthetic.interrupted(records, 7))
    assert some[0] == "No answer yet: 7 of at most 156 runs have ended."
    assert some[1].startswith("Run the same command again")
    assert len(some) == 2
    assert said(synthetic.interrupted(records, 1))[0] == "No answer yet: 1 of at most 156 runs has ended."
    assert said(synthetic.interrupted(records, 0))[0] == "No answer yet: no run has ended."
    half = replace(records, decisions=records.decisions[:3])
    assert said(half)[0] == "No full answer yet: 1 task of 4 has no decision."


def test_pooled_change_where_it_is_on_record() -> None:
    records = synthetic.study(synthetic.TWELVE)
    assert any(
        line.startswith("Over all 12 tasks together, sharing changes the score of a typical task by")
        for line in said(records)
    )


def test_tuning_is_called_equal_only_where_it_was() -> None:
    records = synthetic.study(synthetic.FOUR)
    sentence = remarks.equal_tuning(records, task_rows(records))
    assert sentence is not None
    assert sentence.text == "Every arm was tuned with the same number of trials: 4 for each of its models."
    fewer = replace(
        records, runs=tuple(r for r in records.runs if not (r.arm == "linear" and r.phase is Phase.TUNE and r.trial))
    )
    sentence = remarks.equal_tuning(fewer, task_rows(fewer))
    assert sentence is not None
    assert sentence.text == "Tuning was not equal: between 1 and 4 trials a model (fewest in linear)."
    assert remarks.equal_tuning(synthetic.interrupted(records, 9), ()) is None


def test_diverged_runs_are_counted() -> None:
    records = synthetic.study(synthetic.FOUR)
    broken = replace(records.runs[0], status=Status.DIVERGED, message="loss is not finite")
    sentence = remarks.diverged(replace(records, runs=(broken, *records.runs[1:])), ())
    assert sentence is not None
    assert sentence.text == "1 run of 156 did not end well (diverged) and is left out of every number."
    assert sentence.sources == (f"runs/{broken.run_id}.json",)
    assert remarks.diverged(records, ()) is None


def test_caution_explains_an_interval_that_is_clear_yet_open() -> None:
    records = synthetic.study([good(1), bad(2)])
    held = replace(
        records.verdicts[0],
        outcome=synthetic.Outcome.UNDECIDED,
        receipt=Receipt(None, 400, "79 test rows are too few for a change below three margins."),
    )
    records = replace(records, verdicts=(held, records.verdicts[1]))
    sentence = remarks.caution(records, task_rows(records))
    assert sentence is not None
    assert sentence.text.startswith(
        "For good1 the interval lies on one side of the margin, yet the test rows are too few"
    )


# --- provenance -------------------------------------------------------------------------------------------


@lru_cache
def _parsed(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8"))


def resolved(root: Path, pointer: str) -> object:
    """What a JSON pointer such as "verdicts.json#/3/comparison" points to; raises where there is nothing."""
    file, _, path = pointer.partition("#")
    value = _parsed(root / file)
    for step in path.split("/")[1:]:
        value = value[int(step)] if isinstance(value, list) else value[step]  # type: ignore[index]
    return value


@pytest.mark.parametrize(
    "made", [synthetic.FOUR, synthetic.TWELVE, synthetic.HOSTILE, synthetic.school(40), synthetic.FOUR[:1]]
)
def test_every_source_of_a_sentence_is_on_disk(made: Sequence[Made], tmp_path: Path) -> None:
    records = synthetic.study(made, aside=(SetAside("rare", "has no label"),), light=True)
    root = synthetic.write(records, tmp_path / "run")
    rows = task_rows(records)
    rules = (remarks.isolated, remarks.same_twice, remarks.protocol, remarks.chosen, remarks.luck, remarks.shipping)
    found: list[Sentence | None] = [*answer(records), *(rule(records, rows) for rule in rules)]
    sentences = [s for s in found if s is not None]
    assert len(sentences) > 3
    for sentence in sentences:
        assert sentence.sources, sentence.rule
        for source in sentence.sources:
            resolved(root, source)


def moved(made: Sequence[Made], name: str, instead_of: str) -> StudyRecords:
    """The study with one task answered by a network that started from other tasks' weights."""
    records = synthetic.study(made)
    assert records.design is not None
    arm = Arm("pretrained", Role.TRANSFER, Plan("pretrained", (Group("p", (name,)),)), "neural net", 2)
    decisions = tuple(
        replace(d, arm="pretrained", group="p", shared=False) if d.task == name else d for d in records.decisions
    )
    won = Challenge(name, "transfer", "pretrained", "p", instead_of, None, None, None, None, 1, True, "it won")
    design = replace(records.design, arms=(*records.design.arms, arm))
    return replace(records, design=design, decisions=decisions, challenges=(won,))


def test_a_task_that_transfer_answers_is_told_as_such() -> None:
    shared = next(arm.name for arm in synthetic.study([good(1), bad(2)]).arms.values() if arm.role is Role.CANDIDATE)
    told = said(moved([good(1), good(2), bad(3)], "good1", shared))
    assert (
        told[0]
        == "Let the shared model answer 1 of 3 tasks; 2 stay alone, 1 of them started from other tasks' weights."
    )
    clauses = "sharing would harm 1 and sharing earned its place, but transfer took over 1"
    assert f"Of the 2 that stay alone: {clauses}." in told


def test_harm_that_a_transferred_network_answers_is_not_said_to_be_answered_by_a_single_task_model() -> None:
    records = moved([good(1), bad(2)], "bad2", "single")
    rows = task_rows(records)
    for made in (case.found_harm(records, rows), case.least_favourable(records, rows)):
        assert made is not None
        assert "a network of its own that started from other tasks' weights" in made.text


def test_no_gain_is_shown_where_verdicts_are_open() -> None:
    told = said(synthetic.study([unsure(1), fine(2, share=False)]))
    assert told[0] == "Keep both tasks alone: no gain from sharing is shown."
