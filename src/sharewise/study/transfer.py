"""Transfer beside sharing: networks of one task that start from weights other tasks have trained.

Each is an arm of its own under the study's protocol: its pretraining has a fresh seed for every run (so that its luck
is in the interval), its fine-tuning the same number of trials from the same space, and validation rows choose for each
task which of its transfers is confirmed. See `challenge` for how one earns its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from sharewise.errors import ConfigError, Problem
from sharewise.plan import Group, Plan
from sharewise.records import Arm, Phase, Role
from sharewise.seeds import derive
from sharewise.study import shareable
from sharewise.study.choose import best_single
from sharewise.study.design import SINGLE, Design
from sharewise.study.estimate import Clock, about
from sharewise.study.posterior import beliefs
from sharewise.study.run import Conductor
from sharewise.study.space import sizes_of
from sharewise.study.transfer_section import PRETRAINED, TransferSection
from sharewise.study.work import Run, read_record
from sharewise.study.workers import Workers
from sharewise.tasks import Task, TaskSet

SCARCE = 0.5
"""A task is scarce beside another where it has fewer than this share of the other's labelled train rows."""

Log = Callable[[str], None]


# --- the design -------------------------------------------------------------------------------------------


def with_transfer(
    design: Design,
    said: TransferSection,
    tasks: TaskSet,
    rows: Mapping[str, int],
    log: Log,
    first: Sequence[tuple[tuple[str, ...], tuple[str, ...]]],
    kept: Sequence[Sequence[str]] = (),
) -> Design:
    """The design with its transfer arms; `rows` counts the labelled train rows of every task, `first` says which tasks
    shared pretraining learns together and which go on from there (`shareable.learnt_first`), and no pair is made of two
    tasks of a set that is `kept` apart.

    Every model is the network that each task has alone, so that only where it starts tells it from that. Raises
    ConfigError where an arm's name is taken.
    """
    if not said.wanted or len(tasks) < 2:
        return design
    wanted: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    if said.pretrained:
        ends = [(sources, tuple(t for t in own if t in tasks.judged)) for sources, own in first]
        ends = [(sources, own) for sources, own in ends if own]
        numbers = [f" {n}" for n in range(1, len(ends) + 1)] if len(ends) > 1 else [""]
        wanted = {f"{PRETRAINED}{n}": end for n, end in zip(numbers, ends, strict=False)}
        if [sources for sources, _ in ends] != [tasks.names]:
            log(_pretraining(ends))
    for source, target in pairs(said, tasks, rows, log, kept):
        sources, targets = wanted.get(f"from {source}", ((source,), ()))
        wanted[f"from {source}"] = (sources, (*targets, target))
    budget, lone = design.budget, design.variants[SINGLE]
    taken = sorted({arm.name for arm in design.record.arms} & wanted.keys())
    if taken:
        rule = "Arms have names of their own"
        raise ConfigError(Problem(rule, f"'{taken[0]}' is that of a transfer", "Rename the candidate"))
    arms = tuple(
        Arm(
            name,
            Role.TRANSFER,
            Plan(name, tuple(Group(f"{name}:{target}", (target,)) for target in targets)),
            f"neural net, one task, first trained on {_first(sources, tasks)}",
            budget.trials,
            SINGLE,
            source=sources,
        )
        for name, (sources, targets) in wanted.items()
    )
    phases = (1, budget.selection_runs - 1, budget.confirmation_runs)
    runs = sum(len(arm.plan.groups) * (budget.trials - 1 + sum(phases)) + sum(phases) for arm in arms)
    record = replace(design.record, arms=(*design.record.arms, *arms), planned_runs=design.record.planned_runs + runs)
    return replace(design, record=record, variants={**design.variants, **{arm.name: lone for arm in arms}})


def _first(sources: Sequence[str], tasks: TaskSet) -> str:
    if len(sources) == 1:
        return f"'{sources[0]}'"
    return "all tasks together" if len(sources) == len(tasks) else f"{len(sources)} of the tasks together"


def _pretraining(ends: Sequence[tuple[Sequence[str], Sequence[str]]]) -> str:
    """Which tasks are pretrained together where it is not all of them, in a sentence."""
    if not ends:
        return "Nothing is pretrained: no two tasks can share a model."
    told = []
    for sources, own in ends:
        first = f"{{{', '.join(sources)}}} learn together first"
        told.append(first if len(own) == len(sources) else f"{first}, for {', '.join(own)}")
    return f"Pretraining keeps apart what cannot share a model: {'; '.join(told)}."


