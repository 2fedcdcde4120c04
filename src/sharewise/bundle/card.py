"""The model card: what a bundle predicts, from what, how well, and where sharing hurt; written from records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sharewise.records import Challenge, Comparison, DataSummary, Decision, DesignRecord, Outcome, StudySummary, Verdict
from sharewise.tables.schema import Input, InputKind, Schema
from sharewise.tasks import Task


def model_card(
    schema: Schema,
    design: DesignRecord,
    data: DataSummary,
    verdicts: Sequence[Verdict],
    decisions: Sequence[Decision],
    summary: StudySummary,
    challenges: Sequence[Challenge] = (),
) -> str:
    """Markdown with a front matter that model hubs read. Scores are of the test rows, opened once."""
    taken = {c.task: c.against for c in challenges if c.answers and c.against is not None}
    parts = [
        _front_matter(),
        f"# {design.name}",
        _intent(schema, decisions),
        "## Who answers each task",
        _answers(schema, decisions, verdicts, taken),
        "## Where sharing hurt",
        _hurt(verdicts, decisions, design),
        "## Data",
        _data(data),
        "## Limits",
        _limits(schema, data, verdicts),
        "## Where the numbers come from",
        _provenance(design, summary),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter() -> str:
    return "---\nlibrary_name: sharewise\ntags:\n- tabular\n- multi-task-learning\n---"


def _intent(schema: Schema, decisions: Sequence[Decision]) -> str:
    n_shared = sum(d.shared for d in decisions)
    columns = ", ".join(f"`{_plain(i.name)}` ({_read_as(i)})" for i in schema.inputs[:20])
    more = f" and {len(schema.inputs) - 20} more" if len(schema.inputs) > 20 else ""
    who = f"{n_shared} of them by a model that shares, {len(decisions) - n_shared} by a model of their own"
    tasks, inputs = _count(len(decisions), "task"), _count(len(schema.inputs), "input")
    return f"Predicts {tasks}, {who}, from {inputs}: {columns}{more}."


def _read_as(said: Input) -> str:
    """An input's kind, and where there was a choice how it is read."""
    if said.encoder is None:
        return said.kind.value
    pair = "" if said.pair is None else f", a pair '{said.pair}'"
    return f"{said.kind.value} read by {' and '.join(choice.name for choice in said.encoders)}{pair}"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _answers(
    schema: Schema, decisions: Sequence[Decision], verdicts: Sequence[Verdict], taken: Mapping[str, Comparison]
) -> str:
    by_task = {verdict.task: verdict for verdict in verdicts}
    rows = [
        [
            d.task,
            schema.tasks[d.task].kind.value,
            f"{d.group} ({d.arm})",
            _score(schema.tasks[d.task], d, by_task.get(d.task), taken.get(d.task)),
            by_task[d.task].label if d.task in by_task else "not compared",
            d.reason,
        ]
        for d in decisions
    ]
    return _table(["task", "kind", "answered by", "test score", "sharing, against single", "why"], rows)


def _score(task: Task, decision: Decision, verdict: Verdict | None, taken: Comparison | None) -> str:
    if taken is not None:
        return f"{task.metric} {taken.candidate_score:.4g}"
    if verdict is None:
        return "-"
    compared = verdict.comparison
    score = compared.candidate_score if decision.shared else compared.baseline_score
    return f"{task.metric} {score:.4g}"


def _hurt(verdicts: Sequence[Verdict], decisions: Sequence[Decision], design: DesignRecord) -> str:
    harmed = [v for v in verdicts if v.outcome is Outcome.HARM]
    undecided = [v for v in verdicts if v.outcome is Outcome.UNDECIDED]
    shared = {d.task for d in decisions if d.shared}
    if not verdicts:
        return "No task was trained in a group of several, so nothing was compared."
    lines = []
    if harmed:
        lines.append("Against the best single-task model, sharing was worse by more than the margin on:")
        lines += [f"- {_plain(v.task)}: {_change(v.comparison)}, answered {_by(v.task in shared)}." for v in harmed]
    else:
        lines.append("No task was shown to be harmed by more than its margin.")
    if undecided:
        names = ", ".join(f"{_plain(v.task)} ({_change(v.comparison)})" for v in undecided)
        lines.append(f"\nNot enough evidence either way for: {names}.")
    lines.append(f"\nIntervals hold {design.level:.0%} of the time; harm is a change below minus the task's margin.")
    return "\n".join(lines)


def _by(shared: bool) -> str:
    return "by the model that shares" if shared else "by its own model"


def _change(c: Comparison) -> str:
    if c.scale == "relative":
        return f"{c.effect:+.1%} [{c.low:+.1%}, {c.high:+.1%}]"
    return f"{c.effect:+.4f} [{c.low:+.4f}, {c.high:+.4f}] points of {c.metric}"


def _data(data: DataSummary) -> str:
    rows = [[t.task, str(t.labelled.train), str(t.labelled.validation), str(t.labelled.test)] for t in data.tasks]
    aside = [f"Set aside: {_plain(item.task)}, which {item.reason}." for item in data.set_aside]
    split = f"{data.rows.train:,} train, {data.rows.validation:,} validation, {data.rows.test:,} test"
    head = f"{data.n_rows:,} rows ({split}). {_plain(data.split)} Labelled rows of each task:"
    return "\n\n".join([head, _table(["task", "train", "validation", "test"], rows), *aside])


def _limits(schema: Schema, data: DataSummary, verdicts: Sequence[Verdict]) -> str:
    few = [t.task for t in data.tasks if t.labelled.test < 100]
    lines = ["- Predictions hold for rows like those of the training data; categories never seen are read as missing."]
    kinds = {i.kind for i in schema.inputs}
    if InputKind.TEXT in kinds:
        lines.append("- Texts are read up to a limit of length; what comes after it is not seen.")
    if InputKind.ID in kinds:
        lines.append("- Ids that the training rows had less than twice are all read as one unseen id.")
    if any(task.where is not None for task in schema.tasks):
        lines.append("- A grouped task answers for the groups it was trained on; rows of other groups get no answer.")
    if few:
        shown = ", ".join(map(_plain, few[:10])) + (f" and {len(few) - 10} more" if len(few) > 10 else "")
        lines.append(f"- Fewer than 100 labelled test rows stand behind the score of: {shown}.")
    if any(v.outcome is Outcome.UNDECIDED for v in verdicts):
        lines.append("- Where there is not enough evidence, the route is a decision under risk, not a finding.")
    return "\n".join(lines)


def _provenance(design: DesignRecord, summary: StudySummary) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in summary.versions.items())
    lines = [
        f"- Data: SHA-256 `{summary.data_hash}`",
        f"- Design: SHA-256 `{summary.design_digest}`, budget {design.budget}, seed {design.seed}",
        f"- Runs: {summary.n_runs}, of which {summary.n_diverged} diverged",
        f"- Made: {summary.finished} with {versions}",
    ]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Text that neither ends a table cell nor becomes markup."""
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
    return " ".join(escaped.split())
