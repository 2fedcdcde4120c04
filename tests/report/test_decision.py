"""The decision document: every sentence is derived again from the raw records by other code, or it may not stand."""

from __future__ import annotations

import json
import re
import shlex
import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import report_synthetic as synthetic
from report_html_check import Page
from report_synthetic import Made

from sharewise.plan import Group, Plan
from sharewise.records import Arm, Challenge, Comparison, Forecast, GroupingRecord, Role, SetAside, to_json
from sharewise.report import decision_text, load, render, words
from sharewise.report.decision import document
from sharewise.report.load import StudyRecords
from sharewise.report.rows import task_rows
from sharewise.report.sentences import Sentence
from sharewise.report.upkeep import partitions

Raw = dict[str, Any]


def transferred(records: StudyRecords) -> StudyRecords:
    """The same study with a transfer arm that repeats the shared model's comparisons and takes over what it wins."""
    assert records.design is not None
    names = tuple(task.name for task in records.design.tasks)
    plan = Plan("pretrained", tuple(Group(f"pretrained:{name}", (name,)) for name in names))
    arm = Arm("pretrained", Role.TRANSFER, plan, "neural net", records.design.tuning_runs, "single", source=names)
    made = tuple(
        Challenge(v.task, "transfer", arm.name, f"pretrained:{v.task}", "single", v, v.comparison, 0.01, 0.02, 1,
                  v.comparison.low > 0, "it was told to")
        for v in records.verdicts
    )  # fmt: skip
    shown = [replace(c, kind="ensemble", arm="ensemble", n_models=5, answers=False) for c in made]
    made += (replace(shown[0], answers=True), *shown[1:])
    assert records.summary is not None
    lost = next(d.task for d in records.decisions if not d.shared)
    back = {**records.summary.fallbacks, lost: f"single:{lost}"}
    records = replace(records, summary=replace(records.summary, fallbacks=back))
    return replace(records, design=replace(records.design, arms=(*records.design.arms, arm)), challenges=made)


def searched(records: StudyRecords, *, found: bool) -> StudyRecords:
    """The same study with a search: the first two tasks help each other, the last harms the first; or nothing."""
    assert records.design is not None
    names = tuple(task.name for task in records.design.tasks)
    n = len(names)
    helps = [[0.0] * n for _ in names]
    helps[0][1], helps[1][0], helps[0][n - 1] = 0.81, 0.43, -0.62
    sd = tuple(tuple(0.2 + 0.01 * j for j in range(n)) for _ in names)
    plan = Forecast(records.confirmed or "", (names[: n - 1], names[n - 1 :]), 0.47, 0.23)
    return replace(records, grouping=GroupingRecord(
        "surrogate", names, tuple(map(tuple, helps)), sd, (0.0,) * n, (0.0,) * n, 17, 51,
        (plan,) if found else (), None, "" if found else "Nothing to gain: the best plan gains +0.12 margins.",
    ))  # fmt: skip


def many_found(records: StudyRecords) -> StudyRecords:
    """The same search with five plans found one after the other, of which the third was confirmed."""
    made = searched(records, found=True)
    assert made.grouping is not None
    third = made.grouping.plans[0]
    plans = [replace(third, name=f"found-{n}", gain=0.5 - 0.1 * n, n_groups=15 + n) for n in range(1, 6)]
    plans[2] = replace(third, n_groups=18)
    return replace(made, grouping=replace(made.grouping, plans=tuple(plans), n_groups=19, reason="Nothing more."))


def unevenly_run(records: StudyRecords) -> StudyRecords:
    """The same study with six runs of every shared model and, of the single ones, one that has no luck, six, and as
    many as before of the others."""
    numbers = {v.task: (1, 6)[i] for i, v in enumerate(records.verdicts[:2])}

    def run(c: Comparison, *, ensemble: bool = False) -> Comparison:
        n = numbers.get(c.task, c.n_baseline_runs)
        made = replace(c, n_baseline_runs=n, var_baseline=0.0 if n == 1 else c.var_baseline)
        return made if ensemble else replace(made, n_candidate_runs=6)

    verdicts = tuple(replace(v, comparison=run(v.comparison)) for v in records.verdicts)
    ensembles = tuple(
        run(c, ensemble=True) for c in records.ensembles if c.candidate == "ensemble" and numbers.get(c.task) != 1
    )
    stability = tuple(replace(s, effects=(*s.effects, *s.effects)[:6]) for s in records.stability)
    return replace(records, verdicts=verdicts, ensembles=ensembles, stability=stability)