def pairs(
    said: TransferSection, tasks: TaskSet, rows: Mapping[str, int], log: Log, kept: Sequence[Sequence[str]] = ()
) -> list[tuple[str, str]]:
    """(from, to) of every pair: those that were asked for, or from the largest task to each of the scarcest.

    A grouped declaration's name as target stands for all its tasks. Pairs with a task that was set aside, and pairs
    that are `kept` apart, are left out.
    """
    if isinstance(said.pairs, str):
        return _chosen(said, tasks, rows, log, kept)
    families: dict[str, list[str]] = {}
    for task in tasks.judged:
        families.setdefault(task.family or task.name, []).append(task.name)
    made: dict[tuple[str, str], None] = {}
    for source, target in said.pairs:
        targets = families.get(target) or ([target] if target in tasks.judged else [])
        if source not in tasks or not targets:
            log(f"The transfer from '{source}' to '{target}' is left out: one of them was set aside.")
            continue
        for name in targets:
            if shareable.kept_apart(source, name, kept):
                log(f"The transfer from '{source}' to '{name}' is left out: 'apart' of the search names both.")
            elif name != source:
                made[source, name] = None
    return list(made)


def _chosen(
    said: TransferSection, tasks: TaskSet, rows: Mapping[str, int], log: Log, kept: Sequence[Sequence[str]]
) -> list[tuple[str, str]]:
    """From the task with the most labelled train rows to those with fewer than half as many, the scarcest first."""
    source = max(tasks, key=lambda task: rows[task.name])
    free = [t for t in tasks.judged if _meet(source, t) and not shareable.kept_apart(source.name, t.name, kept)]
    scarce = [t for t in free if rows[t.name] < SCARCE * rows[source.name]]
    scarce.sort(key=lambda task: rows[task.name])
    if not scarce:
        log(f"No task has fewer than half the train rows of '{source.name}', so no pair is chosen for transfer.")
    return [(source.name, target.name) for target in scarce[: said.most_pairs]]


def _meet(a: Task, b: Task) -> bool:
    return not (a.inputs and b.inputs) or bool(set(a.inputs) & set(b.inputs))


# --- the runs ---------------------------------------------------------------------------------------------


