"""The search for a plan inside a study: sampled groups trained, their gains read on validation rows, plans proposed.

What is trained is frozen with the design. What is found follows from the records alone, so that a resumed study finds
the same plans.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sharewise import grouping, metrics
from sharewise.errors import ConfigError, Problem
from sharewise.grouping import design as sampling
from sharewise.grouping.base import Affinity, Estimate, Measured
from sharewise.grouping.base import Group as Numbers
from sharewise.grouping.constraints import constraints, models_within
from sharewise.grouping.find import Found, Proposal, find
from sharewise.plan import Group, Plan
from sharewise.records import (
    Arm,
    Comparison,
    Forecast,
    GroupingRecord,
    Latency,
    Outcome,
    Phase,
    Role,
    SearchDesign,
    Status,
    to_json,
    write_atomic,
)
from sharewise.study.design import SEARCH, SINGLE, Design, describe_model, method_of, most_groups
from sharewise.study.estimate import Clock, at_most
from sharewise.study.judge import judge
from sharewise.study.latency import measured, told
from sharewise.study.latency_text import milliseconds
from sharewise.study.posterior import beliefs
from sharewise.study.prepare import Prepared
from sharewise.study.run import Conductor
from sharewise.study.search_section import FOUND, OFF, SearchSection
from sharewise.study.space import TUNED, applied
from sharewise.study.work import Run, read_predictions, read_record
from sharewise.study.workers import Workers
from sharewise.tasks import TaskSet

FEWEST_TASKS = 3
"""With two tasks, alone and together are all the plans there are."""

MOST_GAIN = 15.0
"""A measured gain counts up to so many margins either way: 30 % at the default margin."""

MOST_BEHIND = 6.0
"""So much for how far a task's own best model of another kind is ahead."""

FEWEST_COMMON = 30
"""Rows that two tasks must both be labelled for before their single models' answers are correlated."""


# --- before the first run -----------------------------------------------------------------------------------


def wanted(said: SearchSection, n_tasks: int) -> bool:
    """Whether a study of so many tasks searches."""
    return said.method != OFF and n_tasks >= FEWEST_TASKS


def with_variants(design: Design) -> Design:
    """The design with the sampled groups' and found plans' models among its variants: they are the study's own."""
    made = dict.fromkeys((SEARCH, *FOUND), design.variants["together"])
    return replace(design, variants={**design.variants, **made})


