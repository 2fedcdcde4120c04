"""Architectures that a study asks for, tried on its tasks before anything is trained."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from sharewise.errors import ConfigError, Problem, nearest
from sharewise.plan import Choice
from sharewise.study.complaints import Lines, Step
from sharewise.tasks import TaskSet


@dataclass(frozen=True)
class Asked:
    """An architecture, where it is asked for in words, and the path of the study file that asks for it."""

    where: str
    choice: Choice
    path: tuple[Step, ...] = ()


def unknown(
    asked: Asked, known: Collection[str], lines: Lines, file: str | None, grouped: Collection[str] = ()
) -> list[Problem]:
    """Tasks that an architecture names and that are not `known`; nothing is imported to tell.

    What the `grouped` declarations stand for is known when the table is: NAME@GROUP passes until then.
    """
    return [
        Problem(
            f"'{key}' of '{asked.choice.name}' names tasks of the study",
            f"{asked.where} names '{name}', which is none",
            nearest(str(name), known),
            file,
            lines.of(*asked.path, key, name),
        )
        for key, said in asked.choice.params.items()
        if isinstance(said, Mapping)
        for name in said
        if name not in known and str(name).partition("@")[0] not in grouped
    ]


def check(
    asked: Iterable[Asked],
    tasks: TaskSet,
    aside: Collection[str] = (),
    lines: Lines | None = None,
    file: str | None = None,
) -> None:
    """Build every architecture for all tasks, at no cost; tasks set `aside` may be named and are left out.

    Raises ConfigError with the sizes that cannot be, names of tasks that are none, and tasks attached to a layer of
    an architecture that has none to attach to, each with its line of the study file.
    """
    lines = lines or Lines()
    known = {*tasks.names, *(task.family for task in tasks if task.family is not None)}
    known |= {*aside, *(name.partition("@")[0] for name in aside)}
    problems: list[Problem] = []
    for item in asked:
        found = unknown(item, known, lines, file)
        attached = [line for path, line in lines.at.items() if path[0] == "tasks" and path[2:] == ("at_layer",)]
        line = lines.of(*item.path) or min(attached, default=None)
        problems += found or [replace(p, file=file, line=line) for p in _problems(item.where, item.choice, tasks)]
    if problems:
        raise ConfigError(problems)


def _problems(where: str, choice: Choice, tasks: TaskSet) -> list[Problem]:
    from sharewise.models import sharing
    from sharewise.models.build import placed

    kind = sharing.CATALOGUE.load(choice.name)
    for key, said in choice.params.items():
        if isinstance(said, Mapping) and key not in kind.by_task:
            return [Problem(f"'{key}' of '{choice.name}' is one value for all tasks", f"{where} maps tasks to it")]
    layers = [task.at_layer for task in tasks]
    extra = {}
    if any(layers) and len(layers) > 1:
        if "at_layer" not in {p.name for p in sharing.CATALOGUE.parameters(choice.name)}:
            named = next(task.name for task in tasks if task.at_layer)
            fact = f"task '{named}' is attached to a layer, and {where} is '{choice.name}'"
            able = [n for n in sharing.CATALOGUE if "at_layer" in {p.name for p in sharing.CATALOGUE.parameters(n)}]
            rule = f"A task is attached to a layer of one trunk, which {', '.join(able)} have"
            return [Problem(rule, fact, f"Remove at_layer, or write {able[0]}")]
        extra = {"at_layer": layers}
    try:
        params = placed(choice, tasks.tasks).params
        sharing.CATALOGUE.build(choice.name, n_in=2, n_slots=len(tasks), **{**params, **extra})
    except ValueError as error:
        rule, _, fact = str(error).rstrip(".").partition("; however, ")
        return [Problem(rule, f"{fact} in {where}")]
    return []
