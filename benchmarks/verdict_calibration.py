"""How often verdicts are wrong: the two-way procedure, its moderated form and the shipping rule, on planted effects.

    python benchmarks/verdict_calibration.py             # all cells, some minutes on one core
    python benchmarks/verdict_calibration.py --quick     # fewer cells and repetitions; says so

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
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from sharewise.metrics import metric
from sharewise.study.compare import ERROR, Parts, combine, parts, t_quantile

Floats = npt.NDArray[np.float64]

MARGIN = 0.02
RUNS = (3, 5, 10)
U, V, E = np.sqrt([0.934, 0.034, 0.032])
LIMIT = 0.06


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
    return base**2, [cand**2 * np.exp(-2 * e) for e in effects]


def claims(cells: list[Cell], effects: tuple[float, ...], reps: int, seed: int) -> None:
    """Print P(harm) and P(no harm) for every cell, number of runs and true effect."""
    print("\nTwo-way interval: P(harm) / P(no harm) in %, by true effect; both are wrong at -2 %")
    head = "".join(f"{100 * e:>+10.0f} %" for e in effects)
    print(f"{'score':10}{'rows':>7}{'run SD':>8}{'runs':>6}{head}{'+- at -2 %':>13}")
    worst: list[tuple[float, str]] = []
    for cell in cells:
        rng = np.random.default_rng([seed, cell.n, round(1e4 * cell.run_sd), *cell.kind.encode()])
        counts = np.zeros((len(RUNS), len(effects), 2))
        kind = metric(cell.kind.removesuffix("_t5"))
        for _ in range(reps):
            base, candidates = draw(cell, effects, rng)
            for j, cand in enumerate(candidates):
                for i, runs in enumerate(RUNS):
                    low, high = interval(parts_of(kind.name, base[:runs], cand[:runs]))
                    counts[i, j] += (high < -MARGIN, low > -MARGIN)
        share = counts / reps
        for i, runs in enumerate(RUNS):
            at = effects.index(-MARGIN)
            error = 100 * np.sqrt(ERROR * (1 - ERROR) / reps)
            row = "".join(f"{100 * h:>7.1f}/{100 * s:<4.1f}" for h, s in share[i])
            print(f"{cell.kind:10}{cell.n:>7}{cell.run_sd:>8.3f}{runs:>6}{row}{error:>11.1f}", flush=True)
            name = f"{cell.kind}, {cell.n} rows, run SD {cell.run_sd}, {runs} runs"
            worst += [(share[i, at, 0], f"harm: {name}"), (share[i, at, 1], f"no harm: {name}")]
    report(worst, reps)


def report(worst: list[tuple[float, str]], reps: int) -> None:
    """Print the mean and the worst wrong-claim rates and those over the limit."""
    worst.sort(reverse=True)
    mean = float(np.mean([w for w, _ in worst]))
    print(f"Wrong claims at the boundary: mean {mean:.1%}, worst {worst[0][0]:.1%} ({worst[0][1]}).")
    # The largest of many estimates exceeds its own truth: say how large it would be if every truth were 5 %.
    over = [w for w in worst if w[0] > LIMIT]
    by_luck = ERROR + float(ndtri(1 - 1 / (len(worst) + 1))) * np.sqrt(ERROR * (1 - ERROR) / reps)
    print(f"{len(over)} of {len(worst)} exceed {LIMIT:.0%}; the largest of {len(worst)} true 5 % would show {by_luck:.1%}.")
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


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer cells and repetitions")
    parser.add_argument("--reps", type=int, default=0, help="repetitions a cell (default 2000, quick 300)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    reps = options.reps or (300 if options.quick else 2000)
    effects = (0.0, -0.02, -0.05)
    sizes = [(500, 0.003), (2000, 0.01), (10000, 0.01)]
    cells = [Cell(kind, n, sd) for kind in ("accuracy", "auroc", "rmse", "rmse_t5") for n, sd in sizes]
    if options.quick:
        cells = [c for c in cells if c.n < 10000]
        print("QUICK: no cells of 10,000 rows, few repetitions; its figures are rough.")
    print(f"{reps} repetitions a cell, seed {options.seed}, margin {MARGIN:.0%}, interval {1 - 2 * ERROR:.0%}")
    claims(cells, effects, reps, options.seed)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
