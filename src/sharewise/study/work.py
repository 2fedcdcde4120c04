"""The work list: which runs are trained together, and how one unit of them is carried out."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sharewise import metrics
from sharewise.models.alternative import GroupData
from sharewise.models.alternatives import CATALOGUE
from sharewise.plan import Group
from sharewise.records import Phase, RunRecord, Status, from_json, to_json, write_atomic
from sharewise.study.prepare import Prepared
from sharewise.tables import tags
from sharewise.tables.hierarchy import among
from sharewise.tasks import Task, TaskKind

if TYPE_CHECKING:
    from torch import Tensor

    from sharewise.models.build import GroupModel
    from sharewise.study.design import Variant
    from sharewise.study.rules import Rules
    from sharewise.training.cohort import Cohort
    from sharewise.training.results import FitResult

COHORT = 24
"""Most members of one cohort: stacks of 16 to 32 are the sweet spot of small nets on a processor core."""

Array = NDArray[Any]

Trained = tuple["Run", "FitResult", tuple[float | None, ...]]
"""A run, what became of it, and what it was judged by at each pause."""


@dataclass(frozen=True)
class Run:
    """One model to train: a group's tasks by one kind of model ("neural", or an alternative's name) with one seed.

    `arm` is the arm whose variant builds it; `params` the tuned values. The run id depends on all of these and on
    nothing else, so that a resumed study finds what it has. `source` is the run whose stored weights it starts from.
    """

    phase: Phase
    arm: str
    kind: str
    group: Group
    seed: int
    trial: int
    params: dict[str, Any]
    key: str
    source: str | None = None
    look_ahead: bool = False
    """Whether some of its steps are looked at for what each task's does to the others."""

    @property
    def run_id(self) -> str:
        """File-system safe name, unique within a study."""
        what = f"{self.kind}|{self.key}|{self.group.name}|{'|'.join(self.group.tasks)}|{self.trial}|{self.seed}"
        what += f"|{self.source}" if self.source else ""
        digest = hashlib.blake2b(what.encode(), digest_size=5).hexdigest()
        slug = re.sub(r"[^A-Za-z0-9]+", "-", self.group.name).strip("-")[:40].lower()
        return f"{self.phase.value}-{self.kind}-{slug}-{digest}"


@dataclass(frozen=True)
class Unit:
    """Runs that one worker carries out together; finished when every one of them has its record."""

    runs: tuple[Run, ...]
    cost: float
    rules: Rules | None = None
    """Who leaves, where the runs are trials that compete."""

    def done(self, directory: Path) -> bool:
        """Whether every run's record is on disk."""
        return all((directory / "runs" / f"{run.run_id}.json").exists() for run in self.runs)


def units(runs: Iterable[Run], prepared: Prepared) -> list[Unit]:
    """Pack runs into units, costliest first. The packing depends on the runs alone, never on the machine.

    Neural runs that can stack (equal slots, one batch size and variant; where balance has memory, equal tasks) make
    cohorts of at most `COHORT`; runs of other models are grouped by task.
    """
    from sharewise.study.inputs import stackable

    packs: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        if run.kind == "neural":
            key = stack_of(run, prepared)
        else:
            key = (run.kind, run.group.tasks)
        packs.setdefault(key, []).append(run)
    made = []
    small: dict[str, list[Run]] = {}
    for key, members in packs.items():
        if key[0] == "neural":
            size = _cohort_size(len(members)) if stackable(prepared.encoder) else 1
            for start in range(0, len(members), size):
                part = tuple(members[start : start + size])
                made.append(Unit(part, sum(cost(run, prepared) for run in part)))
        else:
            small.setdefault(key[0], []).extend(members)
    for members in small.values():
        made += _by_cost(members, prepared)
    return sorted(made, key=lambda unit: -unit.cost)


def stack_of(run: Run, prepared: Prepared) -> tuple[Any, ...]:
    """What neural runs must have in common to stack."""
    from sharewise.models.build import placed, slots_of
    from sharewise.training.recipe import batch_size_for

    rows = len(prepared.data.rows_of_any(prepared.numbers(run.group.tasks), "train"))
    variant = variant_of(run, prepared)
    tasks = layout(run, prepared)
    same_tasks = run.group.tasks if variant.balance and len(tasks) > 1 else ()
    choice = json.dumps(placed(variant.architecture, tasks).params, sort_keys=True)
    # A task alone has nothing to balance: what else a trial varies is in the choice and the recipe.
    trial = json.dumps([variant.recipe, variant.balance if same_tasks else None], sort_keys=True)
    own = (run.source is not None, run.group.tasks if run.look_ahead else ())
    return "neural", run.key, choice, trial, slots_of(tasks), batch_size_for(rows), same_tasks, own


