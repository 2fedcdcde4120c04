"""`explain` from a run directory to `explain.json` and the report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sharewise import report
from sharewise.causes import Explanation, Inquiry
from sharewise.records import from_json, to_json, write_atomic
from sharewise.study.explain.bench import Bench
from sharewise.study.explain.inquiry import LOOKS, Detective
from sharewise.study.explain.scene import Scene, open_scene, prepared_again
from sharewise.study.lock import held
from sharewise.study.progress import Progress, silent
from sharewise.study.workers import default_workers

if TYPE_CHECKING:
    from sharewise.tables.read import Source

FILE = "explain.json"
OPENED = (
    "Judged on the test rows that the study had opened for its verdict, with runs of fresh seeds: a cause is convicted "
    "on these rows; a remedy is chosen on validation rows and confirmed by a study of its own."
)


def explain(
    run: str | Path,
    task: str | None = None,
    *,
    data: Source | None = None,
    everything: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
    log: Callable[[str], None] = lambda text: None,
) -> Inquiry:
    """Why tasks are worse off in a study's shared model: every harmed one, or `task`.

    Fresh runs of the unchanged models, then one intervention at a time (see `sharewise.study.explain.CATALOGUE`), until
    one removes the harm; all of them with `everything`. Runs are files under RUN/explain, so that the same call goes on
    where an interrupted one stopped. `data` is the study's table where it was in memory or has moved. Writes
    RUN/explain.json and the report. Cost: about 16 x 5 runs of the group's model a task if all is tried, at most four
    times that, said beforehand.

    Raises ConfigError for a run that is unfinished, of another version or at work in another process, or has no such
    task, DataError where records or table are not what they were.
    """
    scene = open_scene(Path(run))
    tasks, said = scene.asked(task)
    found = _inquiry(scene, said, 0, 0, 0.0)
    with held(scene.directory, "explain"):
        if tasks:
            found = _inquire(scene, tasks, data, everything, workers or default_workers(), progress, log)
        found = _merged(scene.directory, found)
        write_atomic(scene.directory / FILE, to_json(found))
        report.write(scene.directory)
    return found


def _inquiry(scene: Scene, said: tuple[Explanation, ...], n_runs: int, each: int, seconds: float) -> Inquiry:
    baseline = next((v.comparison.baseline for v in scene.isolated), "single")
    return Inquiry(
        scene.summary.design_digest,
        scene.candidate,
        baseline,
        n_runs,
        each,
        seconds,
        said,
        (OPENED,),
        scene.summary.versions,
    )


def _inquire(
    scene: Scene,
    tasks: tuple[str, ...],
    data: Source | None,
    everything: bool,
    workers: int,
    progress: Progress,
    log: Callable[[str], None],
) -> Inquiry:
    started = time.monotonic()
    directory = scene.directory / "explain"
    prepared = prepared_again(scene, data, log)
    bench = Bench(prepared, directory, scene.design.seed, scene.design.confirmation_runs, workers)
    detectives = [
        Detective(bench, question, everything=everything, progress=progress, log=log)
        for question in scene.questions(tasks)
    ]
    plans = [detective.plan() for detective in detectives]
    runs, most, minutes = sum(p[0] for p in plans), sum(p[1] for p in plans), sum(p[2] for p in plans) / workers / 60
    about = "under a minute" if minutes < 1 else f"about {minutes:.0f} min"
    stop = "" if everything else "; each task stops at its first conviction"
    log(
        f"{len(tasks)} task{'s' if len(tasks) > 1 else ''} to explain, {runs} runs, {about}{stop}. "
        f"A promising change gets up to {LOOKS[-1][0]} times its runs: at most {most} runs in all."
    )
    explanations = []
    for detective in detectives:
        detective.repeat()
        explanations += [detective.explain(task) for task in detective.question.tasks]
    # Weights of these runs answer nobody; their records and predictions are the evidence.
    shutil.rmtree(directory / "models", ignore_errors=True)
    seconds = time.monotonic() - started
    return _inquiry(scene, tuple(explanations), len(bench.made), bench.n_runs, seconds)


def _merged(directory: Path, found: Inquiry) -> Inquiry:
    """With the explanations of other tasks from an earlier call for the same design."""
    path = directory / FILE
    if not path.exists():
        return found
    try:
        old = from_json(Inquiry, path.read_bytes())
    except ValueError:
        return found
    if old.design_digest != found.design_digest:
        return found
    new = {e.task for e in found.explanations}
    kept = tuple(e for e in old.explanations if e.task not in new)
    return replace(
        found,
        explanations=(*kept, *found.explanations),
        n_runs=max(found.n_runs, old.n_runs),
        runs_each=found.runs_each or old.runs_each,
        seconds=found.seconds + old.seconds,
    )
