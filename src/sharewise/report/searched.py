"""What the search has to say in the decision document: where the plan comes from, and who helps whom in it."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.records import GroupingRecord, Phase
from sharewise.report import words
from sharewise.report.affinity import CLEAR
from sharewise.report.load import StudyRecords
from sharewise.report.rows import TaskRow
from sharewise.report.sentences import Sentence


def origin(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """What the search found: the confirmed plan with its forecast, or nothing worth training."""
    g = records.grouping
    if g is None:
        return None
    for number, plan in enumerate(g.plans):
        if plan.name == records.confirmed and g.suggested:
            text = (
                f"'{plan.name}' was suggested by the {g.method} scores of one joint run: a hypothesis, which only the "
                "runs of the plan itself, and the test rows, could bear out."
            )
            return Sentence(
                "search suggested", text, (f"grouping.json#/plans/{number}/groups", "grouping.json#/method")
            )
        if plan.name == records.confirmed:
            known = plan.n_groups or g.n_groups
            which = ""
            if len(g.plans) > 1:
                which = f", as number {number + 1} of {len(g.plans)} plans found one after the other"
            text = (
                f"'{plan.name}' was proposed by the search{which}: {words.plural(known, 'group')} of tasks, trained "
                f"together{_sampled(records, known)}, gave a model of who helps whom, which foresaw a mean change of "
                f"{_margins(plan.gain)} over all {words.plural(len(g.tasks), 'task')} (standard error {plan.sd:.2f}) "
                "before the plan was trained."
            )
            at = (f"grouping.json#/plans/{number}", f"grouping.json#/plans/{number}/n_groups", "grouping.json#/plans")
            return Sentence("search found", text, at)
    if not g.plans and g.reason:
        text = f"A search for a better plan proposed none. {g.reason.replace('(-', f'({words.MINUS}')}"
        if "margins" in g.reason:
            text += " A margin is the change that counts as harm."
        return Sentence("search ended", text, ("grouping.json#/reason",))
    return None


def _sampled(records: StudyRecords, known: int) -> str:
    """How many of the groups were sampled for the search; the others are of candidates that were trained anyway."""
    sampled = len({run.group for run in records.runs if run.phase is Phase.SEARCH})
    return f" ({words.count(sampled)} of them for the search alone)" if sampled < known else ""


def kinship(records: StudyRecords, rows: Sequence[TaskRow]) -> Sentence | None:
    """The clearest help inside the confirmed plan's groups and the clearest harm between them, as the search has it."""
    g = records.grouping
    plan = None if g is None else next((p for p in g.plans if p.name == records.confirmed), None)
    if g is None or plan is None or not g.helps:
        return None
    group = {task: number for number, members in enumerate(plan.groups) for task in members}
    pairs = [(k, j) for k in range(len(g.tasks)) for j in range(len(g.tasks)) if k != j]
    together = [p for p in pairs if group[g.tasks[p[0]]] == group[g.tasks[p[1]]]]
    inside = max(together, key=lambda p: _clearness(g, *p), default=None)
    across = min((p for p in pairs if p not in together), key=lambda p: _clearness(g, *p), default=None)
    said, sources = [], []
    if inside is not None and _clearness(g, *inside) > CLEAR:
        said.append(f"inside its groups the clearest help is {_effect(g, *inside)}")
        sources.append(inside)
    if across is not None and _clearness(g, *across) < -CLEAR:
        said.append(f"between groups the clearest harm, avoided, is {_effect(g, *across)}")
        sources.append(across)
    if not said:
        return None
    text = f"By the search's estimates on validation rows, {words.parts(said)}."
    at = [f"grouping.json#/{table}/{k}/{j}" for k, j in sources for table in ("helps", "helps_sd")]
    return Sentence("kinship", text, tuple(at))


def _clearness(g: GroupingRecord, task: int, partner: int) -> float:
    return g.helps[task][partner] / max(g.helps_sd[task][partner], 1e-9)


def _effect(g: GroupingRecord, task: int, partner: int) -> str:
    helps, sd = g.helps[task][partner], g.helps_sd[task][partner]
    return f"that of {g.tasks[partner]} to {g.tasks[task]} ({_margins(helps)}, standard error {sd:.2f})"


def _margins(value: float) -> str:
    return f"{value:+.2f} margins".replace("-", words.MINUS)
