"""How often verdicts are wrong: the two-way procedure, its moderated form and the shipping rule, on planted effects.

    python benchmarks/verdict_calibration.py             # all cells, under ten minutes of one core
    python benchmarks/verdict_calibration.py --quick     # fewer cells and repetitions; says so
    python benchmarks/verdict_calibration.py --moderated # only the part with five tasks or more

Every repetition draws two arms of runs on one set of test rows from a model whose expected scores are known in closed
form, gives their predictions to the product's own metrics and comparison, and counts claims. At an effect of exactly
minus the margin both claims are wrong. Standard errors are binomial.

Model: latent = location + u_i + v_{A,i} + w_{A,s} + e_{A,s,i} (row difficulty, systematic disagreement of the two arms,
run luck, churn); shares of u, v and e such that at accuracy 0.85 two runs of one arm differ on 4.7 % of the rows and
two runs of different arms on 6.8 %.
  accuracy  right where latent > 0
  auroc     latent is the score, 10 % positives, separation with run luck
  rmse      residual = scale exp(luck) (u t5-distributed + v + e)
  rmse_t5   the same with v and e t5-distributed as well and ten times as large
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from sharewise.metrics import metric
from sharewise.records import Comparison
from sharewise.study.compare import ERROR, Pair, Parts, combine, compare_all, parts, t_quantile
from sharewise.study.decide import Option, choose
from sharewise.tasks import Task, TaskKind

Floats = npt.NDArray[np.float64]

MARGIN = 0.02
RUNS = (3, 5, 10)
U, V, E = np.sqrt([0.934, 0.034, 0.032])
LIMIT = 0.06
SCORES = ("accuracy", "auroc", "rmse", "rmse_t5")


@dataclass(frozen=True)
class Cell:
    """One kind of score, number of test rows and run-to-run SD (of accuracy or AUROC in points, of log RMSE)."""

    kind: str
    n: int
    run_sd: float


def draw(cell: Cell, effects: tuple[float, ...], rng: np.random.Generator) -> tuple[Floats, list[Floats]]:
    """Per-row values (10, n) of the baseline, and of a candidate for each true effect; the luck is shared."""
    match cell.kind:
        case "accuracy":
            return _accuracy(cell, effects, rng)
        case "auroc":
            return _auroc(cell, effects, rng)
        case _:
            return _rmse(cell, effects, rng)


def _arms(rng: np.random.Generator, n: int, runs: int) -> Iterator[Floats]:
    u = U * rng.standard_normal(n)
    for _ in range(2):
        yield u + V * rng.standard_normal(n) + E * rng.standard_normal((runs, n))


def _accuracy(cell: Cell, effects: tuple[float, ...], rng: np.random.Generator) -> tuple[Floats, list[Floats]]:
    luck = cell.run_sd / 0.2332  # the normal density at accuracy 0.85 turns latent luck into accuracy
    total = np.sqrt(1 + luck**2)
    base, cand = (arm + luck * rng.standard_normal((max(RUNS), 1)) for arm in _arms(rng, cell.n, max(RUNS)))
    truth, present = np.ones((cell.n, 1)), np.ones((cell.n, 1), dtype=bool)

    def rows(latent: Floats, accuracy: float) -> Floats:
        right = (latent + total * ndtri(accuracy) > 0).astype(np.float32)
        return np.stack([metric("accuracy").per_row(truth, present, run[:, None]) for run in right])

    return rows(base, 0.85), [rows(cand, 0.85 * (1 + e)) for e in effects]


def _auroc(cell: Cell, effects: tuple[float, ...], rng: np.random.Generator) -> tuple[Floats, list[Floats]]:
    area = 0.80
    luck = cell.run_sd * np.sqrt(2) / (np.exp(-0.5 * ndtri(area) ** 2) / np.sqrt(2 * np.pi))
    base, cand = _arms(rng, cell.n, max(RUNS))
    truth, present = np.zeros((cell.n, 1)), np.ones((cell.n, 1), dtype=bool)
    truth[: cell.n // 10] = 1
    shift = [luck * rng.standard_normal((max(RUNS), 1)) for _ in range(2)]

    def rows(latent: Floats, own: Floats, target: float) -> Floats:
        # E over runs of the AUROC is Phi(mean separation / sqrt(2 + luck^2)).
        separation = ndtri(target) * np.sqrt(2 + luck**2) + own
        score = latent + separation * truth[:, 0]
        return np.stack([metric("auroc").per_row(truth, present, run[:, None]) for run in score])

    return rows(base, shift[0], area), [rows(cand, shift[1], area * (1 + e)) for e in effects]


def _rmse(cell: Cell, effects: tuple[float, ...], rng: np.random.Generator) -> tuple[Floats, list[Floats]]:
    n, runs = cell.n, max(RUNS)
    scale = np.sqrt(3 / 5)  # a t of 5 degrees of freedom has variance 5/3
    if cell.kind == "rmse":
        u = U * scale * rng.standard_t(5, n)
        arms = [u + V * rng.standard_normal(n) + E * rng.standard_normal((runs, n)) for _ in range(2)]
    else:
        shares = np.sqrt([0.4, 0.4, 0.2]) * scale
        u = shares[0] * rng.standard_t(5, n)
        arms = [u + shares[1] * rng.standard_t(5, n) + shares[2] * rng.standard_t(5, (runs, n)) for _ in range(2)]
    base, cand = (arm * np.exp(cell.run_sd * rng.standard_normal((runs, 1))) for arm in arms)
    truth, present = np.zeros((n, 1)), np.ones((n, 1), dtype=bool)

    def rows(residual: Floats) -> Floats:
        return np.stack([metric("rmse").per_row(truth, present, run[:, None]) for run in residual])

    return rows(base), [rows(cand * np.exp(-e)) for e in effects]


def claims(cells: list[Cell], effects: tuple[float, ...], reps: int, seed: int) -> None:
    """Print P(harm) and P(no harm) for every cell, number of runs and true effect; the first effect is the boundary.

    The other effects, which show power and not error, are judged in the first sixth of the repetitions. Cells of 10,000
    rows get a third of them.
    """
    print(f"\nTwo-way interval: P(harm) / P(no harm) in %, by true effect; at {effects[0]:.0%} both are wrong")
    head = "".join(f"{100 * e:>+10.0f} %" for e in effects)
    print(f"{'score':10}{'rows':>7}{'run SD':>8}{'runs':>6}{head}{'+- at -2 %':>13}")
    worst: list[tuple[float, str]] = []
    for cell in cells:
        rng = np.random.default_rng([seed, cell.n, round(1e4 * cell.run_sd), *cell.kind.encode()])
        counts = np.zeros((len(RUNS), len(effects), 2))
        tried = np.zeros(len(effects))
        kind = cell.kind.removesuffix("_t5")
        tries = reps if cell.n < 10000 else max(reps // 3, 1)
        for rep in range(tries):
            judged = effects if rep < tries / 6 else effects[:1]
            base, candidates = draw(cell, judged, rng)
            tried[: len(judged)] += 1
            for j, cand in enumerate(candidates):
                for i, runs in enumerate(RUNS):
                    low, high = interval(parts_of(kind, base[:runs], cand[:runs]))
                    counts[i, j] += (high < -MARGIN, low > -MARGIN)
        share = counts / tried[:, None]
        error = 100 * np.sqrt(ERROR * (1 - ERROR) / tries)
        for i, runs in enumerate(RUNS):
            row = "".join(f"{100 * h:>7.1f}/{100 * s:<4.1f}" for h, s in share[i])
            print(f"{cell.kind:10}{cell.n:>7}{cell.run_sd:>8.3f}{runs:>6}{row}{error:>11.1f}", flush=True)
            name = f"{cell.kind}, {cell.n} rows, run SD {cell.run_sd}, {runs} runs"
            worst += [(share[i, 0, 0], f"harm: {name}"), (share[i, 0, 1], f"no harm: {name}")]
    report(worst, reps)


def report(worst: list[tuple[float, str]], reps: int) -> None:
    """Print the mean and the worst wrong-claim rates and those over the limit."""
    worst.sort(reverse=True)
    mean = float(np.mean([w for w, _ in worst]))
    print(f"Wrong claims at the boundary: mean {mean:.1%}, worst {worst[0][0]:.1%} ({worst[0][1]}).")
    # The largest of many estimates exceeds its own truth: say how large it would be if every truth were 5 %.
    over = [w for w in worst if w[0] > LIMIT]
    by_luck = ERROR + float(ndtri(1 - 1 / (len(worst) + 1))) * np.sqrt(ERROR * (1 - ERROR) / reps)
    luck = f"were all {len(worst)} truly 5 %, the largest would be {by_luck:.1%}"
    print(f"{len(over)} of {len(worst)} exceed {LIMIT:.0%}; {luck}.")
    for rate, name in over:
        print(f"  over: {rate:.1%} {name}")


def parts_of(name: str, base: Floats, cand: Floats) -> Parts:
    """The product's variance parts; raises where it has none."""
    found = parts(metric(name), base, cand)
    assert not isinstance(found, str), found
    return found


