"""The defects that deepchecks has a check for too: who finds what is planted, and who objects to untouched tables.

    python benchmarks/audit_deepchecks.py --python PYTHON [--tables-per-kind 3]

PYTHON is the interpreter of an environment of its own with deepchecks (0.19.1 imports neither with scikit-learn 1.9,
"'max_error' is not a valid scoring value", nor with category-encoders 2.11; it runs with scikit-learn==1.5.2,
category-encoders==2.6.4, numpy<2, pandas<2.3, scipy<1.14 and pyarrow). Kinds of `tests/contracts/audit_defects.py` are planted at their stated
strength in real tables (SHAREWISE_DATA); deepchecks gets the columns that it can read (numbers, categories, times) and
the label that was planted in, else the first one, and its own default condition. Found means that the condition holds
on the untouched table and fails on the planted one; where it fails on both, nothing can be shown. The audit's side is
`audit_planted.attempt`. The last column counts untouched tables on which each side objects.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests" / "contracts")]

import real_tables  # noqa: E402
from audit_defects import KINDS, Case, Kind  # noqa: E402
from audit_planted import attempt, case_of, untouched  # noqa: E402

from sharewise.records import Severity  # noqa: E402

THEIRS = {
    "copies_across": "TrainTestSamplesMix().add_condition_duplicates_ratio_less_or_equal()",
    "contradicting_copies": "ConflictingLabels().add_condition_ratio_of_conflicting_labels_less_or_equal()",
    "label_as_category": "FeatureLabelCorrelation().add_condition_feature_pps_less_than()",
    "label_as_number": "FeatureLabelCorrelation().add_condition_feature_pps_less_than()",
    "future_in_train": "DateTrainTestLeakageOverlap().add_condition_leakage_ratio_less_or_equal()",
    "entity_across": "IndexTrainTestLeakage().add_condition_ratio_less_or_equal()",
    "rare_class": "ClassImbalance().add_condition_class_ratio_less_than()",
    "constant_input": "IsSingleValue().add_condition_not_single_value()",
    "copied_column": "FeatureFeatureCorrelation().add_condition_max_number_of_pairs_above_threshold()",
    "odd_spelling": "StringMismatch().add_condition_no_variants()",
    "numbers_as_words": "MixedDataTypes().add_condition_rare_type_ratio_not_in_range()",
    "class_only_in_test": "NewLabelTrainTest().add_condition_new_labels_number_less_or_equal()",
}
"""deepchecks' check for a kind, with the condition that its own suites use."""

PEER = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pandas as pd
import deepchecks.tabular.checks as checks
from deepchecks.tabular import Dataset, TrainTestCheck
for line in open(sys.argv[1]):
    case = json.loads(line)
    try:
        frame = pd.read_parquet(case["path"])
        for name in case["categories"]:
            frame[name] = frame[name].astype(object)
        made = dict(label=case["label"], cat_features=case["categories"], features=case["features"],
                    label_type=case["label_type"])
        if case["time"]:
            made["datetime_name"] = case["time"]
        if case["index"]:
            made["index_name"] = case["index"]
        train, test = (Dataset(frame[frame["__part"] == p].drop(columns="__part"), **made) for p in (0, 2))
        check = eval("checks." + case["check"])
        result = check.run(train, test) if isinstance(check, TrainTestCheck) else check.run(train)
        print(json.dumps({"id": case["id"], "passes": bool(result.passed_conditions())}), flush=True)
    except Exception as error:
        print(json.dumps({"id": case["id"], "error": f"{type(error).__name__}: {error}".splitlines()[0][:90]}), flush=True)