def cases() -> dict[str, StudyRecords]:
    return {
        "many found": many_found(synthetic.study(synthetic.FOUR)),
        "uneven": unevenly_run(synthetic.study(synthetic.FOUR)),
        "searched": searched(synthetic.study(synthetic.FOUR), found=True),
        "in vain": searched(synthetic.study(synthetic.FOUR), found=False),
        "four": synthetic.study(synthetic.FOUR, aside=(SetAside("rare", "has no label in the test part"),)),
        "twelve": synthetic.study(synthetic.TWELVE, "tox21", 7831),
        "school": synthetic.study(synthetic.school(), "school", 15362, light=True),
        "one": synthetic.study(synthetic.FOUR[:1]),
        "none": synthetic.study([Made(f"bad{i}", effect=-0.08, half=0.01) for i in range(3)]),
        "transfer": transferred(synthetic.study(synthetic.FOUR)),
        "all": synthetic.study([Made(f"good{i}", effect=0.04, half=0.01) for i in range(8)]),
    }


CASES = cases()


def sentences(records: StudyRecords) -> list[Sentence]:
    return [s for one in document(records, task_rows(records)) for s in (*one.sentences, *one.after)]


@cache
def raw_of(name: str) -> Raw:
    r = CASES[name]
    files = {
        "design": r.design, "data": r.data, "runs": r.runs, "verdicts": r.verdicts, "isolated": r.isolated,
        "decisions": r.decisions, "selection": r.selection, "stability": r.stability, "calibration": r.calibration,
        "ensembles": r.ensembles, "cost": r.cost, "summary": r.summary, "challenges": r.challenges,
        "grouping": r.grouping, "scores": r.scores, "plans": r.found_arms,
    }  # fmt: skip
    return {key: json.loads(to_json(value)) for key, value in files.items()}


# --- independent derivations ------------------------------------------------------------------------------


def pc(value: float) -> str:
    """A change in per cent or points, to a tenth, with a true minus sign."""
    digits = 0 if abs(100 * value) >= 100 else 1
    shown = f"{100 * value:+.{digits}f}"
    return (shown[1:] if float(shown) == 0 else shown).replace("-", "−")


def by_task(raw: Raw, file: str) -> dict[str, Any]:
    return {item["task"]: item for item in raw[file]}


def sharing(raw: Raw) -> list[str]:
    return [d["task"] for d in raw["decisions"] if d["shared"]]


def harmed(raw: Raw) -> list[str]:
    return [v["task"] for v in raw["verdicts"] if v["comparison"]["high"] < -v["comparison"]["margin"]]


def outcome(v: Any) -> str:
    c = v["comparison"]
    return "harm" if c["high"] < -c["margin"] else "fine" if c["low"] > -c["margin"] else "open"


NUMBERS = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def letters(n: int) -> str:
    return NUMBERS[n] if n < len(NUMBERS) else str(n)


def moved(raw: Raw) -> list[Any]:
    return [c for c in raw["challenges"] if c["kind"] == "transfer"]


def averages(raw: Raw) -> list[Any]:
    return [c for c in raw["challenges"] if c["kind"] == "ensemble"]


def tally(raw: Raw) -> list[str]:
    kinds = [outcome(v) for v in raw["verdicts"]]
    better = sum(v["comparison"]["low"] > 0 for v in raw["verdicts"])
    if len(kinds) == 1:
        return [raw["verdicts"][0]["task"]]
    return [
        f"better for {letters(better)},", f"beyond the margin to {letters(kinds.count('fine') - better)},",
        f"harms {letters(kinds.count('harm')) if 'harm' in kinds else 'none'},",
        f"leaves {letters(kinds.count('open'))} open",
    ]  # fmt: skip


def worst(raw: Raw) -> list[str]:
    c = min((v["comparison"] for v in raw["verdicts"]), key=lambda c: c["effect"] / c["margin"])
    who = "shared model" if c["task"] in sharing(raw) else "single-task model"
    return [pc(c["effect"]), f"[{pc(c['low'])}, {pc(c['high'])}]", who]