def interval(found: Parts) -> tuple[float, float]:
    """The product's unmoderated interval."""
    var_b, var_m, df = combine(found, found.baseline, found.candidate)
    half = t_quantile(1 - ERROR, df) * np.sqrt(found.var_rows + var_b + var_m)
    return found.effect - half, found.effect + half


def moderated(reps: int, seed: int) -> None:
    """Print wrong claims and cleared tasks with and without moderation: ten accuracy tasks of 2,000 rows a study."""
    print("\nModerated over ten tasks (accuracy, 2,000 rows, run SD 0.6 points with a log-normal spread)")
    head = f"{'wrong harm':>12}{'wrong no harm':>15}{'cleared at 0':>14}{'all 10 cleared':>16}"
    print(f"{'spread':8}{'runs':>6}{'':14}{head}")
    task = Task("t", TaskKind.BINARY, ("t",), "accuracy", margin=MARGIN, classes=(0, 1))
    for spread in (1.6, 2.7):
        rng = np.random.default_rng([seed, 7, round(10 * spread)])
        counts = np.zeros((2, 2, 4))
        for _ in range(reps):
            for j, runs in enumerate((3, 5)):
                pairs = [_pairs(task, k, runs, spread, rng) for k in range(10)]
                for i, together in enumerate((False, True)):
                    for at, effect in enumerate((-MARGIN, 0.0)):
                        found = _compared([p[at] for p in pairs], together)
                        low = np.array([c.low > -MARGIN for c in found])
                        if effect < 0:
                            counts[i, j, :2] += (np.mean([c.high < -MARGIN for c in found]), low.mean())
                        else:
                            counts[i, j, 2:] += (low.mean(), low.all())
        for j, runs in enumerate((3, 5)):
            for i, name in enumerate(("each alone", "moderated")):
                h, n, c, every = 100 * counts[i, j] / reps
                row = f"{h:>10.1f} %{n:>13.1f} %{c:>12.1f} %{every:>14.1f} %"
                print(f"x{spread:<7}{runs:>6}  {name:12}{row}", flush=True)
    error = 100 * np.sqrt(ERROR * (1 - ERROR) / (10 * reps))
    print(f"{reps} studies, {10 * reps} verdicts a row; +- {error:.1f} at 5 %.")


