"""How much of what is wrong with a table does the audit find, and how often does it cry wolf?

Defects of every kind of `tests/contracts/audit_defects.py` are planted in the real tables that SHAREWISE_DATA names
(at most 10,000 rows of each), at several strengths; the check that should find a kind runs on the planted and on the
untouched table. Found means: a finding of that check about what was planted, where the untouched table has none
(tables that have one already are left out, as nothing can be shown there). False errors are counted on the untouched
tables and on random halves of them.

    python benchmarks/audit_planted.py [--tables-per-kind 6] [--kinds NAME ...] [--no-clean]

Prints one line a kind and strength, the share found at each kind's stated (last) strength, and the errors on clean
tables by name; exits with 1 where under 95 % are found or over 1 error in 20 clean tables is not a known fact.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests" / "contracts")]

import real_tables  # noqa: E402
from audit_defects import KINDS, Case, Kind  # noqa: E402

from sharewise.audit import run  # noqa: E402
from sharewise.records import Finding, Severity  # noqa: E402

MAX_ROWS = 10_000

KNOWN = {
    ("tweeteval", "degenerate_tasks"): "'emoji' has one class: the card's own baseline says so",
    ("air_quality", "degenerate_tasks"): "'NMHC(GT)' has no label in validation and test: the card says so",
    ("air_quality", "input_leaks"): "'C6H6(GT)' is almost a function of one sensor: the card says so",
    ("tox21", "split_duplicates"): "43 test molecules have the SMILES of a train molecule (checked by eye)",
    ("goemotions", "degenerate_tasks"): "cut to 10,000 rows, the test part has no row of the rarest labels",
    ("ewt", "degenerate_tasks"): "'ner' has no train labels under the main split: the card says so",
}
"""Errors on untouched tables that are facts, each checked against the card or the rows."""


def cases(seed: int = 0) -> dict[str, Case]:
    """Every real table, cut to MAX_ROWS rows (the earliest and latest kept in order)."""
    found = {}
    for name in real_tables.names():
        real = real_tables.load(name)
        part = np.full(real.table.n_rows, -1, dtype=np.int8)
        for number, rows in enumerate((real.split.train, real.split.validation, real.split.test)):
            part[rows] = number
        case = Case(real.table.arrow.replace_schema_metadata(None), real.schema, part)
        if len(part) > MAX_ROWS:
            rows = np.sort(np.random.default_rng(seed).choice(len(part), MAX_ROWS, replace=False))
            case = Case(case.table.take(pa.array(rows)), case.schema, part[rows])
        found[name] = case
    return found


def about(finding: Finding, case: Case) -> bool:
    """The finding concerns what was planted in (anything, where rows or parts were)."""
    return not case.touched or bool(case.touched & {*finding.tasks, *finding.columns})


def detected(kind: Kind, case: Case, strength: float, seed: int) -> bool | None:
    """Whether the kind is found; None where it cannot be planted in this table, or where the untouched table already
    has such a finding about the same tasks or columns."""
    planted = kind.plant(case, strength, np.random.default_rng(seed))
    if planted is None:
        return None
    before = run(case.table, case.schema, case.split, checks=[kind.check]).findings
    if any(about(f, planted) for f in before if f.severity is not Severity.INFO):
        return None
    after = run(planted.table, planted.schema, planted.split, checks=[kind.check])
    if after.failed:
        print(f"   {kind.name}: {after.failed[0].error}")
        return False
    old = {f.message for f in before}
    return any(about(f, planted) and f.message not in old for f in after.findings)


def sweep(kinds: list[Kind], tables: dict[str, Case], per_kind: int) -> float:
    """Print the table of detections; the share found at the stated strengths, kinds counting alike."""
    shares = []
    for kind in kinds:
        start = time.perf_counter()
        order = np.random.default_rng(len(kind.name)).permutation(sorted(tables)).tolist()
        results: dict[float, list[bool]] = defaultdict(list)
        missed, used = [], []
        for name in order:
            if len(used) == per_kind:
                break
            outcome = {s: detected(kind, tables[name], s, seed=len(used)) for s in kind.strengths}
            if outcome[kind.strengths[-1]] is None:
                continue
            used.append(name)
            for strength, hit in outcome.items():
                if hit is not None:
                    results[strength].append(hit)
            if not outcome[kind.strengths[-1]]:
                missed.append(name)
        text = "  ".join(f"{s:g}: {sum(r)}/{len(r)}" for s, r in results.items())
        shares += results[kind.strengths[-1]]
        note = f"  missed in {', '.join(missed)}" if missed else ""
        print(
            f"{kind.group:<11}{kind.name:<28}{kind.check:<18}{text}{note}  ({time.perf_counter() - start:.0f} s)",
            flush=True,
        )
    return float(np.mean(shares)) if shares else 0.0


CAN_ERR = (
    "split_duplicates",
    "split_entities",
    "split_time",
    "input_leaks",
    "target_copies",
    "shifted_targets",
    "label_conflicts",
    "label_noise",
    "tag_noise",
    "degenerate_tasks",
    "unseen_classes",
)
"""Checks that can give an error; only these are run to count false errors."""


def clean(tables: dict[str, Case]) -> tuple[int, int]:
    """Errors that are no known facts, and clean tables looked at: each untouched table, and a random half of it."""
    false, looked = 0, 0
    for name, case in tables.items():
        rng = np.random.default_rng(1)
        half = case.with_rows(np.sort(rng.choice(len(case.part), len(case.part) // 2, replace=False)))
        for title, one in ((name, case), (f"{name}, a random half", half)):
            report = run(one.table, one.schema, one.split, checks=CAN_ERR)
            looked += 1
            print(f"looked at {title}", flush=True)
            for finding in report.findings:
                if finding.severity is Severity.ERROR:
                    fact = KNOWN.get((name, finding.check))
                    false += fact is None
                    print(f"error on {title}: {finding.check}: {finding.message}  [{fact or 'FALSE'}]", flush=True)
            for failure in report.failed:
                print(f"failed on {title}: {failure.check}: {failure.error}", flush=True)
    return false, looked


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables-per-kind", type=int, default=6)
    parser.add_argument("--kinds", nargs="*")
    parser.add_argument("--no-clean", action="store_true")
    given = parser.parse_args()
    tables = cases()
    kinds = [k for k in KINDS if not given.kinds or k.name in given.kinds]
    share = sweep(kinds, tables, given.tables_per_kind)
    print(f"{len(kinds)} kinds; found at the stated strength: {share:.1%}")
    bad = share < 0.95
    if not given.no_clean:
        false, looked = clean(tables)
        print(f"false errors: {false} on {looked} clean tables ({20 * false / looked:.2f} in 20)")
        bad |= false > looked / 20
    sys.exit(int(bad))


if __name__ == "__main__":
    main()