def variant_of(run: Run, prepared: Prepared) -> Variant:
    """How a neural run's model is built: its arm's variant with what its trial varies."""
    from sharewise.study.space import applied

    return applied(prepared.variants[run.arm], run.params)


def _cohort_size(n: int) -> int:
    """Members of each of the cohorts that `n` like runs make: two cohorts of like size from eight runs on, so that two
    workers share them, one below, as a small cohort costs nearly what a larger one does, and never over `COHORT`."""
    parts = max(min(2, n // 4), -(-n // COHORT), 1)
    return -(-n // parts)


def layout(run: Run, prepared: Prepared) -> list[Task]:
    """The tasks of a run's slots: its group's, or all of the study's where groups of a search may stack, those that are
    not in the group standing idle. That is where slots do not touch one another and balance has no memory of tasks."""
    from sharewise.models import sharing

    variant = variant_of(run, prepared)
    free = not variant.balance and sharing.CATALOGUE.load(variant.architecture.name).slots_are_independent
    if run.phase is Phase.SEARCH and free:
        return list(prepared.tasks)
    return [prepared.tasks[name] for name in run.group.tasks]


def _by_cost(runs: Sequence[Run], prepared: Prepared, most: float = 4.0) -> list[Unit]:
    """Runs in order, cut where a unit's estimated seconds reach `most`."""
    made: list[Unit] = []
    part: list[Run] = []
    total = 0.0
    for run in runs:
        part.append(run)
        total += cost(run, prepared)
        if total >= most:
            made.append(Unit(tuple(part), total))
            part, total = [], 0.0
    return [*made, Unit(tuple(part), total)] if part else made


def cost(run: Run, prepared: Prepared) -> float:
    """Rough seconds of a run on one core, to spread the work and to tell the user beforehand."""
    rows = len(prepared.data.rows_of_any(prepared.numbers(run.group.tasks), "train"))
    width = sum(int(b.shape[1]) for b in prepared.inputs.blocks.values())
    if run.kind != "neural":
        outputs = max(prepared.tasks[name].n_outputs for name in run.group.tasks)
        kind = CATALOGUE.load(run.kind)
        return kind.seconds(rows, width, outputs) * (len(run.group.tasks) if kind.fitted_by_task else 1)
    from sharewise.study.inputs import seconds_a_row

    epochs = int(prepared.recipe["epochs"])
    passes = max(epochs * rows, int(prepared.recipe.get("min_steps", 400)) * 64)
    own = passes * seconds_a_row(prepared.encoder)
    steps = max(epochs * max(rows / 256, 1), 400)
    flops = 6 * 256 * (width * 6 if width < 64 else width) * 128 + 6 * 256 * 128 * 128
    return float(own + steps * (flops / 2.5e10 + 1.5e-4))


# --- carrying out -----------------------------------------------------------------------------------------


def carry_out(unit: Unit, prepared: Prepared, directory: Path, progress: Callable[[int], None] | None = None) -> None:
    """Train every run of a unit and write its files; the record comes last, so that it vouches for the rest. Where runs
    compete see `contest`."""
    if unit.runs[0].kind == "neural":
        runs = [run for run in unit.runs if _has_start(run, prepared, directory)]
        if runs:
            _cohort(runs, prepared, directory, progress)
        return
    for run in unit.runs:
        if not (directory / "runs" / f"{run.run_id}.json").exists():
            _single(run, prepared, directory)
        if progress is not None:
            progress(1)


def _has_start(run: Run, prepared: Prepared, directory: Path) -> bool:
    """Whether a run can start; one whose source diverged is written down as failed."""
    if run.source is None:
        return True
    source = from_json(RunRecord, (directory / "runs" / f"{run.source}.json").read_bytes())
    if source.status is Status.DONE:
        return True
    message = f"the run that it starts from, {run.source}, {source.status.value}"
    _write(replace(_record(run, run.kind), status=Status.FAILED, message=message), {}, {}, prepared, directory)
    return False


def start_of(run: Run, model: GroupModel, directory: Path) -> dict[str, Tensor]:
    """Parameters that a run starts from, by name, out of its source's stored weights; of several checkpoints, from the
    one that answers its task."""
    from safetensors import safe_open

    from sharewise.models.transfer import carried

    (task,) = run.group.tasks
    made: dict[str, Tensor] = {}
    for path in sorted((directory / "models" / str(run.source)).glob("*.safetensors"), key=lambda p: int(p.stem)):
        with safe_open(path, framework="pt") as file:
            config = json.loads(file.metadata()["config"])
            if not made or task in config["answers"]:
                made = carried(model, task, config, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    return made


def _parts(run: Run) -> tuple[str, ...]:
    """Rows whose predictions are kept: test rows are opened by confirmation runs alone."""
    return ("validation", "test") if run.phase is Phase.CONFIRM else ("validation",)


def _cohort(
    runs: Sequence[Run], prepared: Prepared, directory: Path, progress: Callable[[int], None] | None = None
) -> None:
    cohort = members_of(runs, prepared, directory)
    if runs[0].look_ahead:
        cohort.look_ahead()
    results = cohort.fit(_parts(runs[0]), progress)
    written([(run, result, ()) for run, result in zip(runs, results, strict=True)], cohort.model, prepared, directory)


def members_of(runs: Sequence[Run], prepared: Prepared, directory: Path) -> Cohort:
    """The cohort of runs that stack, ready to be trained."""
    from sharewise.models.build import GroupModel, placed, slots_of
    from sharewise.study.space import TUNED
    from sharewise.training.cohort import Cohort
    from sharewise.training.recipe import Recipe, Tuned
    from sharewise.training.results import Member

    variant = variant_of(runs[0], prepared)
    tasks = layout(runs[0], prepared)
    slots = () if len(tasks) == len(runs[0].group.tasks) else tuple(range(len(tasks)))
    model = GroupModel(prepared.encoder, placed(variant.architecture, tasks), slots_of(tasks))
    tuned = [Tuned(**{name: r.params[name] for name in TUNED if name in r.params}) for r in runs]
    members = [
        Member(r.run_id, tuple(prepared.numbers(r.group.tasks)), r.seed, t, slots)
        for r, t in zip(runs, tuned, strict=True)
    ]
    recipe = Recipe(**{**prepared.recipe, **variant.recipe})
    starts = [start_of(run, model, directory) for run in runs if run.source is not None]
    return Cohort(members, model, prepared.data, recipe, prepared.balance(variant, len(tasks)), starts)


def written(trained: Sequence[Trained], model: GroupModel, prepared: Prepared, directory: Path) -> None:
    """Write what became of the runs of one model: predictions, weights and, last, each run's record."""
    from safetensors.torch import save

    for run, result, standings in trained:
        names = {t: prepared.tasks.tasks[t].name for t in result.member.tasks}
        record = _record(run, "neural")
        record = replace(
            record,
            status=result.status,
            message=result.message,
            best_epoch={names[t]: e for t, e in result.best_epoch.items()},
            curves={names[t]: c for t, c in result.curves.items()},
            effective_weights={names[t]: w for t, w in result.weights.items()},
            sharing=result.sharing,
            n_parameters=result.n_parameters,
            n_train_rows=result.n_train_rows,
            epochs=result.epochs,
            seconds=result.seconds,
            balance=result.balance,
            standings=standings,
            lookahead=result.lookahead,
        )
        predictions = {
            part: {names[t]: prepared.codec.inverse(names[t], p) for t, p in by_task.items()}
            for part, by_task in result.predictions.items()
        }
        files: dict[str, bytes] = {}
        if run.phase in (Phase.CONFIRM, Phase.PRETRAIN):
            for i, state in enumerate(result.states):
                answers = [names[t] for t in state.tasks if not prepared.tasks.tasks[t].auxiliary]
                config = {**model.config, "tasks": list(run.group.tasks), "answers": answers, "epoch": state.epoch}
                files[f"{run.run_id}/{i}.safetensors"] = save(state.parameters, {"config": json.dumps(config)})
        _write(record, predictions, files, prepared, directory)


def _single(run: Run, prepared: Prepared, directory: Path) -> None:
    kind = CATALOGUE.load(run.kind)
    started = time.process_time()
    tasks = [prepared.tasks[name] for name in run.group.tasks]
    rows = prepared.data.rows_of_any(prepared.numbers(run.group.tasks), "train")
    record = replace(_record(run, run.kind), n_train_rows=len(rows))
    try:
        model = kind.fit_group(tasks, group_data(run, prepared), run.params, run.seed)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        failed = replace(record, status=Status.FAILED, message=f"{type(error).__name__}: {error}")
        _write(failed, {}, {}, prepared, directory)
        return
    predictions: dict[str, dict[str, Array]] = {}
    for part in _parts(run):
        predictions[part] = {}
        for name in run.group.tasks:
            answers = model.predict_task(prepared.inputs.at(prepared.rows_of(name, part)), name)
            if prepared.tasks[name].kind is TaskKind.TOKEN_TAGGING:
                answers = tags.as_wide(answers, prepared.tasks[name].length)
            predictions[part][name] = prepared.codec.inverse(name, answers)
    files = {}
    if run.phase is Phase.CONFIRM:
        files = {f"{run.run_id}/{name}": content for name, content in model.to_files().items()}
    record = replace(record, seconds=time.process_time() - started)
    _write(record, predictions, files, prepared, directory)


def group_data(run: Run, prepared: Prepared) -> GroupData:
    """The columns of the run's tasks, and the units of those that are numbers."""
    from sharewise.study.inputs import seen_by

    where = {name: prepared.targets.slices[prepared.tasks.index(name)] for name in run.group.tasks}
    scales = {name: prepared.codec.scales.get(name) for name in run.group.tasks}
    return GroupData(
        inputs=seen_by(prepared.tasks[run.group.tasks[0]], prepared.codec, prepared.inputs),
        values={name: prepared.targets.values[:, at] for name, at in where.items()},
        present={name: prepared.targets.present[:, at] for name, at in where.items()},
        units={n: None if s is None else (float(s.deviation[0]), float(s.mean[0])) for n, s in scales.items()},
        train=prepared.data.parts["train"],
        validation=prepared.data.parts["validation"],
    )


def _record(run: Run, arm: str) -> RunRecord:
    return RunRecord(
        run_id=run.run_id,
        arm=run.arm if run.kind == "neural" else arm,
        group=run.group.name,
        phase=run.phase,
        tasks=run.group.tasks,
        seed=run.seed,
        trial=run.trial,
        params=run.params,
        status=Status.DONE,
        source=run.source,
    )


def _write(
    record: RunRecord,
    predictions: dict[str, dict[str, Array]],
    files: dict[str, bytes],
    prepared: Prepared,
    directory: Path,
) -> None:
    """Score the validation rows and write predictions, weights and, last, the record."""
    where = directory / "runs"
    predictions = {
        part: {name: _as_judged(name, part, p, prepared) for name, p in by_task.items()}
        for part, by_task in predictions.items()
    }
    scores: dict[str, float | None] = {}
    for name, prediction in predictions.get("validation", {}).items():
        truth, present = prepared.truth(name, "validation")
        scores[name] = metrics.metric(prepared.tasks[name].metric).score(truth, present, prediction)
    if predictions:
        buffer = io.BytesIO()
        arrays = {
            f"{part}/{record.tasks.index(name)}": p.astype(np.float32)
            for part, by_task in predictions.items()
            for name, p in by_task.items()
        }
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        write_atomic(where / f"{record.run_id}.npz", buffer.getvalue())
        record = replace(record, predictions=f"{record.run_id}.npz")
    for name, content in files.items():
        path = directory / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    write_atomic(where / f"{record.run_id}.json", to_json(replace(record, validation=scores)))


def _as_judged(name: str, part: str, prediction: Array, prepared: Prepared) -> Array:
    """A finer task's answer among the classes below the row's own coarse class, as it is served below the coarse class
    that is answered: who answers the coarse task, and how well, is that task's own question."""
    task = prepared.tasks[name]
    if task.parent is None or len(set(task.under)) < 2:
        return prediction
    codes = prepared.truth(name, part)[0][:, 0].astype(np.int64)
    return among(prediction, task.under, np.asarray(task.under)[codes])


# --- reading back -----------------------------------------------------------------------------------------


def read_record(directory: Path, run: Run) -> RunRecord:
    """The record of a finished run."""
    return from_json(RunRecord, (directory / "runs" / f"{run.run_id}.json").read_bytes())


def read_predictions(directory: Path, record: RunRecord, part: str, task: str) -> Array:
    """Predictions (n_labelled, W) of a run for the rows of `part` labelled for `task`, in original units."""
    with np.load(directory / "runs" / str(record.predictions), allow_pickle=False) as arrays:
        made: Array = arrays[f"{part}/{record.tasks.index(task)}"]
    return made