class Transfers:
    """The transfer arms of a study, from their pretraining to the runs that meet test rows."""

    def __init__(self, conductor: Conductor) -> None:
        self.conductor = conductor
        self.arms = [arm for arm in conductor.design.record.arms if arm.role is Role.TRANSFER]
        self.chosen: dict[str, str] = {}
        """The arm that is confirmed, by task."""
        self.gains: dict[str, dict[str, float]] = {}
        """Expected change on validation rows against the same network from scratch, by task and arm."""

    def minutes(self, clock: Clock, n_workers: int) -> float:
        """Minutes of all runs, as if every arm were one of those that are confirmed, of which each task has one."""
        conductor, budget = self.conductor, self.conductor.design.budget
        targets = len({task for arm in self.arms for task in arm.plan.tasks})
        first = 0.0
        for phase, n_runs, share in (
            (Phase.TUNE, 1, 1.0),
            (Phase.SELECT, budget.selection_runs - 1, 1.0),
            (Phase.CONFIRM, budget.confirmation_runs, min(targets / max(len(self.arms), 1), 1.0)),
        ):
            first += share * clock.minutes(conductor.plan_units(self._sources(self.arms, phase, n_runs)), n_workers)
        tuned = clock.minutes(conductor.plan_units(conductor.tuning(self.arms)), n_workers)
        confirmed = targets / max(self._n_groups, 1)
        again = (budget.selection_runs - 1 + confirmed * budget.confirmation_runs) / max(budget.trials, 1)
        return first + tuned * (1 + again)

    def announce(self, n_workers: int) -> str:
        """What transferring will take, by what this study's tuning trials of the same tasks took; unlike `minutes` it
        knows where those stopped. A fine-tuning that stops earlier than a start from scratch takes less."""
        budget = self.conductor.design.budget
        extra, n_runs = budget.selection_runs - 1, budget.confirmation_runs
        targets = {task for arm in self.arms for task in arm.plan.tasks}
        confirmed = min(len(targets), len(self.arms))
        first = sum(self._took(arm.source) for arm in self.arms)
        seconds = first * (1 + extra + n_runs * confirmed / max(len(self.arms), 1))
        seconds += sum(self._took((t,)) * (budget.trials + extra) for arm in self.arms for t in arm.plan.tasks)
        seconds += sum(self._took((t,)) * n_runs for t in targets)
        runs = self.n_to_choose + (confirmed + len(targets)) * n_runs
        took = about(seconds / max(n_workers, 1) / 60)
        return f"Transfer: at most {runs} runs, {took} by what this study's own runs of these tasks took."

    def _took(self, tasks: tuple[str, ...]) -> float:
        """Mean seconds of the tuning trials of a group; of each task's own, together, where the group had none."""
        arm = SINGLE if len(tasks) == 1 else "together"
        group = next((g for g in self.conductor.design.arm(arm).plan.groups if g.tasks == tasks), None)
        if group is None:
            return sum(self._took((task,)) for task in tasks if task in self.conductor.judged)
        return float(np.mean([record.seconds for record in self.conductor.trials("neural", arm, group)]))

    @property
    def n_to_choose(self) -> int:
        """Runs of `choose`."""
        budget = self.conductor.design.budget
        alike = budget.selection_runs - 1
        return len(self.arms) * (1 + alike) + self._n_groups * (budget.trials + alike)

    @property
    def n_to_confirm(self) -> int:
        """Runs of `confirm`, once it is chosen what is confirmed."""
        return (len(self._confirmed()) + len(self.chosen)) * self.conductor.design.budget.confirmation_runs

    def choose(self, pool: Workers, progress: Callable[[int], None]) -> None:
        """Pretrain, tune and select: one transfer a task, by validation rows."""
        conductor, extra = self.conductor, self.conductor.design.budget.selection_runs - 1
        self._pretrain(pool, progress, self.arms, Phase.TUNE, 1)
        conductor.tune(pool, progress, self.arms)
        everything = [item for arm in self.arms for item in conductor.trained(arm)]
        runs = [conductor.run(Phase.TUNE, k, a, g, conductor.winners[k, a, g.tasks], 0) for k, a, g in everything]
        if extra:
            self._pretrain(pool, progress, self.arms, Phase.SELECT, extra)
            more = conductor.repeated(Phase.SELECT, everything, extra)
            pool.carry_out(conductor.plan_units(more), progress)
            runs += more
        for run in runs:
            conductor.seen.setdefault((run.arm, run.group.tasks[0]), []).append(run)
        self._compare()

    def confirm(self, pool: Workers, progress: Callable[[int], None]) -> list[Run]:
        """Fresh runs of every task's transfer, each from fresh pretraining."""
        conductor, n_runs = self.conductor, self.conductor.design.budget.confirmation_runs
        arms = self._confirmed()
        self._pretrain(pool, progress, arms, Phase.CONFIRM, n_runs)
        wanted = [w for arm in arms for w in conductor.trained(arm) if self.chosen.get(w[2].tasks[0]) == arm.name]
        runs = conductor.repeated(Phase.CONFIRM, wanted, n_runs)
        pool.carry_out(conductor.plan_units(runs), progress)
        return runs

    @property
    def _n_groups(self) -> int:
        return sum(len(arm.plan.groups) for arm in self.arms)

    def _confirmed(self) -> list[Arm]:
        return [arm for arm in self.arms if arm.name in self.chosen.values()]

    def _pretrain(
        self, pool: Workers, progress: Callable[[int], None], arms: Sequence[Arm], phase: Phase, n_runs: int
    ) -> None:
        """The runs that those of `phase` start from, one for each number, all arms side by side."""
        runs = self._sources(arms, phase, n_runs)
        pool.carry_out(self.conductor.plan_units(runs), progress)
        for run, (arm, number) in zip(runs, product(arms, range(n_runs)), strict=True):
            self.conductor.sources[arm.name, phase, number] = run.run_id
            self.conductor.sizes[arm.name] = sizes_of(run.params)

    def _sources(self, arms: Sequence[Arm], phase: Phase, n_runs: int) -> list[Run]:
        return [self._source(arm, phase, number) for arm, number in product(arms, range(n_runs))]

    def _source(self, arm: Arm, phase: Phase, number: int) -> Run:
        """A pretraining run: the parameters that won for its tasks, a seed of its own."""
        conductor = self.conductor
        design = conductor.design
        own = ("neural", SINGLE if len(arm.source) == 1 else "together", arm.source)
        made = conductor.run(
            Phase.PRETRAIN, "neural", own[1], Group(f"{arm.name}:first", arm.source), conductor.winners.get(own, 0), 0
        )
        again = (design.record.revision,) if design.record.revision and phase is Phase.CONFIRM else ()
        seed = derive(design.record.seed, Phase.PRETRAIN.value, phase.value, *again, number)
        return replace(made, arm=arm.name, key=design.variants[arm.name].key, seed=seed, source=None)

    def _compare(self) -> None:
        """Each task's most promising transfer: the largest expected change against the same network from scratch,
        pooled over an arm's tasks; by raw scores where that cannot be compared."""
        conductor, gains = self.conductor, self.gains
        for arm in self.arms:
            pairs_ = [conductor.pair(t, SINGLE, arm.name, conductor.seen, "validation") for t in arm.plan.tasks]
            found, _ = conductor.compared(pairs_)
            for belief in beliefs(found):
                gains.setdefault(belief.task, {})[arm.name] = belief.expected_gain
        for task in conductor.judged:
            arms = [arm.name for arm in self.arms if task.name in arm.plan.tasks]
            known = gains.get(task.name, {})
            if arms and all(arm in known for arm in arms):
                self.chosen[task.name] = max(arms, key=lambda arm: known[arm])
            elif arms:
                scores = {arm: [self._score(run, task.name) for run in conductor.seen[arm, task.name]] for arm in arms}
                self.chosen[task.name] = best_single(scores, task.metric, arms)

    def _score(self, run: Run, task: str) -> float | None:
        return read_record(self.conductor.directory, run).validation.get(task)