def clearest(raw: Raw) -> list[str]:
    c = max(
        (v["comparison"] for v in raw["verdicts"] if v["comparison"]["low"] > 0), key=lambda c: c["low"] / c["margin"]
    )
    return [c["task"], pc(c["effect"]), f"{c['n_rows']:,} test row", c["baseline"], str(c["candidate_score"])[:3]]


def promises(raw: Raw) -> dict[str, float]:
    made: dict[str, float] = raw["summary"]["promises"]
    return made


def weights(raw: Raw) -> list[str]:
    runs = [r for r in raw["runs"] if r["phase"] == "confirm" and r["arm"] == raw["summary"]["selected"]]
    relative: dict[str, list[float]] = {}
    for run in runs:
        mean = statistics.fmean(run["effective_weights"].values())
        for task, weight in run["effective_weights"].items():
            relative.setdefault(task, []).append(weight / mean)
    means = {task: statistics.fmean(v) for task, v in relative.items()}
    low, high = min(means.values()), max(means.values())
    return ["equal"] if high - low < 0.005 else [f"{low:.2f}", f"{high:.2f}"]


def rivalled(raw: Raw) -> list[str]:
    """How many of the tasks that share and have an ensemble beat it; where none does, how many of all would."""
    found = [c for c in raw["ensembles"] if c["baseline"] == "ensemble"]
    mine = [c for c in found if c["task"] in sharing(raw)]
    if len(mine) == 1:
        only = mine[0]["task"] + (", the task that shares" if len(sharing(raw)) == 1 else "")
        return [f"{'is still' if mine[0]['low'] > 0 else 'is not shown to be'} better for {only}"]
    held = sum(c["low"] > 0 for c in mine or found)
    if mine and held == len(mine) == len(sharing(raw)):
        return [f"better for {'both' if held == 2 else f'all {held}'} tasks that share"]
    return [f"better for {letters(held)} of"]


def others_agree(raw: Raw) -> list[str]:
    """The fewest and the most retrains that agree, of the shaky tasks beyond those with a sentence of their own."""
    shaky = [s["n_same"] for s in raw["stability"] if s["n_same"] < len(s["effects"])]
    rest = shaky[6:]
    said = ["none" if n == 0 else words.in_words(n) for n in sorted({min(rest), max(rest)})]
    return [f"For the other {len(rest)} {' to '.join(said)} of {len(raw['stability'][0]['effects'])} retrains"]


def unstable(raw: Raw) -> list[str]:
    n = len(raw["stability"])
    same = sum(s["n_same"] == len(s["effects"]) for s in raw["stability"])
    if same == n:
        return [str(len(raw["stability"][0]["effects"])), {1: "one task", 2: "both tasks"}.get(n, f"all {n} tasks")]
    return [letters(same), str(n)]


def costly(raw: Raw) -> list[str]:
    plan, alone = raw["cost"]
    ratio = plan["train_seconds"] / alone["train_seconds"], plan["seconds_many"] / alone["seconds_many"]
    return [f"{r:.1f} times" for r in ratio] + [f"{plan['n_models']} model", f"{alone['n_models']} single"]


def miscalibrated(raw: Raw) -> list[str]:
    bad = []
    for c in raw["calibration"]:
        if not c["answers"]:
            continue
        if c["ece"] is not None and c["ece"] > 2 * c["ece_chance"]:
            bad.append(c["task"])
        if c["coverage"] is not None:
            wide = abs(c["coverage"] - 0.9) / 0.09**0.5, abs(c["bias"]) / (c["half_width"] / 1.645)
            bad += [c["task"]] * (max(wide) > 4 / c["n_rows"] ** 0.5)
    return bad


def hiding(raw: Raw) -> list[str]:
    kinds = [outcome(v) for v in raw["verdicts"]]
    k, n = kinds.count("open"), len(kinds)
    reach = [v["comparison"]["effect"] - v["comparison"]["low"] for v in raw["verdicts"]]
    where = "is open, in all of them" if k == n else f"is open, in {k} of {n} tasks"
    return [pc(min(reach)).lstrip("+"), pc(max(reach)).lstrip("+"), where if k else "no verdict is open"]