def _pairs(task: Task, k: int, runs: int, spread: float, rng: np.random.Generator) -> tuple[Pair, Pair]:
    """One task at the boundary and at zero, same luck."""
    n = 2000
    sd = 0.006 * np.exp(np.log(spread) * rng.standard_normal()) / 0.2332
    base, cand = (arm + sd * rng.standard_normal((runs, 1)) for arm in _arms(rng, n, runs))
    total = np.sqrt(1 + sd**2)
    truth, present = np.ones((n, 1)), np.ones((n, 1), dtype=bool)

    def answers(latent: Floats, accuracy: float) -> list[npt.NDArray[np.float32]]:
        return [(run > 0).astype(np.float32)[:, None] for run in latent + total * ndtri(accuracy)]

    named = replace(task, name=f"t{k}")
    at = [answers(cand, 0.85 * (1 + e)) for e in (-MARGIN, 0.0)]
    own = answers(base, 0.85)
    first, second = (Pair(named, truth, present, "single", "shared", own, a) for a in at)
    return first, second


def _compared(pairs: list[Pair], together: bool) -> list[Comparison]:
    if together:
        return list(compare_all(pairs).comparisons)
    return [compare_all([pair]).comparisons[0] for pair in pairs]


SCENARIOS: dict[str, tuple[tuple[float, ...], float, float]] = {
    # planted effects, then mean and SD of the effects that are drawn anew in every study (ten of them if SD > 0)
    "nine 0 %, one -3 %": ((*(0.0,) * 9, -0.03), 0.0, 0.0),
    "nine +1 %, one -2.2 %": ((*(0.01,) * 9, -0.022), 0.0, 0.0),
    "nine +1 %, one -3 %": ((*(0.01,) * 9, -0.03), 0.0, 0.0),
    "nine +1 %, one -5 %": ((*(0.01,) * 9, -0.05), 0.0, 0.0),
    "half +2 %, half -3 %": ((*(0.02,) * 5, *(-0.03,) * 5), 0.0, 0.0),
    "three: +1, +1, -3 %": ((0.01, 0.01, -0.03), 0.0, 0.0),
    "one task, -2.5 %": ((-0.025,), 0.0, 0.0),
    "one task, +2 %": ((0.02,), 0.0, 0.0),
    "normal, 0 +- 2 %": ((), 0.0, 0.02),
    "normal, +1 +- 2 %": ((), 0.01, 0.02),
}


