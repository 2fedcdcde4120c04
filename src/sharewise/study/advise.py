"""The checklist before training: cheap questions answered from the data alone, in seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from sharewise import audit
from sharewise.audit.run import view_of
from sharewise.audit.view import TEST, TRAIN, AuditView, Labels
from sharewise.study.design import BUDGETS
from sharewise.study.file import StudyFile
from sharewise.study.judge import FEW_ROWS
from sharewise.study.power import Power, power_of
from sharewise.study.shareable import READ
from sharewise.tables.prepare import Prepared, prepare
from sharewise.tables.read import Table
from sharewise.tasks import Task, TaskKind

Flags = NDArray[np.bool_]

NOISY_ROWS = 40_000
"""Rows times tasks up to which label noise is estimated by models: more would take longer than seconds."""
NEARLY = 0.9
"""Two tasks of which so many labelled rows are the same are labelled alike."""
SHOWN = 5
MANY = 5
"""Tasks from which their effects are pooled: together they tell what no one of them could."""
BLIND = 5
"""With test rows that can clear only this many margins, for every task, a study is not worth its time."""


@dataclass(frozen=True)
class Advice:
    """The answer to one question. `level` is "good", "note", "caution" or "stop"; `numbers` what it rests on."""

    question: str
    level: str
    answer: str
    remedy: str = ""
    numbers: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Checklist:
    """All answers, and in a sentence whether a study is worth its time."""

    conclusion: str
    advice: tuple[Advice, ...]


def advise(declared: StudyFile, table: Table) -> Checklist:
    """The checklist for a study file and its table; raises DataError where the table does not fit the file.

    Trains nothing but, on small tables, the audit's models for label noise.
    """
    checked = prepare(table, declared.declaration(table), declared.split_spec(), declared.seed)
    subject = Subject(declared, checked)
    found: list[Advice] = []
    for question in QUESTIONS:
        # Where nothing can be shared, what sharing would find is not asked.
        moot = question in OF_SHARING and any(a.level == "stop" for a in found)
        answer = None if moot else question(subject)
        found += [] if answer is None else [answer]
    return Checklist(_conclusion(found), tuple(found))


class Subject:
    """What every question looks at: labels and values by task, computed once."""

    def __init__(self, declared: StudyFile, checked: Prepared) -> None:
        self.declared, self.checked = declared, checked
        self.tasks = [t for t in checked.schema.tasks.judged if t.kind is not TaskKind.RECONSTRUCTION]
        self.view: AuditView = view_of(checked.table, checked.schema, checked.split, seed=declared.seed)
        self.present: dict[str, Flags] = {task.name: self.view.task_present(task) for task in self.tasks}
        self.labels: dict[str, Labels] = {}
        for labels in self.view.labels:
            self.labels.setdefault(labels.task, labels)

    @property
    def runs(self) -> int:
        """The most confirmation runs of a task that the budget of the file allows."""
        return self.declared.budget.seeds or BUDGETS[self.declared.budget.level].most_runs

    @property
    def told_runs(self) -> str:
        """The same in words."""
        return (
            f"{self.runs} confirmation runs" if self.declared.budget.seeds else f"up to {self.runs} confirmation runs"
        )

    def count(self, task: Task, part: int) -> int:
        """Labelled rows of a part."""
        return int((self.present[task.name] & (self.view.part == part)).sum())


# --- the questions ----------------------------------------------------------------------------------------


def something_to_share(s: Subject) -> Advice | None:
    """Are there two tasks at all?"""
    question = "Is there something to share?"
    aside = "; ".join(f"'{name}' {reason}" for name, reason in s.checked.set_aside.items())
    if len(s.tasks) > 1:
        left = f" Set aside: {aside}." if aside else ""
        return Advice(question, "note" if aside else "good", f"{len(s.tasks)} tasks can be studied.{left}")
    answer = f"A study of sharing needs two tasks; there is {len(s.tasks)}."
    return Advice(question, "stop", answer + (f" Set aside: {aside}." if aside else ""), "declare another task")


def shared_inputs(s: Subject) -> Advice | None:
    """Do the tasks read the same inputs, where they are labelled?"""
    if len(s.tasks) < 2:
        return None
    inputs = s.view.input_names
    filled = {name: ~s.view.missing(name) for name in inputs}
    columns = s.checked.schema.inputs
    declared = {task.name: {i.name for i in columns if {i.name, i.pair} & {*task.inputs}} for task in s.tasks}
    own = {
        task.name: {
            n
            for n in inputs
            if filled[n][s.present[task.name]].mean() >= READ and (n in declared[task.name] or not task.inputs)
        }
        for task in s.tasks
        if s.present[task.name].any()
    }
    alike = {
        (a, b): len(own[a] & own[b]) / max(len(own[a] | own[b]), 1) for a, b in combinations(own, 2) if own[a] | own[b]
    }
    question = "Do the tasks share their inputs?"
    apart = sorted((pair for pair in alike if alike[pair] < 0.5), key=lambda pair: alike[pair])
    numbers: dict[str, object] = {"inputs": len(inputs), "least_common_share": min(alike.values(), default=1.0)}
    if not apart:
        return Advice(question, "good", f"All tasks read the same {_plural(len(inputs), 'input')}.", numbers=numbers)
    a, b = apart[0]
    none = alike[a, b] == 0
    said = "have no input in common" if none else f"have {alike[a, b]:.0%} of their inputs in common"
    pairs = f"{len(apart):,} of {_plural(len(alike), 'pair')} of tasks share"
    if len(alike) == 1:
        pairs = "The two tasks share"
    return Advice(
        question,
        "stop" if none and len(apart) == len(alike) else "caution",
        f"{pairs} less than half of their inputs; '{a}' and '{b}' {said} on their labelled rows.",
        "tasks without common inputs cannot help one another: a study keeps them apart by itself",
        numbers,
    )


def label_overlap(s: Subject) -> Advice | None:
    """Are the same rows labelled for several tasks?"""
    if len(s.tasks) < 2:
        return None
    matrix = np.stack([s.present[task.name] for task in s.tasks]).astype(np.float32)
    both = matrix @ matrix.T
    sizes = np.diag(both)
    larger = np.maximum(sizes[:, None], sizes[None, :]).clip(1)
    share = (both / larger)[np.triu_indices(len(s.tasks), 1)]
    low, middle, high = float(share.min()), float(np.median(share)), float(share.max())
    none = float((share == 0).mean())
    numbers: dict[str, object] = {
        "pairs": len(share),
        "share_full": float((share > NEARLY).mean()),
        "share_disjoint": none,
        "common": [low, middle, high],
    }
    question = "Are the same rows labelled for several tasks?"
    if low > NEARLY:
        answer = (
            "Every row is labelled for nearly all tasks. Sharing adds no rows then, only structure: expect gains where "
            "rows are few, and none where a task's own labels are many and clean."
        )
        return Advice(question, "note", answer, numbers=numbers)
    if none == 1:
        answer = (
            "No row is labelled for two tasks: a shared model learns from the rows of all of them, which helps where "
            "each has few."
        )
        remedy = "trust trained groups, not gradient similarities: those compare the rows of the tasks, not the tasks"
        return Advice(question, "note", answer, remedy, numbers)
    spread = f"{100 * low:.0f} to {100 * high:.0f} %" if len(share) > 1 else f"{100 * low:.0f} %"
    middling = f" ({100 * middle:.0f} % for the median of {_plural(len(share), 'pair')})" if len(share) > 2 else ""
    answer = (
        f"Partly: two tasks have {spread} of their labelled rows in common{middling}. A task with few labels can learn "
        "from rows that only others label: where gains are likeliest."
    )
    return Advice(question, "good", answer, numbers=numbers)


def volumes(s: Subject) -> Advice | None:
    """Are the tasks of like size, and their classes?"""
    counts = {task.name: s.count(task, TRAIN) for task in s.tasks}
    if not counts:
        return None
    low, high = min(counts, key=lambda t: counts[t]), max(counts, key=lambda t: counts[t])
    ratio = counts[high] / max(counts[low], 1)
    rare: list[tuple[int, Task]] = []
    for task in s.tasks:
        labels = s.labels.get(task.name)
        if labels is not None and labels.is_class and task.kind is not TaskKind.MULTILABEL:
            seen = labels.values[labels.present & (s.view.part == TRAIN)]
            rare.append((int(np.bincount(seen[seen >= 0].astype(np.int64), minlength=len(labels.classes)).min()), task))
    rare.sort(key=lambda item: (item[0], item[1].name))
    numbers: dict[str, object] = {"train_rows": counts, "rarest_class": {task.name: n for n, task in rare}}
    said = [f"Train rows a task: {counts[low]:,} ('{low}') to {counts[high]:,} ('{high}')."]
    if counts[low] == counts[high]:
        said = [f"{'Every task' if len(counts) > 1 else 'The task'} has {_plural(counts[low], 'train row')}."]
    remedies = []
    if ratio > 10:
        said.append(f"The largest has {ratio:.0f} times the rows of the smallest and may drown it.")
        remedies.append("try a candidate whose balance or sampling gives the small task more weight")
    few = [(n, task) for n, task in rare if n < 50]
    if few:
        named = _listed([f"{n} in '{task.name}'" for n, task in few])
        said.append(f"Fewer than 50 train rows of the rarest class: {named}.")
    if blunt := [f"'{task.name}'" for _, task in few if task.metric == "accuracy"]:
        remedies.append(f"judge {_listed(blunt)} by AUROC or average precision: accuracy hardly sees so rare a class")
    level = "caution" if ratio > 10 or few else "good"
    return Advice("Are the tasks and classes of like size?", level, " ".join(said), "; ".join(remedies), numbers)


def noise(s: Subject) -> Advice | None:
    """Are labels wrong, or at odds with one another?"""
    small = s.view.n_rows * max(len(s.tasks), 1) <= NOISY_ROWS
    checks = ["label_conflicts", *(["label_noise"] if small else [])]
    found = audit.run(
        s.checked.table, s.checked.schema, s.checked.split, seed=s.declared.seed, checks=tuple(checks), level="full"
    )
    question = "Are labels noisy or at odds with one another?"
    scope = (
        "" if small else " Wrong labels were not estimated: the table is too large for seconds (sharewise audit does)."
    )
    if not found.findings:
        return Advice(question, "note" if scope else "good", f"No sign of it.{scope}")
    said = " ".join(f.message for f in found.findings[:3])
    more = f" And {len(found.findings) - 3} more findings." if len(found.findings) > 3 else ""
    remedy = "clean them first: a noisy partner harms the others (sharewise audit names the rows)"
    return Advice(question, "caution", said + more + scope, remedy, {"findings": len(found.findings)})


def hierarchy(s: Subject) -> Advice | None:
    """Does one task follow from another?"""
    classes = [(t, s.labels[t.name]) for t in s.tasks if t.name in s.labels and s.labels[t.name].is_class]
    classes = [(t, v) for t, v in classes if t.kind is not TaskKind.MULTILABEL and t.where is None][:40]
    follows = [(a.name, b.name) for (a, x) in classes for (b, y) in classes if a.name != b.name and _determines(x, y)]
    question = "Does one task follow from another?"
    if not follows:
        return Advice(question, "good", "No task's label is settled by another task's.") if len(classes) > 1 else None
    twins = [(a, b) for a, b in follows if (b, a) in follows and a < b]
    said = [f"'{b}' follows from '{a}'" for a, b in follows if (b, a) not in follows]
    said += [f"'{a}' and '{b}' say the same" for a, b in twins]
    return Advice(
        question,
        "note",
        f"{_listed(said)}.",
        "where the finer task is predicted anyway, derive the coarser one from its answer: that is the simpler tool; "
        "keep "
        "both where the coarser one is labelled on rows that the finer one is not",
        {"follows": [list(pair) for pair in follows]},
    )


def _determines(x: Labels, y: Labels) -> bool:
    """Whether each class of x has one class of y in at least 99.5 % of at least 50 common rows, y not constant."""
    rows = x.present & y.present & (x.values >= 0) & (y.values >= 0)
    if rows.sum() < 50 or len(x.classes) < len(y.classes) or len(x.classes) > 1000:
        return False
    counts = np.zeros((len(x.classes), len(y.classes)))
    np.add.at(counts, (x.values[rows].astype(np.int64), y.values[rows].astype(np.int64)), 1)
    return bool((counts.sum(0) > 0).sum() > 1 and counts.max(1).sum() >= 0.995 * counts.sum())


def simpler_tool(s: Subject) -> Advice | None:
    """Would one multilabel task, one pooled model or transfer do as well, more simply?"""
    if len(s.tasks) < 2:
        return None
    question = "Is there a simpler tool?"
    told = _pooled(s) or _multilabel(s) or _transfer(s)
    if told is None:
        return Advice(question, "good", "None stands out: sharing is the tool to try.")
    return Advice(question, "note", *told)


def _pooled(s: Subject) -> tuple[str, str] | None:
    families = [t.family for t in s.tasks]
    grouped = next((f for f in families if f is not None and families.count(f) == len(families)), None)
    if grouped is None:
        return None
    column = s.tasks[0].where[0] if s.tasks[0].where is not None else ""
    return (
        f"All {len(s.tasks)} tasks are '{grouped}' for one group of rows each. One pooled model that reads "
        f"'{column}' as "
        f"an input answers them all, and is often hard to beat.",
        "a study trains it beside the others: it is the alternative 'pooled'",
    )


def _multilabel(s: Subject) -> tuple[str, str] | None:
    binary = [t for t in s.tasks if t.kind is TaskKind.BINARY and t.where is None]
    if len(binary) < 3 or len(binary) < len(s.tasks):
        return None
    rows = np.logical_and.reduce([s.present[t.name] for t in binary])
    anywhere = np.logical_or.reduce([s.present[t.name] for t in binary])
    if rows.sum() < 0.95 * anywhere.sum():
        return None
    values = np.stack([s.labels[t.name].values[rows] for t in binary if t.name in s.labels])
    live = values[values.std(1) > 0]
    related = np.abs(np.corrcoef(live)[np.triu_indices(len(live), 1)]).mean() if len(live) > 1 else 0.0
    return (
        f"All {len(binary)} tasks are yes or no on the same rows (mean |correlation| {related:.2f}). As one "
        "multilabel task "
        f"they are one model and one score, without a verdict for each label.",
        "declare one task of kind multilabel if a score for all of them is enough; keep them apart for a verdict each",
    )


def _transfer(s: Subject) -> tuple[str, str] | None:
    primary = [t for t in s.tasks if t.primary]
    if len(primary) != 1:
        return None
    target = primary[0]
    own = s.count(target, TRAIN)
    helper = max((t for t in s.tasks if t.name != target.name), key=lambda t: s.count(t, TRAIN))
    n = s.count(helper, TRAIN)
    if own <= n:
        return None
    return (
        f"Only '{target.name}' counts, and it has more train rows ({own:,}) than its largest helper '{helper.name}' "
        f"({n:,}): training on the helper first and on '{target.name}' after it tends to do better than both at once "
        f"(Weller et al. 2022).",
        f"write transfer: [[{helper.name}, {target.name}]] to compare",
    )


def power(s: Subject) -> Advice | None:
    """What verdicts can be reached with these test rows, at this budget?"""
    question = "What can be decided with these test rows at this budget?"
    found: list[Power] = []
    for task in s.tasks:
        labels = s.labels.get(task.name)
        rows = s.present[task.name] & (s.view.part == TEST)
        truth = labels.values[rows & labels.present] if labels is not None else np.zeros(int(rows.sum()))
        found.append(power_of(task, truth, _units(s, rows), s.runs))
    if not found:
        return None
    numbers: dict[str, object] = {p.task: _numbers(p) for p in found}
    hopeless = sorted((p for p in found if p.hopeless or p.few), key=lambda p: p.n_rows / p.rows_needed)
    weak = [p for p in found if not p.hopeless and not p.few and p.power < 0.8]
    n = len(found)
    said, remedies = [], []
    if hopeless:
        worst = hopeless[0]
        said.append(
            f"With {worst.n_rows:,} test rows no study can clear a {100 * worst.margin:.3g} % margin for "
            f"'{worst.task}': "
            f"about {max(worst.rows_needed, FEW_ROWS):,} are needed, or a margin of "
            f"{100 * worst.smallest_margin:.1f} %."
            + _others(len(hopeless) - 1, n)
            + " Larger gains and harms can still be seen"
            + (", and what sharing does to the tasks on average." if n >= MANY else ".")
        )
        remedies.append("more test rows, or a wider margin, where sharing changes the task by less than the margin")
    if weak:
        runs = [p.runs_needed for p in weak if p.runs_needed is not None]
        said.append(
            f"With {s.told_runs} an unharmed task is cleared with a probability of "
            f"{_range([100 * p.power for p in weak])} % for {len(weak)} of {n} tasks."
        )
        if runs:
            said.append(f"{max(runs)} runs would make it 80 % for {len(runs)} of them.")
            remedies.append(f"budget: {{seeds: {max(runs)}}}")
    ready = [p for p in found if p not in hopeless and p not in weak]
    if ready:
        lowest = min(p.power for p in ready)
        said.append(
            f"{len(ready)} of {_plural(n, 'task')} will be cleared with a probability of at least {100 * lowest:.0f} % "
            f"if sharing does no harm ({s.told_runs})."
        )
    said.append("Assumed: tasks of middling difficulty (accuracy 0.85, AUROC 0.8), 1 % of luck between runs.")
    blind = n < MANY and all(p.smallest_margin > BLIND * p.margin for p in found)
    level = "stop" if blind else "caution" if hopeless or weak else "good"
    return Advice(question, level, " ".join(said), "; ".join(remedies), numbers)


def _others(more: int, n: int) -> str:
    if not more:
        return ""
    if more == n - 1:
        return f" The same holds for the other {_plural(more, 'task')}."
    return f" The same holds for {more} more of {n} tasks."


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low} to {high}"


def _units(s: Subject, rows: Flags) -> int:
    entity = s.checked.schema.entity
    if entity is None:
        return int(rows.sum())
    return len(np.unique(s.view.codes(entity)[0][rows]))


def _numbers(p: Power) -> dict[str, object]:
    return {
        "test_rows": p.n_rows,
        "rows_needed": p.rows_needed,
        "smallest_margin": p.smallest_margin,
        "power": p.power,
        "runs_needed": p.runs_needed,
    }


QUESTIONS: tuple[Callable[[Subject], Advice | None], ...] = (
    something_to_share,
    shared_inputs,
    label_overlap,
    volumes,
    noise,
    hierarchy,
    simpler_tool,
    power,
)
"""In the order in which they are asked."""

OF_SHARING = (label_overlap, simpler_tool, power)
"""Those that take for granted that something can be shared."""


def _conclusion(advice: Sequence[Advice]) -> str:
    stops = [a for a in advice if a.level == "stop"]
    cautions = [a for a in advice if a.level == "caution"]
    if stops:
        return f"Not as it stands. {stops[0].answer}"
    if cautions:
        return f"Worth a study, with {_plural(len(cautions), 'caution')} below."
    return "Worth a study."


def _plural(n: int, one: str) -> str:
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:SHOWN]) + (f" and {len(items) - SHOWN} more" if len(items) > SHOWN else "")