def settled_by(raw: Raw) -> list[str]:
    """What would settle the open verdicts, counted from their receipts."""
    receipts = [v["receipt"] for v in raw["verdicts"] if outcome(v) == "open"]
    runs = sum(r["runs_needed"] is not None for r in receipts)
    rows = sum(r["rows_needed"] is not None for r in receipts) - sum(
        r["rows_needed"] is not None and r["runs_needed"] is not None for r in receipts
    )
    counts = {"ore runs would settle": runs, "nly more test rows would settle": rows}
    counts["either more runs nor more test rows alone can settle"] = len(receipts) - runs - rows
    if len(receipts) == 1:
        return [f"{what} the one" for what, n in counts.items() if n]
    if len(receipts) in counts.values():
        return [what for what, n in counts.items() if n] + [f"the {len(receipts)} open verdicts"]
    short = {what.replace("either more runs nor more", "either runs nor"): n for what, n in counts.items()}
    return [f"{what} {n}" for what, n in short.items() if n]


def bell(n: int) -> int:
    """Bell numbers by their recurrence over binomials."""
    from math import comb

    b = [1]
    for k in range(n):
        b.append(sum(comb(k, i) * b[i] for i in range(k + 1)))
    return b[n]


def percent(p: float) -> str:
    if 0 < p < 0.001:
        return "under 0.1 %"
    if 0.999 < p < 1:
        return "over 99.9 %"
    return f"{100 * p:.1f} %".replace(".0 %", " %") if p < 0.0995 else f"{100 * p:.0f} %"


def listed(names: list[str]) -> list[str]:
    return names if len(names) <= 4 else names[:3]


