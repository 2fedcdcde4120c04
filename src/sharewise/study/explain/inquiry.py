"""The inquiry: fresh runs of what the study found, then one intervention at a time until one convicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sharewise.causes import Cost, Effect, Ending, Explanation, Hypothesis, Inquiry, Trial
from sharewise.plan import Group
from sharewise.records import Comparison, Outcome, RunRecord, Status
from sharewise.report import words
from sharewise.study.compare import ERROR, Pair, compare_all
from sharewise.study.design import Variant
from sharewise.study.explain import CATALOGUE
from sharewise.study.explain.base import Case, Change, Intervention
from sharewise.study.explain.bench import Bench, Recipe, digest
from sharewise.study.explain.shift import convicting, effect_of, shift
from sharewise.study.judge import judge
from sharewise.study.progress import Progress, silent
from sharewise.study.work import Run, cost


@dataclass(frozen=True)
class Question:
    """A shared model to be explained: the group, how it and each task alone are made, and the tasks to ask about."""

    candidate: str
    baseline: str
    group: Group
    shared: Recipe
    alone: Mapping[str, Recipe]
    """By task of the group; tasks without a single model on record are missing."""
    tasks: tuple[str, ...]


class Detective:
    """Answers one question, task by task."""

    def __init__(
        self, bench: Bench, question: Question, *, everything: bool = False, progress: Progress = silent,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        self.bench, self.question, self.everything = bench, question, everything
        self.progress, self.log = progress, log
        self.interventions: list[Intervention] = [CATALOGUE.build(name) for name in CATALOGUE]
        self.shared: list[RunRecord] = []
        self.single: dict[str, list[RunRecord]] = {}
        self.started = time.monotonic()

    # --- the unchanged models, fresh ----------------------------------------------------------------------

    def _unchanged(self) -> tuple[list[Run], dict[str, list[Run]], dict[str, Variant]]:
        q, n = self.question, self.bench.n_runs
        arms = {q.candidate: q.shared.variant, q.baseline: next(iter(q.alone.values())).variant}
        shared = self.bench.runs(q.candidate, q.group, q.shared, q.shared.variant, n)
        single = {
            task: self.bench.runs(
                q.baseline, Group(f"single:{task}", (task,)), made, made.variant, n if task in q.tasks else 1
            )
            for task, made in q.alone.items()
        }
        return shared, single, arms

    def repeat(self) -> None:
        """Train the shared model and the single ones again with fresh seeds."""
        shared, single, arms = self._unchanged()
        runs = [*shared, *(run for some in single.values() for run in some)]
        with self.progress("the same again", len(runs)) as advance:
            records = {r.run_id: r for r in self.bench.carry_out(runs, arms, advance, {})}
        self.shared = [records[run.run_id] for run in shared]
        self.single = {task: [records[run.run_id] for run in some] for task, some in single.items()}

    def case(self, task: str) -> Case:
        """What the interventions look at; after `repeat`."""
        q = self.question
        others = {t: records[0] for t, records in self.single.items() if t != task}
        return Case(
            task, q.group, q.shared.variant, q.alone[task].variant, self.bench.prepared,
            _done(self.shared), _done(self.single[task]), others,
        )  # fmt: skip

    # --- one task -----------------------------------------------------------------------------------------

    def explain(self, task: str) -> Explanation:
        """The explanation of one task: the fresh verdict, hypotheses, trials in their order, what convicted."""
        q, group = self.question, self.question.group.tasks
        names = (q.baseline, q.candidate)
        before = self.bench.pair(task, names, self.single[task], self.shared)
        theta = _compared(before)
        if theta is None:
            said = "its runs diverged, or its score is undefined on the test rows"
            return Explanation(task, group, Ending.NONE, f"'{task}' cannot be explained: {said}.")
        case = self.case(task)
        hypotheses = self._hypotheses(case)
        if theta.high >= 0:
            return Explanation(task, group, Ending.NOT_REPEATED, _not_again(theta), theta, hypotheses)
        planned = [(i, c) for i in self._ordered(hypotheses) for c in i.changes(case)]
        error = ERROR / max(len(planned), 1)
        trials: list[Trial] = []
        for intervention, change in planned:
            trials.append(self._try(case, intervention, change, before, theta, error))
            if trials[-1].effect in (Effect.REMOVES, Effect.MOST) and not self.everything:
                break
        return _concluded(case, theta, hypotheses, trials, planned)

    def _hypotheses(self, case: Case) -> tuple[Hypothesis, ...]:
        said = [h for i in self.interventions if (h := i.suspicion(case)) is not None]
        return tuple(sorted(said, key=lambda h: -h.strength))

    def _ordered(self, hypotheses: Iterable[Hypothesis]) -> list[Intervention]:
        """The standing order, strong suspicions first."""
        strong = {h.intervention: h.strength for h in hypotheses if h.strength >= 0.5}
        return sorted(self.interventions, key=lambda i: -strong.get(i.name, 0.0))

    def _try(
        self, case: Case, intervention: Intervention, change: Change, before: Pair, theta: Comparison, error: float
    ) -> Trial:
        q, task = self.question, case.task
        shared, single, arms = self._changed(case, change)
        with self.progress(change.name, len(shared) + len(single)) as advance:
            records = self.bench.carry_out(shared, arms, advance, change.hidden)
            alone = self.bench.carry_out(single, arms, advance, {}) if single else self.single[task]
        runs = tuple(run.run_id for run in (*shared, *single))

        def trial(effect: Effect, reason: str, **found: Any) -> Trial:
            return Trial(intervention.name, change.name, change.text, effect, reason, runs=runs, **found)

        after = self.bench.pair(task, (q.baseline, f"{q.candidate}, {change.name}"), alone, records)
        moved_to = _compared(after)
        if moved_to is None:
            return trial(Effect.UNJUDGED, "the changed runs diverged")
        moved = shift(before, after, error)
        if isinstance(moved, str):
            return trial(Effect.UNJUDGED, moved, after=moved_to)
        itself = None
        if single:
            names = (q.baseline, f"{q.baseline}, {change.name}")
            itself = _compared(self.bench.pair(task, names, self.single[task], alone))
        effect = effect_of(theta, moved_to, moved, itself)
        costs = self._costs(case, change, records) if effect in (Effect.REMOVES, Effect.MOST, Effect.EASES) else ()
        self.log(f"{task}: {change.text}: {effect.value}.")
        return trial(effect, "", after=moved_to, shift=moved, single=itself, costs=costs)

    def _changed(self, case: Case, change: Change) -> tuple[list[Run], list[Run], dict[str, Variant]]:
        """Runs of the changed shared model, and of the changed single model where that is changed too."""
        q, bench = self.question, self.bench
        group, n = q.group, bench.n_runs
        if change.without is not None:
            group = Group(
                f"{group.name} without {change.without}", tuple(t for t in group.tasks if t != change.without)
            )
        arm, alone_arm = f"{q.candidate}, {change.name}", f"{q.baseline}, {change.name}"
        extra = "".join(f"|{task} less {digest(rows)}" for task, rows in change.hidden.items())
        shared = bench.runs(arm, group, q.shared, change.shared, n, extra)
        arms, single = {arm: change.shared}, []
        if change.alone is not None:
            made = q.alone[case.task]
            single = bench.runs(alone_arm, Group(f"single:{case.task}", (case.task,)), made, change.alone, n)
            arms[alone_arm] = change.alone
        return shared, single, arms

    def _costs(self, case: Case, change: Change, records: Sequence[RunRecord]) -> tuple[Cost, ...]:
        """What the change does to the partners that are still in the group."""
        q = self.question
        names = (q.candidate, f"{q.candidate}, {change.name}")
        left = [t for t in case.partners if t != change.without and t not in change.hidden]
        pairs = [self.bench.pair(t, names, self.shared, records) for t in left]
        found = compare_all([p for p in pairs if p.baseline and p.candidate]).comparisons
        return tuple(Cost(c.task, c) for c in found)

    # --- all tasks ----------------------------------------------------------------------------------------

    def plan(self) -> tuple[int, float]:
        """Runs and rough seconds on one core, at most: every change tried on every task."""
        shared, single, arms = self._unchanged()
        runs = [*shared, *(run for some in single.values() for run in some)]
        prepared = replace(self.bench.prepared, variants={**self.bench.prepared.variants, **arms})
        each = sum(cost(run, prepared) for run in shared)
        seconds = sum(cost(run, prepared) for run in runs)
        n = len(runs)
        for _ in self.question.tasks:
            # The changes that do not depend on runs still to be made: about twelve, of which four touch both arms.
            n += 16 * self.bench.n_runs
            seconds += 14 * each
        return n, seconds

    def inquire(self, digest: str, versions: dict[str, str], notes: tuple[str, ...] = ()) -> Inquiry:
        """The whole inquiry."""
        self.repeat()
        explanations = tuple(self.explain(task) for task in self.question.tasks)
        q = self.question
        return Inquiry(
            digest, q.candidate, q.baseline, len(self.bench.made), self.bench.n_runs,
            time.monotonic() - self.started, explanations, notes, versions,
        )  # fmt: skip


def _done(records: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
    return tuple(r for r in records if r.status is Status.DONE)


def _compared(pair: Pair) -> Comparison | None:
    if not (pair.baseline and pair.candidate):
        return None
    found = compare_all([pair]).comparisons
    return found[0] if found else None


def _not_again(theta: Comparison) -> str:
    return (
        f"The harm of '{theta.task}' was not seen again: with fresh seeds the change is {said(theta)} "
        f"{words.interval(theta.low, theta.high, theta.scale)}, so there is nothing to explain but luck."
    )


def said(comparison: Comparison) -> str:
    """The change with its unit."""
    return words.change(comparison.effect, comparison.scale)


def _concluded(
    case: Case,
    theta: Comparison,
    hypotheses: tuple[Hypothesis, ...],
    trials: list[Trial],
    planned: Sequence[tuple[Intervention, Change]],
) -> Explanation:
    """The first change that removed the harm; else the one that closed most of the gap, if half of it or more."""
    known = {(i.name, c.name): (i, c) for i, c in planned}
    convicted = convicting(trials)
    if convicted is None:
        tried = ", ".join(dict.fromkeys(t.intervention for t in trials)) or "nothing that applies"
        sentence = f"'{case.task}' is not explained by any of these: {tried}. Train it apart."
        return Explanation(case.task, case.group.tasks, Ending.NONE, sentence, theta, hypotheses, tuple(trials))
    trial = trials[convicted]
    intervention, change = known[trial.intervention, trial.change]
    cause = intervention.convicted(change)
    ending = Ending.CAUSE if trial.effect is Effect.REMOVES else Ending.PART
    part = "" if ending is Ending.CAUSE else "mainly "
    after = "" if trial.after is None else f"from {said(theta)} to {said(trial.after)}"
    sentence = f"'{case.task}' is worse {part}because of {cause}. With {change.text}, its change goes {after}."
    return Explanation(
        case.task, case.group.tasks, ending, sentence, theta, hypotheses, tuple(trials), convicted, cause, change.remedy
    )


def harmed_or_worse(comparison: Comparison) -> bool:
    """Whether a task may be explained: its verdict is harm, or its whole interval is below zero."""
    return judge(comparison).outcome is Outcome.HARM or comparison.high < 0
