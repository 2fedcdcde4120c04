"""The protocol, start to end: tune, select, confirm, compare, judge, decide.

Validation rows choose; confirmation runs have fresh seeds; test rows are opened once, at the end. Every run is a file,
so that the same command goes on where an interrupted one stopped and reaches the same verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sharewise import metrics
from sharewise.models.alternatives import CATALOGUE
from sharewise.models.space import Space
from sharewise.plan import Group
from sharewise.records import (
    Arm,
    Calibration,
    Challenge,
    Comparison,
    Decision,
    OwnScore,
    Phase,
    PooledEffect,
    Role,
    RunRecord,
    Stability,
    Status,
    Verdict,
    to_json,
    write_atomic,
)
from sharewise.seeds import derive
from sharewise.study import choose
from sharewise.study.calibration import calibration
from sharewise.study.compare import Pair, compare_all
from sharewise.study.contest import key_of, past_of, units_of
from sharewise.study.decide import Option
from sharewise.study.decide import choose as routes_of
from sharewise.study.design import SEARCH, SINGLE, Design
from sharewise.study.ensemble import ENSEMBLE, against_ensembles
from sharewise.study.inputs import stackable
from sharewise.study.judge import judge_all
from sharewise.study.posterior import beliefs, pooled
from sharewise.study.prepare import Array, Prepared
from sharewise.study.rules import Rules
from sharewise.study.scores import own_scores
from sharewise.study.search_section import FOUND
from sharewise.study.space import RATES, drawn, further
from sharewise.study.stability import stability
from sharewise.study.work import Run, Unit, read_predictions, read_record, units
from sharewise.study.workers import Workers

if TYPE_CHECKING:
    from sharewise.study.tuning import Search


@dataclass(frozen=True)
class Findings:
    """What the study found: verdicts of the chosen candidate against the best single-task model (`verdicts`) and
    against the same architecture alone (`isolated`), all comparisons, who answers each task, and the runs behind."""

    selected: str | None
    reason: str
    comparisons: tuple[Comparison, ...]
    verdicts: tuple[Verdict, ...]
    isolated: tuple[Verdict, ...]
    decisions: tuple[Decision, ...]
    notes: tuple[str, ...]
    confirmation: dict[tuple[str, str], list[Run]]
    """Confirmation runs by (arm, task)."""
    singles: dict[str, str]
    """Each task's best single-task arm, which answers where sharing does not, or no longer."""
    pooled: tuple[PooledEffect, ...] = ()
    stability: tuple[Stability, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    ensembles: tuple[Comparison, ...] = ()
    """Of each task's ensemble of single-task runs: against one such run, and the shared model against it."""
    challenges: tuple[Challenge, ...] = ()
    """Further ways to answer a task, judged once this contest was decided (see `challenge`)."""
    scores: tuple[OwnScore, ...] = ()
    """Of each task's best single-task arm, whether it was compared or not."""


class Conductor:
    """Runs one design in one directory."""

    def __init__(self, design: Design, prepared: Prepared, directory: Path, log: Callable[[str], None]) -> None:
        self.design, self.prepared, self.directory, self.log = design, prepared, directory, log
        self.tasks = prepared.tasks
        self.judged = prepared.tasks.judged
        self.winners: dict[tuple[str, str, tuple[str, ...]], int] = {}
        self.asked: dict[tuple[str, str, tuple[str, ...]], list[dict[str, Any]]] = {}
        self.seen: dict[tuple[str, str], list[Run]] = {}
        """Runs by (arm, task) that the last selection compared on validation rows."""
        self.sizes: dict[str, dict[str, Any]] = {}
        """Sizes of an arm's models that start from another model's weights: they are that model's."""
        self.selection: tuple[Comparison, ...] = ()
        self.promises: dict[str, float] = {}
        """What each candidate promised when the last was selected; nothing where no plan shares."""
        self.sources: dict[tuple[str, Phase, int], str] = {}
        """Of arms whose runs start from another run's weights: that run, by arm, phase and number."""
        self._kept: dict[tuple[str, str, str], Array] = {}

    # --- the runs of a phase ------------------------------------------------------------------------------

    def trained(self, arm: Arm) -> list[tuple[str, str, Group]]:
        """(kind, arm whose variant builds it, group) of every group an arm trains itself."""
        if arm.role is Role.ALTERNATIVE:
            return [(arm.name, arm.name, group) for group in arm.plan.groups]
        groups = [g for g in arm.plan.groups if arm.role is not Role.CANDIDATE or len(g.tasks) > 1]
        return [("neural", arm.name, group) for group in groups]

    def run(self, phase: Phase, kind: str, arm: str, group: Group, trial: int, number: int) -> Run:
        """The run of one group: its seed depends on the phase and the number, its parameters on the trial."""
        root, revision = self.design.record.seed, self.design.record.revision
        # A revision keeps what was tuned and selected and draws the confirmation anew.
        again = (revision,) if revision and phase is Phase.CONFIRM else ()
        # A group that two found plans have in common is trained for each: another look, with another seed.
        own = (arm,) if arm in FOUND and phase is not Phase.CONFIRM else ()
        return Run(
            phase=phase,
            arm=arm,
            kind=kind,
            group=group,
            seed=derive(root, phase.value, *again, *own, number),
            trial=trial,
            params=self._params(kind, arm, group, trial),
            key=self.design.variants[arm].key if kind == "neural" else kind,
            source=self.sources.get((arm, phase, number)),
        )

    def _params(self, kind: str, arm: str, group: Group, trial: int) -> dict[str, Any]:
        """A trial's parameters: what the group's search asked for, else the built-in draw."""
        from dataclasses import asdict

        from sharewise.training.recipe import trial as neural_trial

        asked = self.asked.get((kind, arm, group.tasks), [])
        if trial < len(asked):
            return asked[trial]
        root = self.design.record.seed
        if kind == "neural":
            default, space = self._further(arm, group)
            return {**asdict(neural_trial(trial, root)), **drawn(default, space, trial, root)}
        return dict(CATALOGUE.load(kind).search_space(trial, root))

    def _further(self, arm: str, group: Group) -> tuple[dict[str, Any], Space]:
        """What the study searches beside rates, for a group of an arm. Sampled groups of a search train as the single
        models they are compared with: with nothing that one task alone does not have."""
        variant = self.design.variants[SINGLE if arm == SEARCH else arm]
        tasks = [self.tasks[name] for name in group.tasks]
        searched = [what for what in self.design.tuning.get("space", ()) if arm not in self.sizes or what in RATES]
        default, space = further(searched, variant, tasks[:1] if arm == SEARCH else tasks)
        return {**default, **self.sizes.get(arm, {})}, space

    def tuning(self, arms: Sequence[Arm] | None = None) -> list[Run]:
        """Equal trials for every group of every arm, or of these arms, all with one seed."""
        return [
            self.run(Phase.TUNE, kind, arm, group, trial, 0)
            for item in (self.design.contest if arms is None else arms)
            for kind, arm, group in self.trained(item)
            for trial in range(self.design.budget.trials)
        ]

    def repeated(self, phase: Phase, wanted: Iterable[tuple[str, str, Group]], n_runs: int) -> list[Run]:
        """`n_runs` runs of each group's winning trial; one where the model has no luck in it."""
        return [
            self.run(phase, kind, arm, group, self.winners[kind, arm, group.tasks], number)
            for kind, arm, group in wanted
            for number in range(1 if deterministic(kind) else n_runs)
        ]

    # --- phases -------------------------------------------------------------------------------------------

    def plan_units(self, runs: Sequence[Run], rules: Rules | None = None) -> list[Unit]:
        """The work list of some runs; trials of nets that stack compete where there are rules."""
        if rules is None or not stackable(self.prepared.encoder):
            return units(runs, self.prepared)
        competes = [r.kind == "neural" and r.source is None for r in runs]
        work = units_of([r for r, c in zip(runs, competes, strict=True) if c], self.prepared, rules)
        work += units([r for r, c in zip(runs, competes, strict=True) if not c], self.prepared)
        return sorted(work, key=lambda unit: -unit.cost)

    def tune(self, workers: Workers, progress: Callable[[int], None], arms: Sequence[Arm] | None = None) -> None:
        """Carry out the tuning trials, of all arms or of these, and take each group's winner on validation rows."""
        tuning = self.design.tuning
        if tuning["sampler"] == "random" and tuning.get("pruner", "none") == "none":
            runs = self.tuning(arms)
            workers.carry_out(self.plan_units(runs), progress)
        else:
            runs = self._search(workers, progress, arms)
        by_group: dict[tuple[str, str, tuple[str, ...]], list[RunRecord]] = {}
        for run in runs:
            by_group.setdefault((run.kind, run.arm, run.group.tasks), []).append(read_record(self.directory, run))
        self.winners |= {
            key: choose.best_trial(records, self.tasks, self.design.tuning["objective"])
            for key, records in by_group.items()
        }

    def _search(self, workers: Workers, progress: Callable[[int], None], arms: Sequence[Arm] | None) -> list[Run]:
        """The trials that each group's own search asks for, a few at a time, all groups side by side; they compete
        where the study has a pruner."""
        from sharewise.study.tuning import AT_ONCE

        wanted = [item for arm in (self.design.contest if arms is None else arms) for item in self.trained(arm)]
        tuning, n_trials = self.design.tuning, self.design.budget.trials
        searches = [self._searched(*item) for item in wanted] if tuning["sampler"] != "random" else []
        pruner = tuning.get("pruner", "none")
        # What halving compares is all there is at once; whoever learns from earlier trials gets a few at a time.
        at_once = n_trials if not searches and pruner == "halving" else AT_ONCE
        made: list[list[Run]] = [[] for _ in wanted]
        for start in range(0, n_trials, at_once):
            numbers = range(start, min(start + at_once, n_trials))
            for (kind, arm, group), search in zip(wanted, searches, strict=False):
                self.asked.setdefault((kind, arm, group.tasks), []).extend(search.ask(len(numbers)))
            fresh = [[self.run(Phase.TUNE, *item, n, 0) for n in numbers] for item in wanted]
            past = {key_of(some[0]): past_of(self._records(some)) for some in made if some}
            rules = None if pruner == "none" else Rules(pruner, past, self.design.record.seed)
            workers.carry_out(self.plan_units([run for some in fresh for run in some], rules), progress)
            made = [before + some for before, some in zip(made, fresh, strict=True)]
            for search, before in zip(searches, made, strict=False):
                records = self._records(before)
                values = choose.trial_values(records, self.tasks, tuning["objective"])
                search.tell([values.get(n) for n in numbers], [r.standings for r in records[start:]])
        return [run for some in made for run in some]

    def _searched(self, kind: str, arm: str, group: Group) -> Search:
        """The search of one group."""
        from sharewise.study.tuning import Search

        seed = derive(self.design.record.seed, "search", kind, arm, *group.tasks)
        default = self._params(kind, arm, group, 0)
        return Search(default, self.space(kind, arm, group), self.design.tuning["sampler"], seed)

    def space(self, kind: str, arm: str, group: Group) -> Space:
        """What the trials of a group of an arm vary."""
        from sharewise.training.recipe import SPACE

        return CATALOGUE.load(kind).space() if kind != "neural" else {**SPACE, **self._further(arm, group)[1]}

    def trials(self, kind: str, arm: str, group: Group) -> list[RunRecord]:
        """Records of a group's trials, in their order."""
        return self._records([self.run(Phase.TUNE, kind, arm, group, n, 0) for n in range(self.design.budget.trials)])

    def _records(self, runs: Sequence[Run]) -> list[RunRecord]:
        return [read_record(self.directory, run) for run in runs]

    def _contestants(self) -> list[tuple[str, str, Group]]:
        return [item for arm in self.design.contest for item in self.trained(arm)]

    def selecting(self) -> list[Run]:
        """The runs that `select` makes beside the winning trials: more of each, where the budget has them."""
        wanted = [item for item in self._contestants() if not deterministic(item[0])]
        return self.repeated(Phase.SELECT, wanted, self.design.budget.selection_runs - 1)

    def select(
        self,
        workers: Workers,
        progress: Callable[[int], None],
        forecasts: Mapping[str, Mapping[str, float]] | None = None,
    ) -> tuple[str | None, dict[str, dict[str, str]]]:
        """The candidate to confirm, and each task's best single-task arm beside each candidate's own architecture.

        `forecasts` are a search's, see `choose.promises`.
        """
        everything, runs = self._contestants(), self.selecting()
        workers.carry_out(self.plan_units(runs), progress)
        seen = self.seen = {}
        for run in [*self._winning_trials(everything), *runs]:
            for task in run.group.tasks:
                seen.setdefault((run.arm, task), []).append(run)
        singles = {arm: self._best_singles(arm, seen) for arm in self._alone_arms()}
        if not self.design.candidates:
            return None, singles
        comparisons = {}
        for candidate in self.design.candidates:
            rival = singles[candidate.alone or SINGLE]
            shared = [t for t in self.judged.names if len(candidate.plan.group_of(t).tasks) > 1]
            comparisons[candidate.name] = self.compared(
                [self.pair(t, rival[t], candidate.name, seen, "validation") for t in shared]
            )[0]
        self.selection = tuple(c for found in comparisons.values() for c in found)
        primary = [task.name for task in self.tasks if task.primary]
        self.promises = choose.promises(comparisons, len(self.judged), primary, forecasts)
        return choose.most_promising(self.promises, list(comparisons)), singles

    def _alone_arms(self) -> list[str]:
        return [arm.name for arm in self.design.record.arms if arm.role is Role.ALONE]

    def winning(self, arm: Arm, group: Group) -> Run:
        """The tuning run that won for a group of an arm of nets."""
        return self._winning_trials([("neural", arm.name, group)])[0]

    def _winning_trials(self, wanted: Iterable[tuple[str, str, Group]]) -> list[Run]:
        return [self.run(Phase.TUNE, k, a, g, self.winners[k, a, g.tasks], 0) for k, a, g in wanted]

    def _best_singles(self, alone: str, seen: dict[tuple[str, str], list[Run]]) -> dict[str, str]:
        """Each task's best single-task arm on validation rows: the largest expected change against the arm `alone`.

        The changes of an arm are pooled over tasks (`beliefs`), so that a task with few validation rows leans on what
        the arm does for the others instead of on the luck of its own rows. Where an arm cannot be compared, raw scores
        decide.
        """
        gains: dict[str, dict[str, float]] = {}
        others = [arm.name for arm in self.design.record.arms if arm.role is Role.ALTERNATIVE]
        for arm in others:
            tasks = [t for t in self.judged.names if (arm, t) in seen]
            found, _ = self.compared([self.pair(t, alone, arm, seen, "validation") for t in tasks])
            for belief in beliefs(found):
                gains.setdefault(belief.task, {})[arm] = belief.expected_gain
        made = {}
        for task in self.judged:
            rivals = [arm for arm in others if (arm, task.name) in seen]
            if all(arm in gains.get(task.name, {}) for arm in rivals):
                ranked = {alone: 0.0, **gains.get(task.name, {})}
                made[task.name] = max(ranked, key=lambda arm: ranked[arm])
            else:
                scores = {
                    arm: [self._validation(run, task.name) for run in seen[arm, task.name]] for arm in [alone, *rivals]
                }
                made[task.name] = choose.best_single(scores, task.metric, [alone, *rivals])
        return made

    def _validation(self, run: Run, task: str) -> float | None:
        record = read_record(self.directory, run)
        return record.validation.get(task) if record.status is Status.DONE else None

    def confirmation(self, selected: str | None, singles: dict[str, dict[str, str]]) -> list[Run]:
        """Fresh runs of the chosen candidate, of each task alone, and of each task's best alternative."""
        arms = self.design.record.arms
        wanted: list[tuple[str, str, Group]] = []
        alone = SINGLE
        if selected is not None:
            candidate = self.design.arm(selected)
            alone = candidate.alone or SINGLE
            wanted += self.trained(candidate)
        wanted += self.trained(self.design.arm(alone))
        for arm in arms:
            if arm.role is Role.ALTERNATIVE:
                best = singles[alone]
                wanted += [w for w in self.trained(arm) if any(best[task] == arm.name for task in w[2].tasks)]
        return self.repeated(Phase.CONFIRM, wanted, self.design.budget.confirmation_runs)

    # --- evidence -----------------------------------------------------------------------------------------

    def pair(self, task: str, baseline: str, candidate: str, runs: dict[tuple[str, str], list[Run]], part: str) -> Pair:
        """Predictions of two arms' finished runs on the rows of a part, ready to be compared."""
        truth, present = self.prepared.truth(task, part)
        ids: list[tuple[str, ...]] = []
        predictions = []
        for arm in (baseline, candidate):
            done = [read_record(self.directory, run) for run in runs.get((arm, task), ())]
            done = [record for record in done if record.status is Status.DONE]
            ids.append(tuple(record.run_id for record in done))
            predictions.append([self._predictions(record, part, task) for record in done])
        return Pair(
            self.tasks[task],
            truth,
            present,
            baseline,
            candidate,
            predictions[0],
            predictions[1],
            ids[0],
            ids[1],
            clusters=self.prepared.clusters_of(task, part),
            baseline_deterministic=deterministic(baseline),
            candidate_deterministic=deterministic(candidate),
        )

    def _predictions(self, record: RunRecord, part: str, task: str) -> Array:
        """Predictions of a run in float64; those of test rows are read once, until `judge` is through with them."""
        key = (record.run_id, part, task)
        if key in self._kept:
            return self._kept[key]
        found = read_predictions(self.directory, record, part, task).astype(np.float64)
        if part == "test":
            self._kept[key] = found
        return found

    def compared(self, pairs: Sequence[Pair]) -> tuple[list[Comparison], dict[str, str]]:
        """Comparisons, and for what could not be compared the reason by task."""
        usable = [p for p in pairs if p.baseline and p.candidate]
        reasons = {p.task.name: "its runs diverged" for p in pairs if not (p.baseline and p.candidate)}
        found = compare_all(usable)
        reasons |= {u.task: u.reason for u in found.unavailable}
        return list(found.comparisons), reasons

    def judge(self, selected: str | None, singles: dict[str, dict[str, str]], runs: Sequence[Run]) -> Findings:
        """Open the test rows: compare, judge and decide."""
        by_arm: dict[tuple[str, str], list[Run]] = {}
        for run in runs:
            for task in run.group.tasks:
                by_arm.setdefault((run.arm, task), []).append(run)
        candidate = None if selected is None else self.design.arm(selected)
        alone = SINGLE if candidate is None else (candidate.alone or SINGLE)
        best = singles[alone]
        if candidate is None:
            one = "There is one task only, so there is nothing to share."
            reason = (
                one if len(self.judged) == 1 else "No two tasks read an input in common, so none can share a model."
            )
            decisions = [self._alone(t, best[t], reason) for t in self.judged.names]
            lone_pairs = [self.pair(t, best[t], SINGLE, by_arm, "test") for t in best]
            together = tuple(c for c in against_ensembles(lone_pairs) if c.candidate == ENSEMBLE)
            measured = self.calibrations(decisions, best, by_arm)
            own = own_scores(lone_pairs)
            return Findings(
                None, reason, (), (), (), tuple(decisions), (), by_arm, best,
                calibration=measured, ensembles=together, scores=own,
            )  # fmt: skip
        shared = [t for t in self.judged.names if len(candidate.plan.group_of(t).tasks) > 1]
        opened_pairs = [self.pair(t, best[t], candidate.name, by_arm, "test") for t in self.judged.names]
        against_best, why = self.compared([pair for pair in opened_pairs if pair.task.name in shared])
        pairs = [self.pair(t, alone, candidate.name, by_arm, "test") for t in shared if best[t] != alone]
        isolated, _ = self.compared(pairs)
        isolated = sorted([*isolated, *(c for c in against_best if c.baseline == alone)], key=self._order)
        prefer = self.design.record.prefer_fewer_models
        opened = {c.task: c for c in against_best}
        # Test rows decide, not validation rows: the single models' checkpoints, trials and kinds were chosen on the
        # validation rows, which with few of them flatters the single models by more than any margin.
        options = [
            Option(
                t,
                candidate.name,
                candidate.plan.group_of(t).name,
                best[t],
                self.home(best[t], t),
                opened.get(t),
                why.get(t, "it could not be compared on test rows"),
            )
            for t in shared
        ]
        routed = routes_of(options, prefer_fewer_models=prefer)
        by_task = {d.task: d for d in routed}
        lone = "The plan leaves it alone."
        decisions = [by_task.get(t) or self._alone(t, best[t], lone) for t in self.judged.names]
        comparisons = [*against_best, *(c for c in isolated if c.baseline != best[c.task])]
        notes = tuple(f"Task '{t}' could not be compared on test rows, because {r}." for t, r in why.items())
        primary = any(task.primary for task in self.tasks)
        what = "change of the primary task" if primary else "mean change"
        reason = f"'{candidate.name}' had the largest expected {what} on validation rows."
        if len(self.design.candidates) == 1:
            reason = f"'{candidate.name}' is the only plan that shares."
        return Findings(
            selected,
            reason,
            tuple(comparisons),
            tuple(judge_all(against_best)),
            tuple(judge_all(isolated)),
            tuple(decisions),
            notes,
            by_arm,
            best,
            tuple(pooled(against_best, {task.name: task.family for task in self.tasks})),
            stability(options, decisions, prefer_fewer_models=prefer),
            self.calibrations(decisions, best, by_arm, candidate.name),
            tuple(against_ensembles(opened_pairs)),
            scores=own_scores(opened_pairs),
        )

    def calibrations(
        self,
        decisions: Sequence[Decision],
        best: dict[str, str],
        runs: dict[tuple[str, str], list[Run]],
        candidate: str | None = None,
    ) -> tuple[Calibration, ...]:
        """Calibration on test rows of every task's ways to be answered, its best single-task arm first."""
        made = []
        for decision in decisions:
            task = decision.task
            for arm in dict.fromkeys([best[task], *([candidate] if candidate else []), decision.arm]):
                done = [read_record(self.directory, run) for run in runs.get((arm, task), ())]
                done = [record for record in done if record.status is Status.DONE]
                found = calibration(
                    self.tasks[task],
                    arm,
                    decision.arm == arm,
                    self.prepared.truth(task, "test"),
                    [self._predictions(record, "test", task) for record in done],
                    self.prepared.truth(task, "validation"),
                    [self._predictions(record, "validation", task) for record in done],
                )
                if found is not None:
                    made.append(found)
        self._kept.clear()
        return tuple(made)

    def _order(self, comparison: Comparison) -> int:
        return self.tasks.index(comparison.task)

    def _alone(self, task: str, arm: str, reason: str) -> Decision:
        return Decision(task, arm, self.home(arm, task), False, None, None, reason)

    def home(self, arm: str, task: str) -> str:
        """The group of an arm that answers a task."""
        return self.design.arm(arm).plan.group_of(task).name

    def write(self, findings: Findings) -> None:
        """The evidence as JSON: comparisons, verdicts, decisions and what stands beside them. No time or machine is in
        it."""
        write_atomic(self.directory / "selection.json", to_json(self.selection))
        write_atomic(self.directory / "comparisons.json", to_json(findings.comparisons))
        write_atomic(self.directory / "verdicts.json", to_json(findings.verdicts))
        write_atomic(self.directory / "isolated.json", to_json(findings.isolated))
        write_atomic(self.directory / "decisions.json", to_json(findings.decisions))
        write_atomic(self.directory / "stability.json", to_json(findings.stability))
        write_atomic(self.directory / "calibration.json", to_json(findings.calibration))
        write_atomic(self.directory / "ensembles.json", to_json(findings.ensembles))
        write_atomic(self.directory / "scores.json", to_json(findings.scores))

    def shipped_run(self, decision: Decision, findings: Findings) -> Run:
        """The confirmation run that answers a task: the best of its arm on validation rows, over the group's tasks."""
        runs = findings.confirmation[decision.arm, decision.task]
        records = [read_record(self.directory, run) for run in runs]
        done = [(run, record) for run, record in zip(runs, records, strict=True) if record.status is Status.DONE]
        values = []
        for _, record in done:
            changes = []
            for task in record.tasks:
                if self.tasks[task].auxiliary:
                    continue
                reference, score = done[0][1].validation.get(task), record.validation.get(task)
                if reference is not None and score is not None:
                    effect = metrics.metric(self.tasks[task].metric).effect_of(reference, score)
                    changes.append(0.0 if effect is None else effect)
            values.append(float(np.mean(changes)) if changes else 0.0)
        return done[int(np.argmax(values))][0]


def deterministic(kind: str) -> bool:
    """Whether a kind of model, or the arm named after it, gives the same answers whatever the seed."""
    return kind in CATALOGUE and CATALOGUE.load(kind).deterministic
