"""Architectures that a study asks for, tried on its tasks before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sharewise.errors import ConfigError, Problem, nearest
from sharewise.plan import Choice
from sharewise.tasks import TaskSet


def check(asked: Iterable[tuple[str, Choice]], tasks: TaskSet) -> None:
    """Build every (where it is asked for, architecture) for all tasks, at no cost.

    Raises ConfigError with the sizes that cannot be, names of tasks that are none, and tasks attached to a layer of
    an architecture that has none to attach to.
    """
    problems = [problem for where, choice in asked for problem in _problems(where, choice, tasks)]
    if problems:
        raise ConfigError(problems)


def _problems(where: str, choice: Choice, tasks: TaskSet) -> list[Problem]:
    from sharewise.models import sharing
    from sharewise.models.build import placed

    kind = sharing.CATALOGUE.load(choice.name)
    known = {*tasks.names, *(task.family for task in tasks if task.family is not None)}
    for key, said in choice.params.items():
        if isinstance(said, Mapping):
            if key not in kind.by_task:
                return [Problem(f"'{key}' of '{choice.name}' is one value for all tasks", f"{where} maps tasks to it")]
            unknown = [name for name in said if name not in known]
            if unknown:
                rule = f"'{key}' of '{choice.name}' names tasks of the study"
                return [
                    Problem(rule, f"{where} names '{name}', which is none", nearest(name, known)) for name in unknown
                ]
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
