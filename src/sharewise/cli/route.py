"""`sharewise route`: show or change who answers a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sharewise.bundle.routes import Address, Reroute, Retired

if TYPE_CHECKING:
    from sharewise.bundle import Bundle
    from sharewise.errors import Problem


@click.command("route", short_help="Show or change which model of a bundle answers a task.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("tasks", nargs=-1)
@click.option("--to", "goal", help="Model that answers from now on: GROUP, GROUP@REVISION, or single, the task's own.")
@click.option("--all", "every", is_flag=True, help="All tasks that the model can answer and does not yet.")
@click.option("--reason", "-r", help="Why; kept with the change.")
def command(bundle: Path, tasks: tuple[str, ...], goal: str | None, every: bool, reason: str | None) -> None:
    """Show who answers each task of BUNDLE and who else could, or let another of its models answer TASKS.

    Nothing is trained and nothing is lost: the change is a line appended to routes.jsonl, undone by another.
    """
    from sharewise.bundle import Bundle

    held = Bundle.load(bundle)
    _known(held, tasks)
    if goal is None:
        _show(held, tasks)
        return
    changes = _changes(held, tasks, goal, every, reason)
    from sharewise.bundle import append_route

    append_route(bundle, *changes)
    for change in changes:
        click.echo(f"{change.task}: {_name(held.routes.addresses().get(change.task))} -> {_name(change.to)}")
    if not changes:
        click.echo(f"Nothing to change: every task that '{goal}' can answer is answered by it.")


def _known(held: Bundle, tasks: tuple[str, ...]) -> None:
    from sharewise.errors import BundleError, Problem, nearest

    rule = "A task that is routed must be in the bundle"
    wrong = [Problem(rule, f"'{t}' is not", nearest(t, held.tasks.names)) for t in tasks if t not in held.tasks]
    if wrong:
        raise BundleError(wrong)


def _show(held: Bundle, tasks: tuple[str, ...]) -> None:
    """One line a task: who answers, and who else could."""
    now = held.routes.addresses()
    for task in tasks or held.tasks.names:
        others = [_name(a) for a, model in held.artifacts.items() if task in model.tasks and a != now.get(task)]
        also = f"; could be answered by {', '.join(sorted(others))}" if others else ""
        click.echo(f"{task}: {_name(now.get(task))}{also}")


def _changes(held: Bundle, tasks: tuple[str, ...], goal: str, every: bool, reason: str | None) -> list[Reroute]:
    """The routes to append; raises BundleError with every one that cannot be, UsageError where too little is said."""
    from datetime import UTC, datetime

    from sharewise.errors import BundleError

    if bool(tasks) == every:
        raise click.UsageError("A change names its tasks, or all of them with --all; however, it names both or none.")
    if not reason:
        raise click.UsageError("A change of route keeps its reason; however, none is given. Add --reason TEXT.")
    made, wrong = [], []
    now, when = held.routes.addresses(), datetime.now(UTC).isoformat(timespec="seconds")
    for task in tasks or held.tasks.names:
        to = _address(held, task, goal)
        if to is None:
            wrong.append(_unknown(held, task, goal))
        elif to != now.get(task):
            evidence = {"by": "sharewise route", "before": _name(now.get(task))}
            made.append(Reroute(task, to, reason, when, evidence))
    if wrong and (tasks or len(wrong) == len(held.tasks)):
        raise BundleError(wrong)
    return made


def _address(held: Bundle, task: str, goal: str) -> Address | None:
    """The model that is meant, in its newest revision where none is named; None where it cannot answer the task."""
    group, _, revision = goal.rpartition("@") if goal.rpartition("@")[2].isdigit() else (goal, "", "")
    if group == "single":
        own = f"single:{task}"
        spare = held.provenance.get("fallbacks", {})
        group = spare.get(task, own) if isinstance(spare, dict) else own
    found = [a for a, model in held.artifacts.items() if a.group == group and task in model.tasks]
    found = [a for a in found if not revision or a.revision == int(revision)]
    return max(found, key=lambda a: a.revision, default=None)


def _unknown(held: Bundle, task: str, goal: str) -> Problem:
    from sharewise.errors import Problem

    known = sorted(_name(a) for a, model in held.artifacts.items() if task in model.tasks)
    return Problem(
        "A task is routed to a model of the bundle that can answer it",
        f"'{goal}' cannot answer '{task}'",
        f"Those that can: {', '.join(known)}",
        file=str(held.path),
    )


def _name(to: Address | Retired | None) -> str:
    """How a model is named on the command line; the first revision needs no number."""
    if not isinstance(to, Address):
        return "nobody"
    return to.group if to.revision == 1 else f"{to.group}@{to.revision}"
