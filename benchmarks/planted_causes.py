"""Is the right cause named? Harms planted with one known cause each, and healthy controls.

    python benchmarks/planted_causes.py [--problems 5] [--causes scale capacity ...] [--out FOLDER] [--seed N] [--all]

Every problem is a random table of its own: the seed is drawn at run time and printed. A problem counts where its plant
did harm the victim (the verdict of fresh runs is harm); where it did not, that is said. Each finished problem is a line of
FOLDER/results.jsonl, so that the same command goes on where it stopped. Prints, for each cause, how often the right one
was named, and what was named instead.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sharewise.plan import Choice, Group
from sharewise.records import Outcome
from sharewise.study.design import SINGLE, Variant
from sharewise.study.explain.bench import Bench, Recipe
from sharewise.study.explain.inquiry import Detective, Question
from sharewise.study.judge import judge
from sharewise.study.study import Study
from sharewise.training.recipe import Tuned

Array = np.ndarray
VICTIM = "victim"
N_TEST, N_VALIDATION = 1000, 300


@dataclass
class Problem:
    """A table with a planted cause, and the interventions that count as naming it."""

    inputs: Array
    targets: dict[str, Array]
    part: Array
    right: tuple[str, ...]
    architecture: Choice = field(default_factory=lambda: Choice("hard", {"width": 64}))
    balance: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=lambda: {"min_steps": 300})
    epochs: int = 20


def _table(rng: np.random.Generator, n_train: int, width: int = 12) -> tuple[Array, Array]:
    n = n_train + N_VALIDATION + N_TEST
    part = np.array(["train"] * n_train + ["validation"] * N_VALIDATION + ["test"] * N_TEST)
    return rng.normal(size=(n, width)), part


def _bumps(rng: np.random.Generator, x: Array, n: int = 3, sharp: float = 1.5) -> Array:
    """A smooth function of a few random directions, standardised."""
    directions = rng.normal(size=(x.shape[1], n)) / np.sqrt(x.shape[1])
    made: Array = np.sin(sharp * (x @ directions) + rng.uniform(0, 6, n)).sum(axis=1)
    return (made - made.mean()) / made.std()


def _bent(rng: np.random.Generator, x: Array) -> Array:
    """A bent line in one random direction."""
    made: Array = np.tanh(1.5 * x @ rng.normal(size=x.shape[1]) / np.sqrt(x.shape[1]))
    return made / made.std()


def _noisy(rng: np.random.Generator, y: Array, noise: float) -> Array:
    return y + noise * rng.normal(size=len(y))


def control(rng: np.random.Generator) -> Problem:
    """Three kindred tasks: nothing is wrong."""
    x, part = _table(rng, 600)
    base = _bumps(rng, x)
    targets = {name: _noisy(rng, base + 0.3 * _bumps(rng, x), 0.3) for name in (VICTIM, "b", "c")}
    return Problem(x, targets, part, ())


def scale(rng: np.random.Generator) -> Problem:
    """A partner's loss weighs a hundred times the others'."""
    x, part = _table(rng, 1000)
    base = _bumps(rng, x, sharp=1.0)
    targets = {name: _noisy(rng, base + 0.3 * _bumps(rng, x, sharp=1.0), 0.4) for name in (VICTIM, "c")}
    targets["b"] = _noisy(rng, _bumps(rng, x, sharp=1.0), 0.4)
    balance = {"weighting": {"name": "static", "params": {"weights": {"b": 100.0}}}}
    return Problem(x, targets, part, ("scale",), balance=balance)


def capacity(rng: np.random.Generator) -> Problem:
    """Eight tasks of different directions share four units."""
    x, part = _table(rng, 1500)
    names = (VICTIM, *"bcdefgh")
    directions = np.linalg.qr(rng.normal(size=(x.shape[1], x.shape[1])))[0]
    targets = {n: _noisy(rng, np.tanh(x @ directions[:, i]), 0.4) for i, n in enumerate(names)}
    return Problem(x, targets, part, ("capacity",), architecture=Choice("hard", {"width": 4}))


def starved(rng: np.random.Generator) -> Problem:
    """The victim has one labelled row for fifty of its partners', on other rows, and most batches hold none of them."""
    x, part = _table(rng, 3060)
    train = np.flatnonzero(part == "train")
    mine = np.zeros(len(part), bool)
    mine[rng.choice(train, 60, replace=False)] = True
    held = part != "train"
    base = _bent(rng, x)
    victim = np.where(mine | held, _noisy(rng, base, 0.2), np.nan)
    others = {n: np.where(~mine | held, _noisy(rng, _bent(rng, x), 0.2), np.nan) for n in "bc"}
    recipe = {"min_steps": 300, "batch_size": 16}
    return Problem(x, {VICTIM: victim, **others}, part, ("exposure",), recipe=recipe, epochs=3)