DERIVED: dict[str, Callable[[Raw, str], list[str]]] = {
    "share": lambda raw, text: [
        "all" if len(sharing(raw)) == len(raw["decisions"]) > 2 else str(len(sharing(raw))), str(len(raw["decisions"]))
    ],
    "share nothing": lambda raw, text: [] if sharing(raw) else ["Keep"],
    "one task": lambda raw, text: [raw["decisions"][0]["arm"]],
    "sharing": lambda raw, text: [
        pc(d["expected_gain"]) for d in raw["decisions"] if text.startswith(d["task"] + " shares") and d["shared"]
    ] + [percent(d["probability_harm"]) for d in raw["decisions"] if text.startswith(d["task"] + " shares")],
    "sharing all": lambda raw, text: [
        str(len(sharing(raw))),
        percent(max(d["probability_harm"] for d in raw["decisions"] if d["shared"])),
        pc(min(d["expected_gain"] for d in raw["decisions"] if d["shared"])),
        pc(max(d["expected_gain"] for d in raw["decisions"] if d["shared"])),
    ],
    "route": lambda raw, text: [
        d["reason"][1:].replace(" -", " −") for d in raw["decisions"] if text.startswith(d["task"] + ": ")
    ][-1:],
    "staying": lambda raw, text: [str(len(raw["decisions"]) - len(sharing(raw)))],
    "shipping": lambda raw, text: [percent(raw["design"]["max_probability_harm"])],
    "only plan": lambda raw, text: [raw["summary"]["selected"]] if len(promises(raw)) == 1 else ["not the only one"],
    "contest": lambda raw, text: [
        f"{value:+.2f}".replace("-", "−") + f" for '{name}'" for name, value in promises(raw).items()
    ],
    "reading": lambda raw, text: [percent(raw["design"]["level"])],
    "protocol": lambda raw, text: [
        f"{raw['design']['tuning_runs']} trial", f"{raw['design']['confirmation_runs']} fresh"
    ],
    "runs made": lambda raw, text: runs_made(raw),
    "tally": lambda raw, text: tally(raw),
    "clearest gain": lambda raw, text: clearest(raw),
    "pooled": lambda raw, text: [pc(raw["summary"]["pooled"][0]["mean"]), pc(raw["summary"]["pooled"][0]["low"])],
    "spread": lambda raw, text: [pc(raw["summary"]["pooled"][0]["between_sd"]).lstrip("+")],
    "isolated": lambda raw, text: [],  # its own test: test_report_sentences
    "rivals": lambda raw, text: [v["comparison"]["baseline"] for v in raw["verdicts"]],
    "equal tuning": lambda raw, text: [
        str({len({r["trial"] for r in raw["runs"] if r["phase"] == "tune" and r["arm"] == arm and r["group"] == group})
             for arm, group in {(r["arm"], r["group"]) for r in raw["runs"]}}.pop())
    ],
    "meaning": lambda raw, text: [f"{100 * v['comparison']['margin']:.3g}" for v in raw["verdicts"]],
    "search": lambda raw, text: [percent((1 - raw["design"]["level"]) / 2)],
    "found": lambda raw, text: (
        [f"{len(harmed(raw))} of {len(raw['verdicts'])} task", *harmed(raw)[:7],
         "none of the harm ships" if not set(harmed(raw)) & set(sharing(raw)) else "shared"]
        if harmed(raw) else ["in no task"]
    ),
    "listed together": lambda raw, text: (
        raw["summary"]["harmed"] if len(raw["summary"]["harmed"]) < len(harmed(raw)) else ["as a whole holds"]
    ),
    "gate": lambda raw, text: [
        "cannot be said" if any(outcome(v) != "fine" for v in raw["verdicts"]) else "may be said"
    ],
    "worst of all": lambda raw, text: worst(raw),
    "precision": lambda raw, text: hiding(raw),
    "settling": lambda raw, text: settled_by(raw),
    "alternatives tried": lambda raw, text: [
        a["model"] for a in raw["design"]["arms"] if a["role"] == "single-task alternative"
    ],
    "ensemble": lambda raw, text: [
        *averaged_runs(raw),
        f"for {letters(sum(c['candidate'] == 'ensemble' and c['low'] > 0 for c in raw['ensembles']))} of",
    ],
    "against ensembles": lambda raw, text: rivalled(raw),
    "weighting": lambda raw, text: [
        "all weigh the same" if a["weights"] == "equal" else a["weights"]
        for a in raw["design"]["arms"] if a["name"] == raw["summary"]["selected"]
    ],
    "measured weights": lambda raw, text: weights(raw),
    "weights untried": lambda raw, text: (
        ["not measured"] if len({a["weights"] for a in raw["design"]["arms"] if a["weights"]}) == 1 else ["?"]
    ),
    "nothing to roll back": lambda raw, text: ["No task shares"] if not sharing(raw) else ["?"],
    "roll back": lambda raw, text: [str(len(sharing(raw)))] if len(sharing(raw)) > 1 else ["the task that shares"],
    "after roll back": lambda raw, text: sharing(raw),
    "roll back others": lambda raw, text: [t for t in raw["summary"]["fallbacks"] if t not in sharing(raw)] or ["?"],
    "undo": lambda raw, text: [f"--to {shlex.quote(next(d['group'] for d in raw['decisions'] if d['shared']))}"],
    "alone already": lambda raw, text: [d["task"] for d in raw["decisions"] if not d["shared"]][:5],
    "cost": lambda raw, text: costly(raw),
    "cost alone": lambda raw, text: [f"{raw['cost'][0]['n_models']} model"] if not sharing(raw) else ["?"],
    "study cost": lambda raw, text: [
        f"{raw['summary']['n_runs']:,} training run",
        f" {words.seconds(sum(r['seconds'] for r in raw['runs']))} of".replace(words.THIN, " "),
    ],
    "stable": lambda raw, text: unstable(raw),
    "retrain": lambda raw, text: [
        ", ".join(pc(e) for e in s["effects"][:1]) for s in raw["stability"] if text.startswith(f"For {s['task']} ")
    ],
    "other retrains": lambda raw, text: others_agree(raw),
    "paired": lambda raw, text: (
        ["in turn"] if {v["comparison"]["n_baseline_runs"] != v["comparison"]["n_candidate_runs"]
                        for v in raw["verdicts"]} != {False} else ["?"]
    ),
    "calibration": lambda raw, text: [],  # it explains, and counts nothing
    "calibrated": lambda raw, text: ["further off than chance"] if not miscalibrated(raw) else ["?"],
    "miscalibrated": lambda raw, text: miscalibrated(raw)[:5] or ["?"],
    "search found": lambda raw, text: found(raw),
    "search ended": lambda raw, text: [raw["grouping"]["reason"]],
    "kinship": lambda raw, text: [*kin(raw)],
    "one split": lambda raw, text: [f"{raw['data']['rows']['train']:,} row"],
    "other plans": lambda raw, text: [
        f"{bell(len(raw['design']['tasks'])):,} ways" if bell(len(raw["design"]["tasks"])) < 1e6 else "10^"
    ],
    "not confirmed": lambda raw, text: [
        a["name"] for a in raw["design"]["arms"] if a["role"] == "candidate" and a["name"] != raw["summary"]["selected"]
    ],
    "no transfer": lambda raw, text: ["?"] if "transfer" in {a["role"] for a in raw["design"]["arms"]} else [],
    "transfer tried": lambda raw, text: [
        *(f"'{a['name']}'" for a in raw["design"]["arms"] if a["role"] == "transfer"),
        f"{next(a['trials'] for a in raw['design']['arms'] if a['role'] == 'transfer')} trial",
    ],
    "transfer found": lambda raw, text: [
        f"of {len(moved(raw))} tasks",
        f"better for {letters(sum(c['verdict']['comparison']['low'] > 0 for c in moved(raw)))},",
        f"harms {letters(sum(outcome(c['verdict']) == 'harm' for c in moved(raw)))},",
        f"leaves {letters(sum(outcome(c['verdict']) == 'open' for c in moved(raw)))} open.",
    ],
    "transfer answers": lambda raw, text: [
        f"{c['task']} ('{c['arm']}' instead of '{c['incumbent']}')" for c in moved(raw) if c["answers"]
    ],
    "no ensemble": lambda raw, text: ["?"] if any(c["answers"] for c in averages(raw)) else ["none does"],
    "ensembles ship": lambda raw, text: [
        *(f"{c['task']} ({c['n_models']} models)" for c in averages(raw) if c["answers"]),
        *(["did not show it"] if not all(c["answers"] for c in averages(raw)) else []),
    ],
    "taken over": lambda raw, text: [c["task"] for c in raw["challenges"] if c["answers"]],
    "open verdicts": lambda raw, text: listed([v["task"] for v in raw["verdicts"] if outcome(v) == "open"]),
    "not studied": lambda raw, text: [s["task"] for s in raw["data"]["set_aside"]],
    "subgroups": lambda raw, text: [],  # true of every study
}  # fmt: skip


