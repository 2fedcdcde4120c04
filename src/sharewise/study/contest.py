"""Tuning trials that compete while they train: which cohorts they make, and who leaves.

All trials of a group that are asked for at once are one contest, carried out by one worker in one go, so that what is
dropped hangs on the trials alone: never on the machine, nor on where an earlier run was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sharewise.records import RunRecord, Status
from sharewise.seeds import derive
from sharewise.study.prepare import Prepared
from sharewise.study.rules import Key, Past, Rules
from sharewise.study.work import COHORT, Run, Unit, cost, members_of, stack_of, written
from sharewise.training.race import Judge, Place, Race, halved

HALVING = (0.25, 0.5)
"""Shares of its steps at which half of a contest leaves, which leaves about half of all steps."""

EIGHTHS = tuple(i / 8 for i in range(1, 8))
"""Where Optuna's pruners are asked."""

SPENT = {"none": 1.0, "halving": 0.8}
"""About how much of all trials' time is left, as measured; what Optuna's pruners leave is not known beforehand."""


def key_of(run: Run) -> Key:
    """The group that a trial belongs to."""
    return run.kind, run.arm, run.group.tasks


def past_of(records: Iterable[RunRecord]) -> tuple[Past, ...]:
    """Earlier trials as pruners see them."""
    return tuple(Past(r.trial, r.standings, r.status is Status.DONE) for r in records)


def units_of(runs: Sequence[Run], prepared: Prepared, rules: Rules) -> list[Unit]:
    """Neural trials as units of whole contests, costliest first; the packing depends on the runs alone.

    Contests whose models stack go together, as many as keep the largest stack within `COHORT` members and leave work
    for two.
    """
    by_group: dict[Key, list[Run]] = {}
    for run in runs:
        by_group.setdefault(key_of(run), []).append(run)
    packs: dict[tuple[Any, ...], list[list[Run]]] = {}
    for trials in by_group.values():
        packs.setdefault(stack_of(trials[0], prepared), []).append(trials)
    made = []
    for contests in packs.values():
        widest = max(_most_alike([stack_of(run, prepared) for run in trials]) for trials in contests)
        size = max(min(COHORT // widest, -(-len(contests) // 2)), 1)
        for start in range(0, len(contests), size):
            part = tuple(run for trials in contests[start : start + size] for run in trials)
            share = SPENT.get(rules.pruner, 1.0)
            made.append(Unit(part, share * sum(cost(run, prepared) for run in part), rules))
    return sorted(made, key=lambda unit: -unit.cost)


def _most_alike(keys: Sequence[tuple[Any, ...]]) -> int:
    return max(keys.count(key) for key in keys)


def carry_out(unit: Unit, prepared: Prepared, directory: Path, progress: Callable[[int], None] | None = None) -> None:
    """Train a unit's contests side by side and write all their runs."""
    assert unit.rules is not None
    stacks: dict[tuple[Any, ...], list[Run]] = {}
    for run in unit.runs:
        stacks.setdefault(stack_of(run, prepared), []).append(run)
    parts = [some[i : i + COHORT] for some in stacks.values() for i in range(0, len(some), COHORT)]
    cohorts = [members_of(part, prepared, directory) for part in parts]
    contests: dict[Key, list[tuple[Place, Run]]] = {}
    for n, part in enumerate(parts):
        for m, run in enumerate(part):
            contests.setdefault(key_of(run), []).append(((n, m), run))
    ordered = [sorted(contest, key=lambda item: item[1].trial) for contest in contests.values()]
    numbers = [[run.trial for _, run in contest] for contest in ordered]
    judge = _halving(numbers) if unit.rules.pruner == "halving" else _pruned(unit.rules, [*contests], numbers)
    pauses = HALVING if unit.rules.pruner == "halving" else EIGHTHS
    race = Race(cohorts, [[place for place, _ in contest] for contest in ordered], pauses, judge)
    race.run(progress)
    standings = {
        run.run_id: tuple(v if np.isfinite(v) else None for v in race.standings[c][i])
        for c, contest in enumerate(ordered)
        for i, (_, run) in enumerate(contest)
    }
    for part, cohort in zip(parts, cohorts, strict=True):
        results = zip(part, cohort.results(("validation",)), strict=True)
        written([(run, result, standings[run.run_id]) for run, result in results], cohort.model, prepared, directory)


def _halving(numbers: Sequence[Sequence[int]]) -> Judge:
    """The better half stays, ties to the lower trial; and so does the default, which every group has to its end."""

    def judge(contest: int, pause: int, found: Mapping[int, float]) -> set[int]:
        stay = halved(len(numbers[contest]), pause)
        ranked = sorted(found, key=lambda i: (found[i], numbers[contest][i]))
        return {i for i in ranked[stay:] if numbers[contest][i] != 0}

    return judge


def _pruned(rules: Rules, keys: Sequence[Key], numbers: Sequence[Sequence[int]]) -> Judge:
    """One of Optuna's pruners, each contest's own; it knows the earlier trials of the group and those beside it."""
    import optuna

    from sharewise.study.tuning import pruner

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials: list[list[Any]] = []
    for key, some in zip(keys, numbers, strict=True):
        name = f"{derive(rules.seed, *key[:2], *key[2])}"
        study = optuna.create_study(study_name=name, direction="maximize", pruner=pruner(rules.pruner, len(EIGHTHS)))
        for past in rules.past.get(key, ()):
            seen = {i + 1: -v for i, v in enumerate(past.standings) if v is not None}
            state = optuna.trial.TrialState.COMPLETE if past.ended else optuna.trial.TrialState.PRUNED
            value = seen[max(seen)] if seen else None
            if value is not None:
                study.add_trial(optuna.trial.create_trial(state=state, value=value, intermediate_values=seen))
        trials.append([study.ask() for _ in some])

    def judge(contest: int, pause: int, found: Mapping[int, float]) -> set[int]:
        known = {i: value for i, value in found.items() if np.isfinite(value)}
        for i, value in known.items():
            trials[contest][i].report(-value, pause + 1)
        return {i for i in found if numbers[contest][i] != 0 and (i not in known or trials[contest][i].should_prune())}

    return judge