def shuffled(rng: np.random.Generator) -> Problem:
    """A partner's labels are shuffled."""
    x, part = _table(rng, 240)
    base = _bent(rng, x)
    targets = {n: _noisy(rng, base + 0.3 * _bent(rng, x), 0.2) for n in (VICTIM, "c")}
    targets["b"] = rng.permutation(targets["c"])
    return Problem(x, targets, part, ("partner data", "partner:b"), epochs=50)


def opposing(rng: np.random.Generator) -> Problem:
    """Four units for two kindred tasks and a partner that asks for all of them, and would for four times as many."""
    x, part = _table(rng, 1500, 3)
    base = _bumps(rng, x, n=4, sharp=2.0)
    targets = {n: _noisy(rng, base + 0.15 * _bumps(rng, x, n=4, sharp=2.0), 0.2) for n in (VICTIM, "c")}
    targets["b"] = _bumps(rng, x, n=6, sharp=2.5)
    trunk = Choice("hard", {"width": 4, "depth": 1})
    return Problem(x, targets, part, ("partner:b",), architecture=trunk, epochs=40)


def deep(rng: np.random.Generator) -> Problem:
    """Eight tasks that have their three inputs in common and nothing that is made of them share four layers."""
    x, part = _table(rng, 1500, 3)
    targets = {n: _noisy(rng, _bumps(rng, x, n=6, sharp=3.0), 0.2) for n in (VICTIM, *"bcdefgh")}
    return Problem(x, targets, part, ("depth",), architecture=Choice("hard", {"width": 16, "depth": 4}))


def late(rng: np.random.Generator) -> Problem:
    """The victim overfits long before its partners have learnt."""
    x, part = _table(rng, 600, 16)
    train = np.flatnonzero(part == "train")
    victim = _noisy(rng, x @ rng.normal(size=x.shape[1]) / 4, 1.0)
    seen = np.ones(len(part), bool)
    seen[train[150:]] = False
    targets = {VICTIM: np.where(seen, victim, np.nan)}
    targets |= {n: np.sin(2.0 * x[:, i]) * np.sign(x[:, i + 1]) for i, n in enumerate("bc")}
    return Problem(x, targets, part, ("checkpoint",), epochs=100)


PLANTS: dict[str, Callable[[np.random.Generator], Problem]] = {
    "control": control,
    "scale": scale,
    "capacity": capacity,
    "starved": starved,
    "shuffled": shuffled,
    "opposing": opposing,
    "deep": deep,
    "late": late,
}