def runs_made(raw: Raw) -> list[str]:
    """How many tasks have each number of runs, of either model."""
    made = []
    for side in ("candidate", "baseline"):
        every = [v["comparison"][f"n_{side}_runs"] for v in raw["verdicts"]]
        made += [f"{n} for {letters(every.count(n))}" for n in set(every) if every.count(n) < len(every)]
        made += [f"{every[0]} for all {len(every)} tasks"] if len(set(every)) == 1 else []
    lone = any(v["comparison"]["n_baseline_runs"] == 1 for v in raw["verdicts"])
    return [*made, *(["the same every time has one run"] if lone else [])]


def averaged_runs(raw: Raw) -> list[str]:
    """How many members the ensembles have."""
    every = [c["n_baseline_runs"] for c in raw["ensembles"] if c["candidate"] == "ensemble"]
    if len(set(every)) == 1:
        return [f"of the {every[0]} single-task runs", f"at {every[0]} times"]
    return [*(f"{n} for {letters(every.count(n))}" for n in set(every)), "at as many times"]


def found(raw: Raw) -> list[str]:
    """The confirmed plan with what was known before it was trained."""
    plans = raw["grouping"]["plans"]
    i = next(i for i, plan in enumerate(plans) if plan["name"] == raw["summary"]["selected"])
    groups = plans[i]["n_groups"] or raw["grouping"]["n_groups"]
    place = [f"number {i + 1} of {len(plans)} plans"] if len(plans) > 1 else []
    gain = f"{plans[i]['gain']:+.2f}".replace("-", words.MINUS)
    return [f"'{plans[i]['name']}'", *place, f"{groups} groups", f"{gain} margins", f"error {plans[i]['sd']:.2f}"]