def with_search(design: Design, said: SearchSection, prepared: Prepared, known: Latency | None = None) -> Design:
    """The design with its search; raises ConfigError for constraints that contradict and budgets that are too small.

    `known` is the latency that the same design was set against before: a resumed study does not measure again.
    """
    tasks = prepared.tasks.judged
    most, latency = _most_models(said, design, prepared, known)
    limits = constraints(tasks.names, said.together, said.apart, most)
    n = len(tasks)
    cost = sampling.share(n, said.runs or sampling.most_runs(n))
    method = grouping.CATALOGUE.load(said.method)
    groups: tuple[Numbers, ...]
    if not method.measures_groups:
        groups = joint(design, tasks) if method.joint_run else ()
    elif method.needs_pairs:
        groups = sampling.pairs(n)
        if len(groups) > cost.groups:
            needed = cost.total - cost.groups + len(groups)
            raise ConfigError(sampling.too_few_for_pairs(n, cost.total, needed))
    else:
        groups = sampling.sample_groups(n, cost.groups, design.record.seed)
    groups = tuple(g for g in groups if limits.allows(g) or method.joint_run)
    # A plan of n tasks has at most n / 2 groups: with few tasks less is left to train than the budget would pay for.
    plan_models = min(cost.plans, said.plans * (n // 2))
    record = SearchDesign(
        method=said.method,
        groups=tuple(tuple(tasks.names[t] for t in g) for g in groups),
        plan_models=plan_models,
        models=n + 1 + len(groups) + plan_models,
        n_plans=said.plans,
        risk=float(said.risk),
        together=tuple(tuple(tasks.names[t] for t in g) for g in limits.together),
        apart=tuple((tasks.names[a], tasks.names[b]) for a, b in limits.apart),
        max_models=limits.max_models,
        latency=latency,
    )
    budget = design.budget
    a_plan = budget.trials + budget.selection_runs - 1
    # What is confirmed may be a plan found, of more groups than any that is known by now.
    groups_more = max(n // 2 - most_groups(design.candidates), 0)
    planned = design.record.planned_runs + len(groups) + plan_models * a_plan + groups_more * budget.confirmation_runs
    further = design.record.further_runs + groups_more * (budget.most_runs - budget.confirmation_runs)
    return replace(design, record=replace(design.record, search=record, planned_runs=planned, further_runs=further))


def known_latency(directory: Path) -> Latency | None:
    """The latency that the design in a run directory was set against."""
    try:
        said = json.loads((directory / "design.json").read_text(encoding="utf-8"))["search"]["latency"]
        return None if said is None else Latency(**said)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def joint(design: Design, tasks: TaskSet) -> tuple[Numbers, ...]:
    """The groups of the candidate that shares as much as can be, by task numbers."""
    shared = [[t for t in g.tasks if t in tasks.names] for g in design.arm("together").plan.groups]
    return tuple(tuple(sorted(tasks.index(t) for t in g)) for g in shared if len(g) > 1)


def _most_models(
    said: SearchSection, design: Design, prepared: Prepared, known: Latency | None
) -> tuple[int | None, Latency | None]:
    """The number of models that all limits leave room for, and the latency that one in milliseconds was set against.

    A latency in times of one model is counted in parameters. Raises ConfigError where a limit leaves room for none.
    """
    limit = milliseconds(said.max_latency)
    rooms: list[tuple[int | None, str, str]] = [(said.max_models, "max_models", "")]
    latency = None
    if said.max_parameters or (said.max_latency and limit is None):
        whole, lone = _sizes(design, prepared)
        fact = f"one model for all tasks has {whole:,} parameters"
        if said.max_parameters is not None:
            rooms.append((_room(float(said.max_parameters), whole, lone), "max_parameters", fact))
        if isinstance(said.max_latency, int | float):
            times = _room(float(said.max_latency) * whole, whole, lone)
            rooms.append((times, "max_latency", "it is less than one model for all tasks"))
    if limit is not None:
        whole_model, alone = _models(design, prepared)
        latency = known or measured(prepared, whole_model, alone)
        fact = (
            f"on this machine one model for all tasks takes {latency.read + latency.whole:.3g} ms a row, of which "
            f"{latency.read:.3g} ms go into reading it"
        )
        room = _room(limit - latency.read, latency.whole, [latency.alone] * len(alone))
        rooms.append((room, "max_latency", fact))
    for room, name, fact in rooms:
        if room is not None and room < 1:
            raise ConfigError(Problem(f"'{name}' must leave room for one model", fact, "Raise it"))
    found = [room for room, _, _ in rooms if room is not None]
    return (min(found) if found else None), latency


def _room(most: float, whole: float, lone: Sequence[float]) -> int | None:
    """Models that a limit leaves room for, where one of all tasks costs `whole` and their own ones `lone`."""
    if most < whole:
        return 0
    trunk = max((sum(lone) - whole) / max(len(lone) - 1, 1), 1e-9 * whole)
    room = models_within({"": most}, {"": trunk}, {"": whole - trunk})
    return None if room is None or room >= len(lone) else room


def _models(design: Design, prepared: Prepared) -> tuple[Any, list[Any]]:
    """One model of all tasks, and each task's own, with the weights that they start from."""
    from sharewise.models.build import GroupModel, placed, slots_of
    from sharewise.models.stacked import Stack

    def model(tasks: Sequence[Any], arm: str) -> Any:
        choice = placed(design.variants[arm].architecture, tasks)
        made = GroupModel(prepared.encoder, choice, slots_of(tasks))
        Stack(made).populate([0], [[task.name for task in tasks]], prepared.data.device)
        return made

    judged = prepared.tasks.judged.tasks
    return model(judged, "together"), [model([task], SINGLE) for task in judged]


def _sizes(design: Design, prepared: Prepared) -> tuple[int, list[int]]:
    """Parameters of one model of all tasks, and of each task's own."""
    whole, alone = _models(design, prepared)
    return _size(whole), [_size(model) for model in alone]


def _size(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())


def announce(conductor: Conductor, clock: Clock, n_workers: int) -> str:
    """What the search will cost, in runs and minutes: sampled groups once each, then every trial of the plans found."""
    design = conductor.design
    record = design.record.search
    assert record is not None
    runs = sampled_runs(conductor, record, 0)
    shared = conductor.plan_units(conductor.tuning([design.arm("together")]))
    # A found plan's models hold fewer tasks than the one that holds all; they are counted as if they held as many.
    a_run = clock.of(shared) / max(sum(len(unit.runs) for unit in shared), 1)
    plans = record.plan_models * (design.budget.trials + design.budget.selection_runs - 1)
    minutes = clock.minutes(conductor.plan_units(runs), n_workers) + plans * a_run / n_workers / 60
    first = f"{len(runs)} sampled group{'s' if len(runs) != 1 else ''}"
    if not runs or _looks(record):
        first = "one joint run" if runs else "no group of its own"
    limit = "" if record.latency is None else f" {told(record.latency, record.max_models)}"
    if len(conductor.tasks) > len(conductor.judged):
        limit += (
            " Auxiliary tasks take no part in the plans it finds; they stay with 'together' and your own candidates."
        )
    return (
        f"Search for a plan ({record.method}): {first}, then up to {record.plan_models} models for the plans found, "
        f"{plans} runs of them ({record.models} models in all with each task alone), "
        f"{at_most(minutes)}.{limit}"
    )


def _looks(record: SearchDesign) -> bool:
    return bool(grouping.CATALOGUE.load(record.method).joint_run)


def sampled_runs(conductor: Conductor, record: SearchDesign, trial: int) -> list[Run]:
    """The runs of the sampled groups, or the joint run that is looked at."""
    return [
        replace(
            conductor.run(Phase.SEARCH, "neural", SEARCH, sampled(conductor.design, i, tasks, 0).group, trial, i),
            look_ahead=_looks(record),
        )
        for i, tasks in enumerate(record.groups)
    ]


def sampled(design: Design, number: int, tasks: tuple[str, ...], trial: int) -> Run:
    """The run of one sampled group, without its tuned values."""
    key = design.variants[SEARCH].key
    return Run(Phase.SEARCH, SEARCH, "neural", Group(f"{SEARCH}:{number + 1}", tasks), number, trial, {}, key)


# --- the search ---------------------------------------------------------------------------------------------


class PlanSearch:
    """The search of one study, after its arms were tuned and compared on validation rows."""

    def __init__(self, conductor: Conductor, log: Callable[[str], None]) -> None:
        record = conductor.design.record.search
        if record is None:
            raise ValueError("A search belongs to a design that has one; however, this design has none.")
        self.conductor, self.log, self.record = conductor, log, record
        self.tasks: TaskSet = conductor.judged
        """The tasks that plans are about; an auxiliary task stays with the candidates that name it."""
        self.limits = constraints(self.tasks.names, record.together, record.apart, record.max_models)
        n = len(self.tasks)
        self.method: Affinity | None = None
        """None where no search is needed."""
        self.trial = 0
        self.behind = np.zeros(n)
        """How far each task alone is behind its best single-task arm, in margins."""
        self.measured = Measured.of([], n)
        self.estimate = Estimate(np.zeros(n), np.zeros((n, n)), np.zeros((n, n + 1, n + 1)))
        self.scores: np.ndarray | None = None
        """Scores of pairs (K, K) that suggested plans, where no group was measured."""
        self.found: list[Proposal] = []
        """The plans proposed so far, each with what was predicted of it before it was trained."""
        self.known: list[int] = []
        """How many groups had been measured when each was predicted."""
        self.runner_up: Proposal | None = None
        self.reason = ""

    def measure(self, pool: Workers, progress: Callable[[int], None], singles: dict[str, dict[str, str]]) -> None:
        """Train the sampled groups, where there may be something to gain."""
        self.behind = self._behind(singles[SINGLE])
        self.reason = self._cleared(singles[SINGLE])
        if not self.reason:
            self.method = grouping.CATALOGUE.build(self.record.method)
            self.trial = self._common_trial()
            pool.carry_out(self.conductor.plan_units(self._sampled(self.trial)), progress)

    def next_plan(self) -> Arm | None:
        """The next plan to train as a candidate, by the gains of all groups trained so far, those of the plans before
        it among them; None where no other is worth it. `grouping.json` and `plans.json` say which and why."""
        found = Found(None, None, self.reason)
        if self.method is not None:
            against = self._fit(self.method)
            # The first is trained whatever its size.
            spent = sum(len(proposal.shared) for proposal in self.found)
            room = self.record.plan_models - spent if self.found else len(self.tasks)
            most = min(self.record.n_plans, len(FOUND))
            found = Found(None, None, f"The search tries at most {most} plan{'s' if most > 1 else ''}.")
            if len(self.found) < most:
                seed = self.conductor.design.record.seed
                risk = self.record.risk
                found = find(self.method, against, self.limits, risk=risk, room=room, seed=seed, tried=self._tried())
        if not self.found:
            self.runner_up = found.runner_up
        self.reason = found.reason
        if found.proposal is not None:
            self.found.append(found.proposal)
            self.known.append(_n_groups(self.measured))
            self._say(found.proposal)
        elif not self.found:
            self.log(self.reason)
        arms = tuple(self._arm(name, p) for name, p in zip(FOUND, self.found, strict=False))
        directory = self.conductor.directory
        write_atomic(directory / "plans.json", to_json(arms))
        write_atomic(directory / "grouping.json", to_json(self._told()))
        return arms[-1] if found.proposal is not None else None

    def _tried(self) -> list[tuple[Numbers, ...]]:
        """The plans of all candidates whose models are built as the search's: those found before, and 'together' where
        no auxiliary task is among its tasks, which would make it another plan."""
        design, index = self.conductor.design, self.tasks.index
        made = []
        for arm in design.candidates:
            shared = [g.tasks for g in arm.plan.groups if len(g.tasks) > 1]
            ours = all(t in self.tasks.names for g in shared for t in g)
            if ours and design.variants[arm.name].key == design.variants[SEARCH].key:
                made.append(tuple(sorted(tuple(sorted(index(t) for t in g)) for g in shared)))
        return made

    def _fit(self, method: Affinity) -> Estimate:
        """The method fitted to all gains measured so far; what is returned counts against each task's best model."""
        if method.measures_groups:
            self.measured = self._measured(self.trial)
            self.estimate = method.fit(self.measured, self._hints(self.trial))
            return replace(self.estimate, intercept=self.estimate.intercept - self.behind)
        # Scores have no unit, so that what a task alone is behind cannot be set against them.
        self.scores = self._scores(method, self.trial)
        self.estimate = method.fit(self.measured, self.scores)
        return self.estimate

    def forecasts(self) -> dict[str, dict[str, float]]:
        """Expected gains in margins over each task's best single-task arm, by candidate and task, of the candidates
        that are made like the sampled groups; empty where no group was measured.

        They are those of the last fit, which knows the gains of all plans: a plan is chosen by what all runs of the
        search say of it, not by its own few alone.
        """
        if self.method is None or not self.method.measures_groups:
            return {}
        conductor, names = self.conductor, self.tasks.names
        made = {}
        for arm in conductor.design.candidates:
            groups = [g for g in arm.plan.groups if len(g.tasks) > 1]
            if not all(set(g.tasks) <= set(names) for g in groups):
                continue
            # A plan whose models won with another trial is not what the forecast is about.
            won = [conductor.winning(arm, group) for group in groups]
            if not all(run.trial == self.trial and self._like(run) for run in won):
                continue
            gains: dict[str, float] = {}
            for item in groups:
                group = tuple(sorted(self.tasks.index(t) for t in item.tasks))
                gains |= {
                    names[t]: float(g - self.behind[t])
                    for t, g in zip(group, self.estimate.gains(group)[0], strict=True)
                }
            made[arm.name] = gains
        return made

    def _say(self, proposal: Proposal) -> None:
        sizes = ", ".join(str(len(g)) for g in sorted(proposal.shared, key=len, reverse=True))
        said = f"{proposal.gain:+.2f} margins a task, standard error {proposal.sd:.2f}"
        if self.scores is not None:
            said = f"suggested by {self.record.method} scores: a hypothesis, no measured gain"
        number = "a plan" if len(self.found) == 1 else "another plan"
        self.log(f"Found {number} to try, which shares groups of {sizes} tasks ({said}).")

    # --- what is known already ----------------------------------------------------------------------------

    def _cleared(self, best: dict[str, str]) -> str:
        """Why no search is needed: all tasks together clear every task already, and nothing forbids that plan."""
        if self.limits.apart:
            return ""
        pairs = [self.conductor.pair(t, best[t], "together", self.conductor.seen, "validation") for t in best]
        found, missing = self.conductor.compared(pairs)
        if missing or any(judge(c).outcome is not Outcome.NO_HARM or c.effect <= 0 for c in found):
            return ""
        return "All tasks together clear and gain every task on validation rows already: no other plan is searched."

    def _behind(self, best: dict[str, str]) -> np.ndarray:
        """How far each task alone is behind its best single-task arm (K,), in margins."""
        pairs = [
            self.conductor.pair(t, SINGLE, arm, self.conductor.seen, "validation")
            for t, arm in best.items()
            if arm != SINGLE
        ]
        found, _ = self.conductor.compared(pairs)
        gains = {belief.task: belief.expected_gain for belief in beliefs(found)}
        made = [gains.get(task.name, 0.0) / task.margin for task in self.tasks]
        clipped: np.ndarray = np.clip(np.array(made), 0.0, MOST_BEHIND)
        return clipped

    def _common_trial(self) -> int:
        """The trial that is best on average over the single models: all sampled groups train with it, and are compared
        with the single models of that very trial, which was chosen for none of them. The default, where every group has
        a search of its own or trials leave early: it alone is everybody's and always trained to its end."""
        tuning = self.conductor.design.tuning
        if tuning["sampler"] != "random" or tuning.get("pruner", "none") != "none":
            return 0
        trials = self.conductor.design.budget.trials
        changes = np.zeros((trials, len(self.tasks)))
        for t, task in enumerate(self.tasks):
            scores = [self._score(self._single(task.name, trial), task.name) for trial in range(trials)]
            for trial, score in enumerate(scores):
                if score is None or scores[0] is None:
                    continue
                effect = metrics.metric(task.metric).effect_of(scores[0], score)
                changes[trial, t] = 0.0 if effect is None else np.clip(effect / task.margin, -MOST_GAIN, MOST_GAIN)
        return int(np.argmax(changes.mean(axis=1)))

    def _single(self, task: str, trial: int) -> Run:
        return self.conductor.run(Phase.TUNE, "neural", SINGLE, Group(f"single:{task}", (task,)), trial, 0)

    def _score(self, run: Run, task: str) -> float | None:
        record = read_record(self.conductor.directory, run)
        return record.validation.get(task) if record.status is Status.DONE else None

    # --- what is measured ---------------------------------------------------------------------------------

    def _sampled(self, trial: int) -> list[Run]:
        """The runs of the sampled groups."""
        return sampled_runs(self.conductor, self.record, trial)

    def _scores(self, method: Affinity, trial: int) -> np.ndarray:
        """What suggests plans where no group is measured, (K, K), row k the task that is helped; nan where two tasks
        never met: gradient cosines of the candidate that shares all, or what the joint run's own steps did."""
        conductor, names = self.conductor, self.tasks.names
        made = np.full((len(names), len(names)), np.nan)
        if method.joint_run:
            records = [read_record(conductor.directory, run) for run in self._sampled(trial)]
            tables = [(record.tasks, record.lookahead) for record in records]
        else:
            shared = [run for run in conductor.tuning([conductor.design.arm("together")]) if run.trial == trial]
            found = [read_record(conductor.directory, run) for run in shared]
            tables = [(r.tasks, r.balance.cosines) for r in found if r.balance is not None]
        for tasks, table in tables:
            for i, row in enumerate(table):
                for j, value in enumerate(row):
                    if i != j and value is not None and tasks[i] in names and tasks[j] in names:
                        made[names.index(tasks[i]), names.index(tasks[j])] = value
        return made

    def _measured(self, trial: int) -> Measured:
        """Gains of the sampled groups, and of every group of a candidate that was tuned with the same trial."""
        conductor = self.conductor
        candidates = [r for r in conductor.tuning(conductor.design.candidates) if r.trial == trial]
        tuned = [r for r in candidates if set(r.group.tasks) <= set(self.tasks.names) and self._like(r)]
        rows: list[tuple[Numbers, int, float, float]] = []
        for c, run in self._compared([*self._sampled(trial), *tuned], trial):
            group = tuple(sorted(self.tasks.index(t) for t in run.group.tasks))
            gain = float(np.clip(c.effect / c.margin, -MOST_GAIN, MOST_GAIN))
            rows.append((group, self.tasks.index(c.task), gain, c.var_rows / c.margin**2))
        return Measured.of(rows, len(self.tasks))

    def _like(self, run: Run) -> bool:
        """Whether a candidate's model was built and trained as a sampled group's would be, so that sharing is all that
        sets it apart from the single models."""
        variant = self.conductor.design.variants[SEARCH]
        params = self.conductor.run(Phase.SEARCH, "neural", SEARCH, run.group, run.trial, 0).params
        rates = all(run.params[name] == params[name] for name in TUNED)
        return run.key == variant.key and rates and applied(variant, run.params) == applied(variant, params)

    def _compared(self, runs: Sequence[Run], trial: int) -> list[tuple[Comparison, Run]]:
        """Every run against the single model of each of its tasks, on validation rows."""
        made = []
        for run in runs:
            pairs = []
            for task in run.group.tasks:
                both = {(SINGLE, task): [self._single(task, trial)], (run.arm, task): [run]}
                pairs.append(self.conductor.pair(task, SINGLE, run.arm, both, "validation"))
            made += [(c, run) for c in self.conductor.compared(pairs)[0]]
        return made

    def _hints(self, trial: int) -> np.ndarray | None:
        """Likeness of tasks (K, K): |correlation| of their single models' answers on validation rows labelled for both;
        nan where there are fewer than 30. It costs nothing and decides nothing: the surrogate learns what it is worth.
        """
        n = len(self.tasks)
        answers: list[tuple[np.ndarray, np.ndarray] | None] = []
        for task in self.tasks:
            record = read_record(self.conductor.directory, self._single(task.name, trial))
            rows = self.conductor.prepared.rows_of(task.name, "validation")
            if record.status is not Status.DONE or len(rows) < FEWEST_COMMON:
                answers.append(None)
                continue
            answers.append((rows, read_predictions(self.conductor.directory, record, "validation", task.name)))
        made = np.full((n, n), np.nan)
        for a in range(n):
            for b in range(a):
                made[a, b] = made[b, a] = _likeness(answers[a], answers[b])
        return made if np.isfinite(made).any() else None

    # --- what is told -------------------------------------------------------------------------------------

    def _arm(self, name: str, proposal: Proposal) -> Arm:
        groups = [tuple(self.tasks.names[t] for t in g) for g in proposal.shared]
        plan = Plan.of(name, groups, self.tasks.names)
        design = self.conductor.design
        variant = design.variants[name]
        said, weights = describe_model(variant), method_of(variant)
        return Arm(name, Role.CANDIDATE, plan, said, design.budget.trials, SINGLE, weights)

    def _told(self) -> GroupingRecord:
        measured, estimate = self.measured, self.estimate
        spread = np.sqrt(np.stack([np.diag(c)[1:] for c in estimate.covariance])) if len(measured.gain) else None
        return GroupingRecord(
            method=self.record.method,
            tasks=self.tasks.names,
            helps=_rounded(estimate.theta) if spread is not None else (),
            helps_sd=_rounded(spread) if spread is not None else (),
            sharing=tuple(round(float(v), 4) for v in estimate.intercept),
            behind=tuple(round(float(v), 4) for v in self.behind),
            n_groups=_n_groups(measured),
            n_gains=len(measured.gain),
            plans=tuple(self._forecast(*item) for item in zip(FOUND, self.found, self.known, strict=False)),
            runner_up=None if self.runner_up is None else self._forecast("runner-up", self.runner_up),
            reason=self.reason,
            suggested=() if self.scores is None else _table(self.scores),
        )

    def _forecast(self, name: str, proposal: Proposal, n_groups: int = 0) -> Forecast:
        groups = tuple(tuple(self.tasks.names[t] for t in g) for g in proposal.groups)
        return Forecast(name, groups, round(proposal.gain, 4), round(proposal.sd, 4), n_groups)


def _n_groups(measured: Measured) -> int:
    """Different groups whose gains were measured."""
    return len({tuple(row) for row in measured.members.tolist()})


def _likeness(one: tuple[np.ndarray, np.ndarray] | None, other: tuple[np.ndarray, np.ndarray] | None) -> float:
    if one is None or other is None:
        return float("nan")
    common, left, right = np.intersect1d(one[0], other[0], assume_unique=True, return_indices=True)
    if len(common) < FEWEST_COMMON:
        return float("nan")
    x, y = one[1][left].astype(np.float64), other[1][right].astype(np.float64)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = np.outer(np.sqrt((x**2).sum(axis=0)), np.sqrt((y**2).sum(axis=0)))
    return float(np.max(np.abs(x.T @ y) / np.where(scale > 0, scale, np.inf)))


def _table(scores: np.ndarray) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(float(f"{v:.4g}") if np.isfinite(v) else None for v in row) for row in scores)


def _rounded(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(v), 4) for v in row) for row in values)