def solve(problem: Problem, seed: int, folder: Path, everything: bool, workers: int) -> dict[str, Any]:
    """Explain the victim's harm; what was named, and what it took."""
    columns = {f"x{i}": problem.inputs[:, i] for i in range(problem.inputs.shape[1])}
    table = pa.table({**columns, **problem.targets, "part": problem.part})
    names = list(problem.targets)
    study = Study(
        table,
        [{"name": n, "kind": "regression"} for n in names],
        split={"column": "part"},
        inputs=list(columns),
        budget={"level": "quick", "trials": 1, "seeds": 3, "epochs": problem.epochs},
        seed=seed,
    )
    _, prepared, _ = study.session(folder).design()
    shared = Variant(problem.architecture, problem.balance, problem.recipe)
    alone = Variant(problem.architecture, {}, problem.recipe)
    params = asdict(Tuned())
    question = Question(
        "together",
        SINGLE,
        Group("together", tuple(names)),
        Recipe(shared, 0, params),
        {n: Recipe(alone, 0, params) for n in names},
        (VICTIM,),
    )
    bench = Bench(prepared, folder, seed, 5, workers)
    detective = Detective(bench, question, everything=everything)
    started = time.perf_counter()
    detective.repeat()
    found = detective.explain(VICTIM)
    harmed = found.before is not None and judge(found.before).outcome is Outcome.HARM
    named = ""
    if found.convicted is not None:
        trial = found.trials[found.convicted]
        named = (
            f"partner:{trial.change.removeprefix('without ')}"
            if trial.intervention == "partner"
            else trial.intervention
        )
    return {
        "harmed": harmed,
        "before": None if found.before is None else found.before.effect,
        "ending": found.ending.value,
        "named": named,
        "right": bool(named) and named in problem.right,
        "runs": len(bench.made),
        "seconds": round(time.perf_counter() - started, 1),
        "trials": [
            [t.change, None if t.after is None else round(t.after.effect, 3), t.effect.value] for t in found.trials
        ],
        "hypotheses": [[h.intervention, round(h.value, 3), round(h.strength, 2)] for h in found.hypotheses],
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=5)
    parser.add_argument("--causes", nargs="*", default=list(PLANTS))
    parser.add_argument("--out", type=Path, default=Path("runs/planted_causes"))
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--all", action="store_true", help="try every intervention")
    parser.add_argument("--workers", type=int, default=1)
    said = parser.parse_args()
    said.out.mkdir(parents=True, exist_ok=True)
    book = said.out / "results.jsonl"
    seed_file = said.out / "seed"
    if not seed_file.exists():
        seed_file.write_text(str(secrets.randbelow(2**31) if said.seed is None else said.seed))
    root = int(seed_file.read_text())
    print(f"seed {root}, {said.out}")
    done = [json.loads(line) for line in book.read_text().splitlines()] if book.exists() else []
    known = {(d["cause"], d["problem"]) for d in done}
    for number in range(said.problems):
        for cause in said.causes:
            if (cause, number) in known:
                continue
            rng = np.random.default_rng([root, number, list(PLANTS).index(cause)])
            with tempfile.TemporaryDirectory() as folder:
                result = solve(PLANTS[cause](rng), int(rng.integers(2**31)), Path(folder), said.all, said.workers)
            result |= {"cause": cause, "problem": number}
            done.append(result)
            with book.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(result) + "\n")
            print(json.dumps(result), flush=True)
    summary(done, said.causes)


def summary(done: list[dict[str, Any]], causes: list[str]) -> None:
    """A line for each cause, then the two figures that count."""
    print(f"{'planted':10} problems harmed right  named instead (harmed problems)")
    right = total = 0
    for cause in causes:
        mine = [d for d in done if d["cause"] == cause]
        harmed = [d for d in mine if d["harmed"]]
        hits = sum(d["right"] for d in harmed)
        others = Counter(d["named"] or d["ending"] for d in harmed if not d["right"])
        said = ", ".join(f"{k} {n}" for k, n in others.most_common())
        print(f"{cause:10} {len(mine):8} {len(harmed):6} {hits:5}  {said}")
        if cause != "control":
            right, total = right + hits, total + len(harmed)
    controls = [d for d in done if d["cause"] == "control"]
    claimed = sum(bool(d["named"]) for d in controls)
    if total:
        print(f"right cause named: {counted(right, total)} harmed problems")
    if controls:
        print(f"cause claimed for a healthy control: {counted(claimed, len(controls))}")


def counted(hits: int, n: int, z: float = 1.96) -> str:
    """A count with its share and Wilson's 95 % interval."""
    middle = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * (hits * (n - hits) / n + z**2 / 4) ** 0.5
    return f"{hits} of {n} ({hits / n:.0%}, 95 % interval {max(0.0, middle - half):.0%} to {middle + half:.0%})"


if __name__ == "__main__":
    main()