def kin(raw: Raw) -> list[str]:
    """The clearest help within a group and the clearest harm across groups, from the raw map."""
    g = raw["grouping"]
    plan = next(plan for plan in g["plans"] if plan["name"] == raw["summary"]["selected"])
    home = {task: i for i, group in enumerate(plan["groups"]) for task in group}
    told = []
    for inside, sign in ((True, 1), (False, -1)):
        found = [
            (sign * g["helps"][k][j] / g["helps_sd"][k][j], k, j)
            for k, a in enumerate(g["tasks"])
            for j, b in enumerate(g["tasks"])
            if k != j and (home[a] == home[b]) is inside
        ]
        z, k, j = max(found)
        if z > 1.645:
            value = f"{g['helps'][k][j]:+.2f}".replace("-", words.MINUS)
            told.append(
                f"{g['tasks'][j]} to {g['tasks'][k]} ({value} margins, standard error {g['helps_sd'][k][j]:.2f})"
            )
    return told


@pytest.mark.parametrize("name", CASES)
def test_every_claim_is_derived_again_from_the_raw_records(name: str) -> None:
    raw = raw_of(name)
    said = sentences(CASES[name])
    assert len(said) > (3 if name == "one" else 15)
    for sentence in said:
        text = sentence.text.replace(words.THIN, " ")
        expected = DERIVED[sentence.rule](raw, text)
        for part in expected:
            assert part in text, (sentence.rule, part, text)


DERIVED_NUMBERS = {"cost", "study cost", "contest", "measured weights", "precision", "other plans", "miscalibrated"}
"""Rules whose numbers are ratios, means or counts that stand in no record: derived above instead."""


