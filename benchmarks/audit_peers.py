"""Label noise as cleanlab sees it and as the audit does, from the same out-of-fold predictions.

    python benchmarks/audit_peers.py --cleanlab PYTHON [--deepchecks PYTHON]

PYTHON is the interpreter of an environment of its own with `cleanlab==2.9.0` (or `deepchecks`). In real tables named by
SHAREWISE_DATA, of which a model learns a task well or hardly, 0, 5, 10 and 15 % of one task's labels are exchanged.
Compared: the estimated share of wrong labels (cleanlab: 1 - trace of `count.estimate_joint`; numbers: the share under
`datalab`'s line of 0.05 median OUTRE scores) beside the planted one, and precision and recall of the rows listed.
deepchecks is imported, and what happens is printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests" / "contracts")]

from audit_planted import case_of  # noqa: E402

from sharewise.audit.forecasts import forecast  # noqa: E402
from sharewise.audit.noise import confident_learning, error_floor, residual_noise  # noqa: E402

TASKS = [
    ("adult", "income_over_50k"),
    ("adult", "marital-status"),
    ("scene", "Sunset"),
    ("elec2", "class"),
    ("yeast", "Class2"),
    ("emotions", "quiet-still"),
    ("sarcos_small", "torque1"),
    ("bike_sharing", "registered"),
    ("tetouan_power", "Zone 3 Power Consumption"),
]
SHARES = (0.0, 0.05, 0.10, 0.15)

PEER = """
import json, sys
import numpy as np
from cleanlab import count, filter
from cleanlab.regression.rank import get_label_quality_scores
data = np.load(sys.argv[1])
given, said = data["given"], data["said"]
if said.shape[1] > 1:
    given = given.astype(int)
    said = said / said.sum(1, keepdims=True)
    joint = count.estimate_joint(given, said)
    issues = filter.find_label_issues(given, said, return_indices_ranked_by="self_confidence")
    print(json.dumps({"rate": float(1 - np.trace(joint)), "issues": issues.tolist()}))
else:
    scores = get_label_quality_scores(given, said[:, 0].astype(float), method="outre")
    issues = np.flatnonzero(scores < 0.05 * np.median(scores))
    print(json.dumps({"rate": len(issues) / len(given), "issues": issues.tolist()}))
"""


def peer(python: str, given: np.ndarray, said: np.ndarray) -> tuple[float, np.ndarray]:
    """What cleanlab says of labels and predictions: rate and rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.npz"
        np.savez(path, given=given, said=said)
        out = subprocess.run(
            [python, "-W", "ignore", "-c", PEER, str(path)], capture_output=True, text=True, check=True
        )
    answer = json.loads(out.stdout.splitlines()[-1])
    return float(answer["rate"]), np.array(answer["issues"], dtype=np.int64)


def hits(listed: np.ndarray, wrong: np.ndarray) -> str:
    """Precision and recall as text."""
    both = len(np.intersect1d(listed, wrong))
    return f"{both / max(len(listed), 1):4.2f}/{both / max(len(wrong), 1):4.2f}"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cleanlab", required=True)
    parser.add_argument("--deepchecks")
    given_args = parser.parse_args()
    errors: dict[str, list[float]] = {"ours": [], "cleanlab": []}
    print(f"{'table':<14}{'task':<26}{'planted':>8}{'ours':>8}{'cleanlab':>10}{'ours P/R':>12}{'cleanlab P/R':>14}")
    for name, column in TASKS:
        case = case_of(name)
        labels = next(k for k in case.view().labels if k.column == column)
        for share in SHARES:
            rng = np.random.default_rng(int(100 * share))
            known = np.flatnonzero(labels.present)
            wrong = rng.choice(known, int(share * len(known)), replace=False)
            values = labels.values.copy()
            if labels.is_class:
                n = len(labels.classes)
                values[wrong] = (values[wrong] + rng.integers(1, n, len(wrong))) % n
            else:
                values[wrong] = rng.permutation(values[wrong])
            planted = case.relabel(labels, values)
            again = next(k for k in planted.view().labels if k.column == column)
            said = forecast(planted.view(), again)
            assert said is not None
            given = again.values[said.rows]
            if labels.is_class:
                codes = given.astype(np.int64)
                rate, listed = error_floor(codes, said.values).rate, confident_learning(codes, said.values).suspects
            else:
                noise, _ = residual_noise(given, said.values[:, 0].astype(np.float64))
                rate, listed = noise.rate, noise.suspects
            theirs, issues = peer(given_args.cleanlab, given, said.values)
            errors["ours"].append(abs(rate - share))
            errors["cleanlab"].append(abs(theirs - share))
            ours_pr, their_pr = hits(said.rows[listed], wrong), hits(said.rows[issues], wrong)
            print(
                f"{name:<14}{column[:24]:<26}{share:>8.2f}{rate:>8.3f}{theirs:>10.3f}{ours_pr:>12}{their_pr:>14}",
                flush=True,
            )
    for who, values_ in errors.items():
        print(f"mean error of the estimated share of wrong labels, {who}: {np.mean(values_):.3f}")
    if given_args.deepchecks:
        code = "from deepchecks.tabular.suites import full_suite; full_suite(); print('runs')"
        out = subprocess.run(
            [given_args.deepchecks, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
        )
        print("deepchecks:", (out.stdout + out.stderr).strip().splitlines()[-1])


if __name__ == "__main__":
    main()
