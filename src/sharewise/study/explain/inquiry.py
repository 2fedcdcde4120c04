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
from sharewise.study.explain.shift import convicting, effect_of, promising, shift
from sharewise.study.judge import judge
from sharewise.study.progress import Progress, silent
from sharewise.study.work import Run, cost

LOOKS = ((1, 0.5), (2, 0.25), (4, 0.25))
"""Looks at one change: runs of each arm in times of the first look's, and the look's share of the change's error. Only
a promising change gets another look (see `promising`); the shares add up to one, so that by Bonferroni's inequality the
error of all looks together is at most the change's."""


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
        self.looked: dict[str, int] = {}
        """By task, the runs of each unchanged arm that its trials asked for."""
        self.started = time.monotonic()

    # --- the unchanged models, fresh ----------------------------------------------------------------------

    def _unchanged(
        self, asked: Sequence[str], n_runs: int, others: int = 0
    ) -> tuple[list[Run], dict[str, list[Run]], dict[str, Variant]]:
        """Runs of the shared model and of the tasks asked about alone; `others` of the further tasks alone."""
        q = self.question
        arms = {q.candidate: q.shared.variant, q.baseline: next(iter(q.alone.values())).variant}
        shared = self.bench.runs(q.candidate, q.group, q.shared, q.shared.variant, n_runs)
        single = {
            task: self.bench.runs(
                q.baseline, Group(f"single:{task}", (task,)), made, made.variant, n_runs if task in asked else others
            )
            for task, made in q.alone.items()
        }
        return shared, single, arms

    def repeat(self) -> None:
        """Train the shared model and the single ones again with fresh seeds."""
        self._train(self.question.tasks, self.bench.n_runs, 1)

    def _train(self, asked: Sequence[str], n_runs: int, others: int = 0) -> None:
        shared, single, arms = self._unchanged(asked, n_runs, others)
        runs = [*shared, *(run for some in single.values() for run in some)]
        with self.progress("the same again", len(runs)) as advance:
            records = {r.run_id: r for r in self.bench.carry_out(runs, arms, advance, {})}
        self.shared = [records[run.run_id] for run in shared]
        self.single |= {task: [records[run.run_id] for run in some] for task, some in single.items() if some}

    def _before(self, task: str, n_runs: int) -> Pair:
        """The unchanged arms with `n_runs` runs each, trained where there are fewer."""
        if len(self.shared) < n_runs or len(self.single[task]) < n_runs:
            self._train((task,), max(n_runs, len(self.shared)))
        self.looked[task] = max(self.looked.get(task, 0), n_runs)
        names = (self.question.baseline, self.question.candidate)
        return self.bench.pair(task, names, self.single[task][:n_runs], self.shared[:n_runs])

    def case(self, task: str) -> Case:
        """What the interventions look at; after `repeat`."""
        q, n = self.question, self.bench.n_runs
        others = {t: records[0] for t, records in self.single.items() if t != task}
        return Case(
            task, q.group, q.shared.variant, q.alone[task].variant, self.bench.prepared,
            _done(self.shared[:n]), _done(self.single[task][:n]), others,
        )  # fmt: skip

    # --- one task -----------------------------------------------------------------------------------------

    def explain(self, task: str) -> Explanation:
        """The explanation of one task: the fresh verdict, hypotheses, trials in their order, what convicted."""
        group = self.question.group.tasks
        theta = _compared(self._before(task, self.bench.n_runs))
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
            trials.append(self._try(case, intervention, change, error))
            if trials[-1].effect in (Effect.REMOVES, Effect.MOST) and not self.everything:
                break
        # The unchanged models have been trained more often where a change needed it: all these runs are told.
        theta = _compared(self._before(task, self.looked[task])) or theta
        return _concluded(case, theta, hypotheses, trials, planned)

    def _hypotheses(self, case: Case) -> tuple[Hypothesis, ...]:
        said = [h for i in self.interventions if (h := i.suspicion(case)) is not None]
        return tuple(sorted(said, key=lambda h: -h.strength))

    def _ordered(self, hypotheses: Iterable[Hypothesis]) -> list[Intervention]:
        """The standing order, strong suspicions first, and of these what is a fault before any sharing."""
        strong = {h.intervention: h.strength for h in hypotheses if h.strength >= 0.5}
        return sorted(self.interventions, key=lambda i: (-(i.upstream and i.name in strong), -strong.get(i.name, 0.0)))

    def _try(self, case: Case, intervention: Intervention, change: Change, error: float) -> Trial:
        """One change, with more runs of all arms as long as it is promising and not proven."""
        for times, share in LOOKS:
            trial, again = self._look(case, intervention, change, error * share, times * self.bench.n_runs)
            if not again:
                break
        self.log(f"{case.task}: {change.text}: {trial.effect.value}.")
        return trial

    def _look(
        self, case: Case, intervention: Intervention, change: Change, error: float, n_runs: int
    ) -> tuple[Trial, bool]:
        """The judgement of one change by `n_runs` runs of each arm, and whether more may change it."""
        q, task = self.question, case.task
        before = self._before(task, n_runs)
        shared, single, arms = self._changed(case, change, n_runs)
        with self.progress(change.name, len(shared) + len(single)) as advance:
            records = self.bench.carry_out(shared, arms, advance, change.hidden)
            alone = self.bench.carry_out(single, arms, advance, {}) if single else self.single[task][:n_runs]
        runs = tuple(run.run_id for run in (*shared, *single))

        def trial(effect: Effect, reason: str, **found: Any) -> Trial:
            return Trial(intervention.name, change.name, change.text, effect, reason, runs=runs, n_runs=n_runs, **found)

        after = self.bench.pair(task, (q.baseline, f"{q.candidate}, {change.name}"), alone, records)
        theta, moved_to = _compared(before), _compared(after)
        if theta is None or moved_to is None:
            return trial(Effect.UNJUDGED, "the changed runs diverged"), False
        moved = shift(before, after, error)
        if isinstance(moved, str):
            return trial(Effect.UNJUDGED, moved, after=moved_to), False
        itself = None
        if single:
            names = (q.baseline, f"{q.baseline}, {change.name}")
            itself = _compared(self.bench.pair(task, names, self.single[task][:n_runs], alone))
        effect = effect_of(theta, moved_to, moved, itself)
        costs = self._costs(case, change, records) if effect in (Effect.REMOVES, Effect.MOST, Effect.EASES) else ()
        made = trial(effect, "", after=moved_to, shift=moved, single=itself, costs=costs)
        return made, promising(theta, moved_to, moved)

    def _changed(self, case: Case, change: Change, n: int) -> tuple[list[Run], list[Run], dict[str, Variant]]:
        """`n` runs of the changed shared model, and of the changed single model where that is changed too."""
        q, bench = self.question, self.bench
        group = q.group
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
        pairs = [self.bench.pair(t, names, self.shared[: len(records)], records) for t in left]
        found = compare_all([p for p in pairs if p.baseline and p.candidate]).comparisons
        return tuple(Cost(c.task, c) for c in found)

    # --- all tasks ----------------------------------------------------------------------------------------

    def plan(self) -> tuple[int, int, float]:
        """Runs where every change is tried on every task with the first look's runs, runs at most, and the former's
        rough seconds on one core."""
        first = self.bench.n_runs
        shared, single, arms = self._unchanged(self.question.tasks, first, 1)
        runs = [*shared, *(run for some in single.values() for run in some)]
        prepared = replace(self.bench.prepared, variants={**self.bench.prepared.variants, **arms})
        # The changes that do not depend on runs still to be made: about twelve, of which four touch both arms.
        n_tasks = len(self.question.tasks)
        n = len(runs) + 16 * first * n_tasks
        seconds = sum(cost(run, prepared) for run in runs)
        seconds += 14 * sum(cost(run, prepared) for run in shared) * n_tasks
        return n, n * LOOKS[-1][0], seconds

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