"""


@dataclass(frozen=True)
class Question:
    """A table as deepchecks gets it."""

    id: str
    check: str
    case: Case


def readable(case: Case) -> tuple[list[str], list[str]]:
    """Inputs that deepchecks can read, and those among them that are categories."""
    view = case.view()
    narrow = [n for n in view.narrow_inputs if not pa.types.is_temporal(case.table.schema.field(n).type)]
    return narrow, [n for n in narrow if n not in view.numeric_inputs]


def posed(question: Question, folder: Path) -> dict[str, Any] | None:
    """The question as a line for the other interpreter; None where the table has nothing that it can read."""
    case = question.case
    features, categories = readable(case)
    labels = [k for k in case.view().labels if k.column in case.table.column_names and k.present.sum() >= 200]
    touched = [k for k in labels if k.column in case.touched or k.task in case.touched]
    label = (touched or labels or [None])[0]
    if label is None or len(features) < 2:
        return None
    index = case.schema.entity if question.check.startswith("Index") else None
    time = case.schema.time if question.check.startswith("Date") else None
    names = list(dict.fromkeys([*features, label.column, *(n for n in (index, time) if n)]))
    rows = pa.array(np.flatnonzero(label.present))
    table = case.table.select(names).append_column("__part", pa.array(case.part)).take(rows)
    path = folder / f"{question.id}.parquet"
    parquet.write_table(table, path)
    kind = "regression" if not label.is_class else "binary" if len(label.classes) == 2 else "multiclass"
    return {
        "id": question.id, "path": str(path), "check": question.check, "label": label.column, "label_type": kind,
        "categories": categories, "features": features, "time": time, "index": index,
    }  # fmt: skip


def asked(python: str, questions: list[Question]) -> dict[str, dict[str, Any]]:
    """What deepchecks says to each question, in one process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [line for q in questions if (line := posed(q, folder)) is not None]
        (folder / "questions.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
        command = [python, "-W", "ignore", "-c", PEER, str(folder / "questions.jsonl")]
        out = subprocess.run(command, capture_output=True, text=True, check=False)
    if not out.stdout.strip():
        sys.exit(f"deepchecks does not run: {(out.stderr.strip().splitlines() or ['no word'])[-1]}")
    said = [json.loads(line) for line in out.stdout.splitlines() if line.startswith("{")]
    return {answer["id"]: answer for answer in said}


def usable(kind: Kind, per_kind: int) -> list[tuple[str, int, bool]]:
    """Tables in which something can be shown of the kind, with their seed and whether the audit finds it there."""
    order = np.random.default_rng(len(kind.name)).permutation(real_tables.names()).tolist()
    found: list[tuple[str, int, bool]] = []
    for name in order:
        if len(found) == per_kind:
            break
        if len(readable(case_of(name))[0]) < 2:
            continue
        tried = attempt(kind, name, kind.strengths[-1], len(found))
        if tried.found is not None:
            found.append((name, len(found), tried.found))
    return found


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", required=True)
    parser.add_argument("--tables-per-kind", type=int, default=3)
    given = parser.parse_args()
    kinds = [k for k in KINDS if k.name in THEIRS]
    tables = {k.name: usable(k, given.tables_per_kind) for k in kinds}
    questions = []
    for kind in kinds:
        for name, seed, _ in tables[kind.name]:
            planted = kind.plant(case_of(name), kind.strengths[-1], np.random.default_rng(seed))
            assert planted is not None
            before = Case(case_of(name).table, case_of(name).schema, case_of(name).part, planted.touched)
            questions.append(Question(f"{kind.name}-{name}-planted", THEIRS[kind.name], planted))
            questions.append(Question(f"{kind.name}-{name}-before", THEIRS[kind.name], before))
    said = asked(given.python, questions)
    print(f"{'kind':<24}{'audit':>7}{'deepchecks':>12}   note")
    ours_hits = ours_all = their_hits = their_all = ours_loud = their_loud = looked = 0
    for kind in kinds:
        notes, hits, shown = [], 0, 0
        for name, _, found in tables[kind.name]:
            ours_hits, ours_all = ours_hits + found, ours_all + 1
            before, after = (said.get(f"{kind.name}-{name}-{when}", {}) for when in ("before", "planted"))
            error = before.get("error") or after.get("error")
            looked += 1
            ours_loud += any(f.severity is not Severity.INFO for f in untouched(name, kind.check))
            if error or "passes" not in after:
                notes.append(f"{name}: {error or 'no label that it can read'}")
                continue
            their_loud += not before.get("passes", True)
            if kind.name != "entity_across" and not before.get("passes", True):
                notes.append(f"{name}: objects to the untouched table")
                continue
            shown += 1
            hits += not after["passes"]
        their_hits, their_all = their_hits + hits, their_all + shown
        mine = tables[kind.name]
        print(
            f"{kind.name:<24}{sum(f for *_, f in mine)}/{len(mine):<6}{f'{hits}/{shown}':>8}       {'; '.join(notes)}"
        )
    print(f"found: audit {ours_hits} of {ours_all}, deepchecks {their_hits} of {their_all} that it can be shown on")
    print(f"objects to an untouched table: audit {ours_loud} of {looked}, deepchecks {their_loud} of {looked}")


if __name__ == "__main__":
    main()