def shipping(reps: int, seed: int, errors: tuple[float, ...]) -> None:
    """Print how often truly harmed tasks ship, how often gaining ones do, and what share of the shipped is harmed."""
    print("\nShipping rule: three runs an arm; half of the variance behind each standard error is their luck")
    head = f"{'shipped if harmed beyond margin':>33}{'if truly gaining':>18}{'harmed of shipped':>19}"
    print(f"{'effects':24}{'SE':>6}{head}")
    worst = (0.0, 0.0, "none")
    for name, (planted, mean, sd) in SCENARIOS.items():
        for error in errors:
            rng = np.random.default_rng([seed, 9, *name.encode(), round(1e4 * error)])
            studies = reps if len(planted) != 1 else 10 * reps
            tally = np.zeros(5)
            for _ in range(studies):
                theta = np.array(planted) if planted else mean + sd * rng.standard_normal(10)
                tally += _shipped(theta, error, rng)
            harmed, harmed_sent, gaining, gaining_sent, sent = tally
            bad = 100 * harmed_sent / harmed if harmed else float("nan")
            mc = 100 * np.sqrt(ERROR * (1 - ERROR) / harmed) if harmed else float("nan")
            good = 100 * gaining_sent / gaining if gaining else float("nan")
            share = 100 * harmed_sent / sent if sent else float("nan")
            told = f"{bad:.1f} % (+- {mc:.1f})" if harmed else "-"
            power = f"{good:.0f} %" if gaining else "-"
            print(f"{name:24}{100 * error:>4.0f} %{told:>33}{power:>18}{share:>17.1f} %", flush=True)
            if harmed and bad > worst[0]:
                worst = (bad, mc, f"{name}, SE {error:.0%}")
    print(f"Worst rate of shipping a truly harmed task: {worst[0]:.1f} % +- {worst[1]:.1f} ({worst[2]}).")