def leaves(value: Any) -> list[float]:
    """Every number below a value."""
    if isinstance(value, dict | list):
        return [n for v in (value.values() if isinstance(value, dict) else value) for n in leaves(v)]
    return [float(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def named(raw: Raw, source: str) -> Any:
    """What a source points to, by a reader of its own."""
    if source.startswith("runs/"):
        return [r for r in raw["runs"] if r["run_id"] in source]
    file, _, path = source.partition(".json#")
    value = raw[file]
    for step in filter(None, path.split("/")):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


@pytest.mark.parametrize("name", ["four", "twelve", "all", "school", "searched"])
def test_every_fraction_in_a_sentence_is_a_number_of_a_record_it_names(name: str) -> None:
    raw = raw_of(name)
    for sentence in sentences(CASES[name]):
        assert sentence.sources, sentence.rule
        assert all(source.startswith(("runs/", *FILES)) for source in sentence.sources), sentence
        if sentence.rule in DERIVED_NUMBERS or sentence.rule == "route":
            continue
        text = sentence.text
        for task in sorted((t["name"] for t in raw["design"]["tasks"]), key=len, reverse=True):
            text = text.replace(task, "")
        known = [n for source in sentence.sources for n in leaves(named(raw, source))]
        for shown in re.findall(r"(?<![\w.])\d+\.\d+", text):
            digits = len(shown.partition(".")[2])
            near = [n for n in known if any(f"{abs(k * n):.{digits}f}" == shown for k in (1, 100))]
            assert near or shown == "0.1", (sentence.rule, shown, sentence.text)


FILES = tuple(f"{n}.json#" for n in (
    "design", "data", "selection", "verdicts", "isolated", "decisions", "stability", "calibration",
    "ensembles", "cost", "summary", "challenges", "grouping", "scores", "plans"
))  # fmt: skip


def test_the_page_leads_from_every_sentence_to_its_numbers() -> None:
    page = Page(render(CASES["twelve"]))
    assert page.checked() == []
    references = page.all("a", "ref")
    entries = {e.attributes["id"]: e.text for e in page.all("li") if e.attributes.get("id", "").startswith("n")}
    assert len(references) == len(sentences(CASES["twelve"])) == len(entries)
    for link in references:
        assert ".json" in entries[link.attributes["href"][1:]] or "runs/" in entries[link.attributes["href"][1:]]
    titles = [e.text for e in page.all("h3")]
    assert titles[:3] == [
        "Should these tasks share, and why these?",
        "What is the evidence that sharing helps?",
        "How was negative transfer looked for, and what was found?",
    ]
    assert page.all("h2")[0].text  # the plan that ships
    assert next(e.attributes["id"] for e in page.all("section") if "id" in e.attributes) == "decision"


def test_the_roll_back_command_is_one_that_a_shell_reads() -> None:
    text = decision_text(CASES["twelve"])
    commands = re.findall(r"^sharewise route .*$", text, re.MULTILINE)
    assert [shlex.split(c)[:2] for c in commands] == [["sharewise", "route"]] * 2
    assert shlex.split(commands[0])[3] in sharing(raw_of("twelve"))


def test_markdown_is_whole_and_names_from_the_data_stay_text() -> None:
    text = decision_text(synthetic.study(synthetic.HOSTILE, "<b>evil</b>"))
    fenced = re.compile(r"^```sh\n.*?^```$", re.DOTALL | re.MULTILINE)
    assert not re.search(r"(?<!\\)<", fenced.sub("", text))
    assert "\\<script\\>" in text
    assert "\x1b" not in text
    numbers = [int(n) for n in re.findall(r"\[\[(\d+)\]\]\(#numbers\)", text)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(re.findall(r"^\d+\. ", text, re.MULTILINE)) == len(numbers)


def test_nothing_is_said_before_anything_is_decided(tmp_path: Path) -> None:
    half = synthetic.interrupted(CASES["four"], 60)
    assert document(half, task_rows(half)) == ()
    assert "No answer yet" in decision_text(half)


def test_a_study_of_an_earlier_version_says_what_it_can(tmp_path: Path) -> None:
    path = synthetic.write(CASES["four"], tmp_path / "run")
    for name in ("selection", "stability", "calibration", "ensembles", "cost"):
        (path / f"{name}.json").unlink()
    titles = [one.title for one in document(load(path), task_rows(load(path)))]
    assert "What does it cost?" in titles
    assert "Would a retrain decide the same?" not in titles


def test_tasks_that_cannot_share_are_told_so_once() -> None:
    study = synthetic.study([Made(f"odd{i}", best="single") for i in range(3)])
    assert study.design is not None
    assert study.summary is not None
    arms = tuple(arm for arm in study.design.arms if arm.name != "together")
    reason = "No two tasks read an input in common, so none can share a model."
    alone = tuple(replace(d, shared=False, arm="single", reason=reason) for d in study.decisions)
    left = replace(
        study, design=replace(study.design, arms=arms), verdicts=(), isolated=(), stability=(), decisions=alone,
        selection=(), summary=replace(study.summary, selected=None, pooled=(), gate=None, promises={}),
    )  # fmt: skip
    text = "\n".join(s.text for s in sentences(left))
    assert text.count("input in common") == 1
    assert "A task shares only where" not in text
    assert "can be grouped" not in text
    assert "transfer: auto" not in text


def test_a_task_that_its_ensemble_answers_is_not_said_to_be_answered_by_one_model() -> None:
    study = synthetic.study([Made("good", effect=0.04, half=0.01), Made("bad", effect=-0.08, half=0.01)])
    taken = tuple(replace(d, arm="ensemble") if d.task == "bad" else d for d in study.decisions)
    text = "\n".join(s.text for s in sentences(replace(study, decisions=taken)))
    assert "It is answered by the mean of its single-task runs, so that none of the harm ships." in text
    assert "for bad, which the mean of its single-task runs answers." in text


def test_ways_to_weigh_of_one_name_are_told_apart() -> None:
    study = synthetic.study(synthetic.FOUR)
    assert study.design is not None
    plan = study.arms["together"]
    arms = (*study.design.arms, *(replace(plan, name=f"sweep {n}", weights="static") for n in (1, 2)))
    seen = study.selection[0]
    changes = tuple(
        replace(seen, candidate=name, effect=effect)
        for name, effect in (("together", 0.0), ("sweep 1", 0.0151), ("sweep 2", -0.0032))
    )
    text = " ".join(
        s.text for s in sentences(replace(study, design=replace(study.design, arms=arms), selection=changes))
    )
    plain = text.replace(words.THIN, " ")
    assert "was +1.5 % with 'static' of 'sweep 1', the best, and −0.3 % with 'static' of 'sweep 2', the worst" in plain
    assert "the choice moved it by 1.8 %." in plain


def test_partitions_are_bell_numbers() -> None:
    assert [partitions(n) for n in range(1, 9)] == [1, 2, 5, 15, 52, 203, 877, 4140]
