"""What figures and tables say beside the answer: rules as in `sentences`, each with the records it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sharewise.records import Phase, RunRecord, Status
from sharewise.report import words
from sharewise.report.load import StudyRecords
from sharewise.report.rows import State, TaskRow, cautious, state_of
from sharewise.report.sentences import Sentence


def isolated(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What sharing itself does, with everything else held equal."""
    found = [(row, state_of(row.isolated)) for row in rows if row.isolated is not None]
    if not found:
        return None
    n = len(found)
    if n == 1:
        row, state = found[0]
        text = f"Against the same architecture trained alone, the verdict for {row.name} is: {state.value}."
        return Sentence("isolated", text, (row.isolated_at,))
    helped = sum(state is State.BETTER for _, state in found)
    harmed = sum(state is State.HARM for _, state in found)
    open_ = sum(state is State.UNDECIDED for _, state in found)
    text = (
        f"Against the same architecture trained alone, sharing helps {_some(helped, n)} and harms {_some(harmed, n)} "
        f"of {words.plural(n, 'task')}; {_some(open_, n)} {words.verb(max(open_, 1), 'is', 'are')} open."
    )
    return Sentence("isolated", text, tuple(row.isolated_at for row, _ in found))


def same_twice(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Where the best single-task model is the same architecture alone, both comparisons are one."""
    same = [
        row
        for row in rows
        if row.verdict is not None
        and row.isolated is not None
        and row.verdict.comparison.baseline == row.isolated.comparison.baseline
    ]
    if not same:
        return None
    subject = "the task's" if len(same) == 1 else "their"
    text = (
        f"For {words.listing(row.name for row in same)} that is {subject} best single-task model as well, "
        f"so that both columns show one comparison."
    )
    return Sentence("same comparison", text, tuple(row.isolated_at for row in same))


def caution(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Verdicts that stay open although their interval is clear of the margin."""
    held = [row for row in rows if cautious(row)]
    if not held:
        return None
    text = (
        f"For {words.listing(row.name for row in held)} the interval lies on one side of the margin, yet the test rows "
        f"are too few to trust {words.verb(len(held), 'it', 'them')}: the verdict stays open."
    )
    return Sentence("caution", text, tuple(f"{row.verdict_at}/receipt" for row in held))


def _some(k: int, n: int) -> str:
    return "none" if k == 0 else "all" if k == n and n > 1 else words.count(k)


def equal_tuning(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Whether every arm had the same number of tuning trials, counted in the run records."""
    trials = trials_per_arm(records.runs)
    if not trials or all(run.phase is Phase.TUNE for run in records.runs):
        return None  # tuning may still be going on
    lows, highs = min(low for low, _ in trials.values()), max(high for _, high in trials.values())
    sources = tuple(sorted({f"runs/ (arm {arm}, phase tune)" for arm in trials}))
    if lows == highs:
        text = f"Every arm was tuned with the same number of trials: {words.count(lows)} for each of its models."
        dropped = sum(run.status is Status.DROPPED for run in records.runs)
        if dropped:
            tuned = sum(run.phase is Phase.TUNE for run in records.runs)
            left = words.verb(dropped, "was behind and left before its end", "were behind and left before their end")
            text += f" {words.count(dropped)} of {words.plural(tuned, 'trial')} {left}."
        return Sentence("equal tuning", text, sources)
    least = min(trials, key=lambda arm: trials[arm][0])
    text = (
        f"Tuning was not equal: between {words.count(lows)} and {words.plural(highs, 'trial')} a model "
        f"(fewest in {least})."
    )
    return Sentence("unequal tuning", text, sources)


def tuned_as_designed(records: StudyRecords) -> bool:
    """Whether every model had the trials that the design says, all of them to their end."""
    d = records.design
    dropped = any(run.status is Status.DROPPED for run in records.runs)
    return d is not None and not dropped and {*trials_per_arm(records.runs).values()} == {(d.tuning_runs,) * 2}


def trials_per_arm(runs: Iterable[RunRecord]) -> dict[str, tuple[int, int]]:
    """Fewest and most distinct tuning trials that any group of an arm had, by arm."""
    seen: dict[str, dict[str, set[int]]] = {}
    for run in runs:
        if run.phase is Phase.TUNE:
            seen.setdefault(run.arm, {}).setdefault(run.group, set()).add(run.trial)
    return {arm: (min(map(len, groups.values())), max(map(len, groups.values()))) for arm, groups in seen.items()}


def diverged(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Runs that did not end well."""
    bad = [run for run in records.runs if run.status not in (Status.DONE, Status.DROPPED)]
    if not bad:
        return None
    text = (
        f"{words.plural(len(bad), 'run')} of {words.count(len(records.runs))} did not end well "
        f"({words.listing(sorted({run.status.value for run in bad}))}) and {words.verb(len(bad), 'is', 'are')} left "
        f"out of every number."
    )
    return Sentence("diverged", text, tuple(f"runs/{run.run_id}.json" for run in bad))


# --- how it was decided -----------------------------------------------------------------------------------


def protocol(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Tuning, selection and confirmation in a sentence."""
    d = records.design
    if d is None:
        return None
    more = ""
    if d.most_runs > d.confirmation_runs:
        more = f" (up to {words.count(d.most_runs)} where run luck, seen on validation rows, leaves a task open)"
    text = (
        f"Each arm is tuned with {words.plural(d.tuning_runs, 'trial')} a model and compared on validation rows; the "
        f"chosen plan and its baselines are then retrained with "
        f"{words.plural(d.confirmation_runs, 'fresh seed')}{more}, and the test rows are opened once."
    )
    where = ("design.json#/tuning_runs", "design.json#/confirmation_runs", "design.json#/most_runs")
    return Sentence("protocol", text, where)


def runs_made(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """How many runs the verdicts rest on, where that is not the same for all."""
    d = records.design
    found = [(i, v.comparison) for i, v in enumerate(records.verdicts)]
    shared, alone = [c.n_candidate_runs for _, c in found], [c.n_baseline_runs for _, c in found]
    if d is None or {*shared, *alone} <= {d.confirmation_runs}:
        return None
    text = (
        f"The verdicts rest on these numbers of runs: of the shared model, {words.by_number(shared, 'task')}; of the "
        f"best single-task model, {words.by_number(alone, 'task')}."
    )
    # Only a model without luck has a variance over runs of nothing at all.
    if any(c.n_baseline_runs == 1 and c.var_baseline == 0 for _, c in found):
        text += " A model that is the same every time has one run."
    return Sentence("runs made", text, tuple(f"verdicts.json#/{i}/comparison" for i, _ in found))


def chosen(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Why this candidate was confirmed, as the study says it."""
    if records.summary is None or not records.summary.selection_reason:
        return None
    return Sentence("selection", records.summary.selection_reason, ("summary.json#/selection_reason",))


def luck(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What the intervals count."""
    d = records.design
    if d is None:
        return None
    text = (
        f"Intervals are two-sided at {words.percent(d.level)} ({words.percent((1 - d.level) / 2)} a side) and count "
        f"both kinds of luck, that of the runs and that of the test rows."
    )
    return Sentence("interval", text, ("design.json#/level",))


def reading(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """How a change and its brackets are read."""
    if records.design is None:
        return None
    level = words.percent(records.design.level)
    text = f"A change is that of the score, plus is better; in brackets stands its {level} interval."
    return Sentence("reading", text, ("design.json#/level",))


def shipping(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """The rule by which a task shares."""
    d = records.design
    if d is None:
        return None
    gain = "fewer models are preferred even without a gain" if d.prefer_fewer_models else "a gain is expected"
    most = words.percent(d.max_probability_harm)
    text = (
        f"A task shares only where harm beyond its margin has a probability of at most {most} given the effects of all "
        f"tasks, and by its own test rows and runs alone, and {gain}; over all tasks that share, the first of these "
        f"probabilities add up to at most {most}. Otherwise its single-task model answers."
    )
    return Sentence("shipping", text, ("design.json#/max_probability_harm", "design.json#/prefer_fewer_models"))


def logarithms(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Metrics whose change is a logarithm."""
    named = [metric.label for metric in records.metrics.values() if metric.effect == "log_ratio"]
    if not named:
        return None
    text = (
        f"For {words.listing(named)} the change is the logarithm of the ratio of the two scores: 10{words.THIN}% is a "
        f"score about a tenth lower, 100{words.THIN}% a factor of 2.7."
    )
    return Sentence("log ratio", text, ("design.json#/metrics",))


def scope(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What the claims are about."""
    if records.design is None:
        return None
    text = "The claims hold for this training set and for test rows like these; another training set may differ."
    return Sentence("scope", text, ("design.json#/seed",))