def _shipped(theta: Floats, error: float, rng: np.random.Generator) -> Floats:
    """Counts: harmed tasks, those shipped, gaining tasks, those shipped, all shipped."""
    options = [
        Option(c.task, "shared", "shared", "single", f"single:{c.task}", c) for c in _evidence(theta, error, rng)
    ]
    sent = np.array([d.shared for d in choose(options)])
    bad, good = theta < -MARGIN, theta > 0
    return np.array([bad.sum(), (bad & sent).sum(), good.sum(), (good & sent).sum(), sent.sum()], dtype=float)


def _evidence(theta: Floats, error: float, rng: np.random.Generator) -> list[Comparison]:
    """Comparisons of three runs an arm, half of the variance from test rows and half from the luck of the runs."""
    rows, luck = error / 2**0.5, error / 2**0.5
    made = []
    for k, true in enumerate(theta):
        seen = float(true + luck * rng.standard_normal() + rows * rng.standard_normal())
        made.append(_made(f"t{k}", seen, rows**2, float(luck**2 * rng.chisquare(4) / 4)))
    return made


def _made(task: str, seen: float, var_rows: float, var_runs: float) -> Comparison:
    total = var_rows + var_runs
    df = total**2 / (var_rows**2 / 1999 + var_runs**2 / 4)
    half = t_quantile(1 - ERROR, df) * total**0.5
    return Comparison(
        task=task,
        metric="accuracy",
        scale="relative",
        baseline="single",
        candidate="shared",
        baseline_score=0.85,
        candidate_score=0.85 * (1 + seen),
        effect=seen,
        low=seen - half,
        high=seen + half,
        margin=MARGIN,
        df=df,
        var_rows=var_rows,
        var_baseline=var_runs / 2,
        var_candidate=var_runs / 2,
        n_rows=2000,
        n_baseline_runs=3,
        n_candidate_runs=3,
        baseline_runs=("s1", "s2", "s3"),
        candidate_runs=("m1", "m2", "m3"),
    )


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer cells and repetitions")
    parser.add_argument("--part", choices=["claims", "moderated", "shipping", "all"], default="all")
    parser.add_argument("--moderated", action="store_const", const="moderated", dest="part", help="only that part")
    parser.add_argument("--score", choices=SCORES, help="only the claims of one kind of score")
    parser.add_argument("--reps", type=int, default=0, help="repetitions a cell (default 3000; quick 300)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter(), time.process_time()
    reps = options.reps or (300 if options.quick else 3000)
    sizes = [(500, 0.003), (2000, 0.01), (10000, 0.01)]
    cells = [Cell(kind, n, sd) for kind in ([options.score] if options.score else SCORES) for n, sd in sizes]
    errors: tuple[float, ...] = (0.01, 0.02, 0.04)
    if options.quick:
        cells = [c for c in cells if c.n < 10000]
        errors = (0.02,)
        print("QUICK: no cells of 10,000 rows, few repetitions; its figures are rough.")
    print(f"Seed {options.seed}, margin {MARGIN:.0%}, interval {1 - 2 * ERROR:.0%}, {reps} repetitions a cell")
    if options.part in ("claims", "all") or options.score:
        claims(cells, (-0.02, 0.0, -0.05), reps, options.seed)
    if options.part in ("moderated", "all") and not options.score:
        moderated(max(reps // 20, 20), options.seed)
    if options.part in ("shipping", "all") and not options.score:
        shipping(max(reps // 15, 20), options.seed, errors)
    print(f"\n{time.perf_counter() - start[0]:.0f} s, {time.process_time() - start[1]:.0f} s of one processor")


if __name__ == "__main__":
    main()
