"""What the owner of a plan must know, in sentences: loss weights, roll back, cost, stability, calibration, gaps.

Rules as in `sentences`: each says no more than the records it names.
"""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Sequence

from sharewise.plan import Plan
from sharewise.records import Calibration, Phase, PlanCost, Role, RunRecord, Status
from sharewise.report import words
from sharewise.report.case import FEW, contested
from sharewise.report.load import StudyRecords
from sharewise.report.rows import State, TaskRow, of_state, set_aside
from sharewise.report.sentences import Sentence

COVERAGE = 0.9
"""Share of rows that the interval of a numeric answer should hold."""


# --- how loss weights were chosen -------------------------------------------------------------------------


def weighting(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """How the confirmed plan weighs its losses."""
    arm = records.arms.get(records.confirmed or "")
    if arm is None or arm.role is not Role.CANDIDATE or not arm.weights or records.design is None:
        return None
    given = [task for task in records.design.tasks if task.weight != 1]
    own = "" if not given else " times the weight that the study file gives the task"
    how = (
        f"all weigh the same{own}" if arm.weights == "equal" else f"they are weighed by '{arm.weights}' while training"
    )
    text = (
        f"Every task's loss is divided by the loss of its best constant answer, so that the losses are in comparable "
        f"units, and then {how}."
    )
    return Sentence("weighting", text, (f"{records.arm_at(arm.name)}/weights",))


def measured_weights(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """The effective weights that the confirmation runs had."""
    means = effective_weights(records)
    if len(means) < 2:
        return None
    low, high = min(means, key=lambda t: means[t]), max(means, key=lambda t: means[t])
    runs = [run for run in _confirmed(records, records.confirmed) if run.effective_weights]
    sources = tuple(f"runs/{run.run_id}.json" for run in runs)
    if f"{means[high]:.2f}" == f"{means[low]:.2f}":
        text = "Measured while training, the effective weights of all tasks were equal."
    else:
        text = (
            f"Measured while training, the effective weight of a task was between {means[low]:.2f} ({low}) and "
            f"{means[high]:.2f} ({high}) times the mean."
        )
    return Sentence("measured weights", text, sources)


def effective_weights(records: StudyRecords) -> dict[str, float]:
    """Each task's effective weight over its group's mean, averaged over the confirmed plan's runs."""
    found: dict[str, list[float]] = {}
    for run in _confirmed(records, records.confirmed):
        mean = statistics.fmean(run.effective_weights.values()) if run.effective_weights else 0.0
        for task, weight in run.effective_weights.items():
            if mean > 0 and len(run.effective_weights) > 1:
                found.setdefault(task, []).append(weight / mean)
    return {task: statistics.fmean(values) for task, values in found.items()}


def weights_mattered(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """By how much the choice of weights moved the validation scores: plans that differ in nothing else."""
    arm = records.arms.get(records.confirmed or "")
    if arm is None or arm.role is not Role.CANDIDATE:
        return None
    like = [a for a in records.arms.values() if a.role is Role.CANDIDATE and _same_but_weights(a.plan, arm.plan)]
    like = [a for a in like if a.alone == arm.alone]
    changes: dict[str, dict[str, tuple[float, str]]] = {}
    for c in records.selection:
        changes.setdefault(c.candidate, {})[c.task] = (c.effect, c.scale)
    methods = {a.name: a.weights for a in like if a.name in changes}
    if len(set(methods.values())) < 2:
        text = (
            "No other way to weigh them was tried, so by how much it matters was not measured "
            "(a candidate with its own balance in the study file tries one)."
        )
        return Sentence("weights untried", text, ("design.json#/arms",))
    means = {name: _mean(changes[name]) for name in methods}
    if any(len({scale for _, scale in changes[name].values()}) > 1 for name in methods):
        means = {name: _mean(changes[name], "relative") for name in methods}
    scale = "relative" if any(s == "relative" for c in changes.values() for _, s in c.values()) else "points"
    best, worst = max(means, key=lambda n: means[n]), min(means, key=lambda n: means[n])
    text = (
        f"{words.in_words(len(methods)).capitalize()} ways to weigh them were tried on the same plan; on validation "
        f"rows the mean change of a task was {words.change(means[best], scale)} with {_way(methods, best)}, the best, "
        f"and {words.change(means[worst], scale)} with {_way(methods, worst)}, the worst: the choice moved it by "
        f"{words.change(means[best] - means[worst], scale).lstrip('+')}."
    )
    return Sentence("weights mattered", text, ("selection.json#",))


def _way(methods: dict[str, str], name: str) -> str:
    """A way to weigh losses: its method, and the plan that has it where several have one of the same name."""
    alike = [*methods.values()].count(methods[name]) > 1
    return f"'{methods[name]}' of '{name}'" if alike else f"'{methods[name]}'"


def _mean(changes: dict[str, tuple[float, str]], scale: str | None = None) -> float:
    return statistics.fmean(effect for effect, s in changes.values() if scale in (None, s))


def _same_but_weights(one: Plan, other: Plan) -> bool:
    return {frozenset(g.tasks) for g in one.groups} == {frozenset(g.tasks) for g in other.groups}


# --- when a task regresses --------------------------------------------------------------------------------


def roll_back(records: StudyRecords, rows: Sequence[TaskRow]) -> list[Sentence]:
    """What to do with a task that shares and regresses, and what then answers it."""
    shared = [row for row in rows if row.shares]
    held = _fallbacks(records, shared)
    if not shared:
        if not rows or any(row.decision is None for row in rows):
            return []
        text = "No task shares, so there is nothing to roll back: each is answered by a model of its own."
        if _fallbacks(records, rows):
            text = "No task shares. A task that another model took over goes back to its best single-task model."
        return [Sentence("nothing to roll back", text, tuple(row.decision_at for row in rows))]
    if not held:
        return []
    ships = "the task that shares ships" if len(held) == 1 else f"all {words.count(len(held))} tasks that share ship"
    text = (
        f"Let its own model answer it again: the best single-task {words.verb(len(held), 'model', 'models')} of "
        f"{ships} in the bundle beside the shared one."
    )
    made = [Sentence("roll back", text, ("summary.json#/fallbacks",))]
    known = [row for row in held if row.verdict is not None]
    if 0 < len(known) <= FEW:
        scores = [
            f"{row.name} {row.metric_label} {words.score(c.baseline_score)} ({c.baseline}) instead of "
            f"{words.score(c.candidate_score)}"
            for row in known
            if row.verdict is not None
            for c in [row.verdict.comparison]
        ]
        text = f"What to expect then, from the same test rows: {'; '.join(scores)}."
        made.append(Sentence("after roll back", text, tuple(f"{row.verdict_at}/comparison" for row in known)))
    others = [row for row in _fallbacks(records, rows) if not row.shares]
    if others:
        go = words.verb(len(others), "goes", "go")
        text = (
            f"In the same way {_names(others)}, which another kind of model took over, {go} back to {_its(others)} own."
        )
        made.append(Sentence("roll back others", text, tuple(f"{row.decision_at}/arm" for row in others)))
    return made


def _its(rows: Sequence[TaskRow]) -> str:
    return words.verb(len(rows), "its", "their")


def roll_back_command(records: StudyRecords, rows: Sequence[TaskRow]) -> str:
    """The command that lets a task's own model answer it again; empty where nothing can be rolled back."""
    held = _fallbacks(records, rows)
    if not held or records.summary is None or records.summary.bundle is None:
        return ""
    where = shlex.quote(f"{records.name}/{records.summary.bundle}")
    lines = [f'sharewise route {where} {shlex.quote(held[0].name)} --to single --reason "WHY"']
    if len(held) > 1:
        lines.append(f'sharewise route {where} --all --to single --reason "WHY"')
    return "\n".join(lines)


def after_command(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What the command does, and how it is undone."""
    held = _fallbacks(records, rows)
    if not held or held[0].decision is None:
        return None
    first = "The first line is for one task, the second for all of them. " if len(held) > 1 else ""
    text = (
        f"{first}It trains nothing and takes a second: a line with the reason is appended to the bundle's routes, and "
        f"whoever loads the bundle next follows it. The same command with --to {shlex.quote(held[0].decision.group)} "
        f"undoes it."
    )
    return Sentence("undo", text, (f"{held[0].decision_at}/group",))


def not_sharing(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """A task that stays alone cannot regress by sharing."""
    alone = [row for row in rows if not row.shares]
    if not alone or len(alone) == len(rows) or any(row.decision is None for row in rows):
        return None
    text = (
        f"{_names(alone)} {words.verb(len(alone), 'is', 'are')} not answered by a shared model: a regression there is "
        f"not caused by sharing."
    )
    return Sentence("alone already", text, tuple(row.decision_at for row in alone))


def _names(rows: Sequence[TaskRow]) -> str:
    return words.listing((row.name for row in rows), limit=FEW)


def _fallbacks(records: StudyRecords, shared: Sequence[TaskRow]) -> list[TaskRow]:
    """Those of the tasks that have a model to go back to, the ones that share first."""
    held = {} if records.summary is None else records.summary.fallbacks
    return sorted((row for row in shared if row.name in held), key=lambda row: not row.shares)


# --- cost -------------------------------------------------------------------------------------------------


def costs(records: StudyRecords) -> tuple[PlanCost, PlanCost] | None:
    """Cost of the plan that ships and of all tasks alone, where both are on record."""
    by_plan = {cost.plan: cost for cost in records.cost}
    return (by_plan["shipped"], by_plan["single"]) if {"shipped", "single"} <= by_plan.keys() else None


def cost(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Training and answering, against single-task models."""
    found = costs(records)
    if found is None:
        if any(row.shares for row in rows) or not records.cost:
            return None
        c = records.cost[0]
        text = (
            f"The plan is the single-task models themselves: {words.plural(c.n_models, 'model')}, "
            f"{words.seconds(c.train_seconds)} of processor time to train once, {words.latency(c.seconds_many)} to "
            f"answer every task for {words.plural(c.n_many, 'validation row')}."
        )
        return Sentence("cost alone", text, ("cost.json#/0",))
    plan, alone = found
    text = (
        f"Training the plan's {words.plural(plan.n_models, 'model')} once takes "
        f"{_against(plan.train_seconds, alone.train_seconds)} the processor time of "
        f"{words.plural(alone.n_models, 'single-task model')}, and answering every task for "
        f"{words.plural(plan.n_many, 'validation row')} takes {_against(plan.seconds_many, alone.seconds_many)} the "
        "time."
    )
    return Sentence("cost", text, ("cost.json#/0", "cost.json#/1"))


def _against(value: float, other: float) -> str:
    return words.times(value / other) if other > 0 else words.MISSING


def study_cost(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What it took to find out."""
    s = records.summary
    if s is None or not records.runs:
        return None
    # Not the time on the clock: an interrupted study has more than one of those.
    spent = words.seconds(records.spent)
    text = f"Finding this out took {words.plural(s.n_runs, 'training run')}, {spent} of processor time."
    return Sentence("study cost", text, ("summary.json#/n_runs", "runs/"))


# --- would it come out the same again ---------------------------------------------------------------------


def retrains(records: StudyRecords, rows: Sequence[TaskRow]) -> list[Sentence]:
    """How many tasks every retrain alone decides alike, and which others."""
    found = records.stability
    if not found:
        return []
    numbers = {len(s.effects) for s in found}
    every = f"Each of the {words.count(max(numbers))} retrains" if len(numbers) == 1 else "Each retrain"
    firm = [s for s in found if s.n_same == len(s.effects)]
    shaky = [(i, s) for i, s in enumerate(found) if s.n_same < len(s.effects)]
    which = f"{every} alone, put in the place of their mean, leads to the same decision"
    why = "a retrain that does not agree has changes that put the task on the other side of the rule, all tasks pooled"
    if not shaky:
        scope = "for the one task compared" if len(found) == 1 else f"for {words.all_of(len(found))} tasks compared"
        return [Sentence("stable", f"{which} {scope}.", ("stability.json#",))]
    made = []
    if len(found) > 1:
        told = f"{which} for {words.some_of(len(firm))} of {words.plural(len(found), 'task')}; {why}."
        made.append(Sentence("stable", told, ("stability.json#",)))
    named = shaky if len(shaky) <= FEW + 1 else shaky[:FEW]
    for i, s in named:
        changes = ", ".join(words.change(e, s.scale) for e in s.effects)
        row = next((row for row in rows if row.name == s.task), None)
        decided = "to share" if row is not None and row.shares else "to keep it alone"
        text = (
            f"For {s.task} {words.some_of(s.n_same)} of {words.count(len(s.effects))} retrains "
            f"{words.verb(s.n_same, 'agrees', 'agree')} {decided} (their changes: {changes})."
        )
        made.append(Sentence("retrain", text, (f"stability.json#/{i}",)))
    rest = shaky[len(named) :]
    if rest:
        least, most = min(s.n_same for _, s in rest), max(s.n_same for _, s in rest)
        agreeing = words.some_of(least) + ("" if least == most else f" to {words.in_words(most)}")
        agree = words.verb(most, "agrees", "agree")
        text = f"For the other {words.count(len(rest))} {agreeing} of {words.count(max(numbers))} retrains {agree}."
        if len(numbers) > 1:
            text = f"For the other {words.count(len(rest))} at least one of the task's retrains does not agree."
        made.append(Sentence("other retrains", text, ("stability.json#",)))
    return made


def paired(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """How runs are paired where one model has fewer of them than the other."""
    told = {s.task for s in records.stability}
    uneven = [
        i
        for i, v in enumerate(records.verdicts)
        if v.task in told and v.comparison.n_baseline_runs != v.comparison.n_candidate_runs
    ]
    if not uneven:
        return None
    text = (
        "A retrain is a run of the shared model beside one of the single-task model; where there are fewer of one "
        "kind, they are taken in turn."
    )
    return Sentence("paired", text, tuple(f"verdicts.json#/{i}/comparison" for i in uneven))


# --- can its certainty be taken at its word ---------------------------------------------------------------


def what_is_measured(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What the numbers of the table mean."""
    answering = [c for c in records.calibration if c.answers]
    if not answering:
        return None
    said = []
    if any(c.ece is not None for c in answering):
        said.append(
            "For classes, the calibration error is the mean gap between the probability that is stated and the share "
            "that came true, over ten bins of equal count; beside it stands what perfectly calibrated probabilities "
            "would show on as few rows, and twice that is further off than chance explains"
        )
    if any(c.coverage is not None for c in answering):
        said.append(
            "For numbers, the interval is as wide as 90\u202f% of the validation rows need it; the table says how many "
            "test rows it holds, and how far the answers lie from the truth on average, in the task's unit and in "
            "standard deviations of the truth. Four standard errors of either are further off than chance explains"
        )
    return Sentence("calibration", ". ".join(said) + ".", ("calibration.json#",))


def calibrated(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """Which tasks' answers are surer, or less sure, than they should be."""
    answering = [(i, c) for i, c in enumerate(records.calibration) if c.answers]
    if not answering:
        return None
    bad = [(i, c) for i, c in answering if miscalibrated(c)]
    if not bad:
        text = (
            "No answer is further off than chance explains on its test rows, of "
            f"{words.plural(len(answering), 'task')} "
            f"measured."
            if len(answering) > 1
            else "The answer is not further off than chance explains on its test rows."
        )
        return Sentence("calibrated", text, ("calibration.json#",))
    names = words.listing((c.task for _, c in bad), limit=FEW)
    text = (
        f"For {names} it is further off than chance explains: do not read {words.verb(len(bad), 'its', 'their')} "
        f"probabilities or intervals as they stand."
    )
    return Sentence("miscalibrated", text, tuple(f"calibration.json#/{i}" for i, _ in bad))


def miscalibrated(c: Calibration) -> bool:
    """Whether a calibration error is twice what chance makes of it, or a coverage or a mean four standard errors off.

    The standard deviation of an answer's error is taken from the interval, as a normal one's: half width / 1.645.
    """
    if c.ece is not None and c.ece_chance is not None:
        return c.ece > 2 * c.ece_chance
    if c.coverage is None:
        return False
    off = c.half_width is not None and c.bias is not None and abs(c.bias) > 4 * c.half_width / 1.645 / c.n_rows**0.5
    return off or abs(c.coverage - COVERAGE) > 4 * math.sqrt(COVERAGE * (1 - COVERAGE) / c.n_rows)


def certainty(c: Calibration) -> str:
    """One model's calibration in a few words."""
    if c.ece is not None and c.nll is not None:
        return f"error {c.ece:.3f} (by chance {c.ece_chance:.3f}), log loss {words.score(c.nll)}"
    if c.coverage is not None and c.half_width is not None and c.bias is not None:
        side = "too high" if c.bias > 0 else "too low"
        sd = "" if c.bias_sd is None else f" ({abs(c.bias_sd):.2f} standard deviations)"
        return (
            f"±{words.THIN}{words.score(c.half_width)} holds {words.percent(c.coverage)}; on average "
            f"{words.score(abs(c.bias))} {side}{sd}"
        )
    return words.MISSING


# --- what was not tested ----------------------------------------------------------------------------------


def untested(records: StudyRecords, rows: Sequence[TaskRow]) -> list[Sentence]:
    """Gaps that a reader would otherwise take for tested."""
    made = [_one_split(records), _plans(records), _unconfirmed(records), _transfer(records)]
    made += [_open(rows), _aside(records), _few(rows)]
    return [sentence for sentence in made if sentence is not None]


def _one_split(records: StudyRecords) -> Sentence | None:
    if records.data is None:
        return None
    n = words.plural(records.data.rows.train, "row")
    text = (
        f"Other training data: all models were trained on the same {n}; another sample of rows, a later time or "
        "another "
        f"place may decide otherwise."
    )
    return Sentence("one split", text, ("data.json#/rows/train", "data.json#/split"))


def _plans(records: StudyRecords) -> Sentence | None:
    if records.design is None or not contested(records):
        return None
    n = len(records.design.tasks)
    tried = {
        frozenset(frozenset(g.tasks) for g in arm.plan.groups)
        for arm in records.arms.values()
        if arm.role not in (Role.ALTERNATIVE, Role.TRANSFER)
    }
    sampled = sum(run.phase is Phase.SEARCH for run in records.runs)
    ways = partitions(n)
    left = ways - len(tried)
    if left <= 0:
        return None
    many = words.count(ways) if ways < 1_000_000 else f"about {words.power_of_ten(ways)}"
    text = (
        f"Other plans: {words.count(n)} tasks can be grouped in {many} ways, of which {words.count(len(tried))} "
        f"{words.verb(len(tried), 'was', 'were')} trained, all alone among them."
    )
    sources = ["design.json#/arms"]
    if sampled:
        judged = words.plural(sampled, "group that it sampled", "groups that it sampled")
        more = ", and by the plans that it trained" if records.grouping is not None and records.grouping.plans else ""
        text += f" The search judged the others by {judged}, trained once each{more}."
        sources.append("design.json#/search/groups")
    return Sentence("other plans", text, tuple(sources))


def partitions(n: int) -> int:
    """Number of partitions of n tasks (Bell number), by the Bell triangle."""
    row = [1]
    for _ in range(n - 1):
        following = [row[-1]]
        for value in row:
            following.append(following[-1] + value)
        row = following
    return row[-1]


def _unconfirmed(records: StudyRecords) -> Sentence | None:
    others = [a.name for a in records.arms.values() if a.role is Role.CANDIDATE and a.name != records.confirmed]
    if not others or records.confirmed is None:
        return None
    names = words.listing((f"'{name}'" for name in others), limit=FEW)
    text = (
        f"{'Plan' if len(others) == 1 else 'Plans'} {names} on test rows: only the plan that validation rows chose was "
        f"confirmed there."
    )
    return Sentence("not confirmed", text, ("design.json#/arms", "summary.json#/selected"))


def _transfer(records: StudyRecords) -> Sentence | None:
    if records.design is None or not contested(records):
        return None
    if any(arm.role is Role.TRANSFER for arm in records.design.arms):
        return None
    text = (
        "Learning one task after another: every network started afresh (transfer: auto in the study file starts it "
        "from weights that other tasks have trained)."
    )
    return Sentence("no transfer", text, ("design.json#/arms",))


def _open(rows: Sequence[TaskRow]) -> Sentence | None:
    open_ = of_state(rows, State.UNDECIDED)
    if not open_:
        return None
    text = f"The verdict of {_names(open_)}, to its end: the evidence is not enough to say harm or no harm."
    return Sentence("open verdicts", text, tuple(row.verdict_at for row in open_))


def _aside(records: StudyRecords) -> Sentence | None:
    aside = set_aside(records)
    if not aside:
        return None
    names = words.listing((item.task for item in aside), limit=FEW)
    verb = words.verb(len(aside), "it was", "they were")
    text = f"The {words.verb(len(aside), 'task', 'tasks')} {names}: {verb} set aside before the first run."
    return Sentence("not studied", text, tuple(f"data.json#/set_aside/{i}" for i in range(len(aside))))


def _few(rows: Sequence[TaskRow]) -> Sentence | None:
    if not any(row.verdict is not None for row in rows):
        return None
    text = (
        "Parts of the test rows: a verdict is about all of a task's test rows; that a task is not harmed does not say "
        "that no kind of row is."
    )
    return Sentence("subgroups", text, tuple(row.verdict_at for row in rows if row.verdict is not None))


def _confirmed(records: StudyRecords, arm: str | None) -> list[RunRecord]:
    return [run for run in records.runs if run.arm == arm and run.phase is Phase.CONFIRM and run.status is Status.DONE]
