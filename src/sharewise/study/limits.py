"""The limits of a search against the tasks that a study has: what is no task of it, contradicts, or binds nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sharewise.errors import ConfigError, Problem
from sharewise.grouping.constraints import constraints
from sharewise.study.search_section import SearchSection

Sets = tuple[tuple[str, ...], ...]


def check(
    said: SearchSection,
    names: Sequence[str],
    helpers: Collection[str] = (),
    families: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Raise ConfigError for limits that name no task of the study or contradict one another.

    `helpers` are the auxiliary ones of the tasks `names`: they may be kept apart, but take no part in the plans of a
    search. `families` are the tasks that a grouped declaration stands for.
    """
    whole = {} if families is None else {name: tasks for name, tasks in families.items() if name not in names}
    sets = [*said.together, *said.apart]
    problems = [
        Problem(
            "A constraint names single tasks",
            f"'{name}' stands for {len(tasks)} of them",
            f"Write {', '.join(repr(task) for task in tasks[:2])} and so on, as many as are meant",
        )
        for name, tasks in whole.items()
        if any(name in group for group in sets)
    ]
    problems += [
        Problem("A model answers tasks that are judged", f"'{name}' of 'together' is auxiliary", "Remove it there")
        for name in dict.fromkeys(n for group in said.together for n in group if n in helpers)
    ]
    if problems:
        raise ConfigError(problems)
    constraints(names, said.together, said.apart)
    judged = [name for name in names if name not in helpers]
    constraints(judged, said.together, among(judged, said.apart), said.max_models)


def among(names: Collection[str], sets: Sequence[Sequence[str]]) -> Sets:
    """The sets as they are among some tasks, those of one task left out."""
    left = (tuple(name for name in group if name in names) for group in sets)
    return tuple(group for group in left if len(group) > 1)


def standing(said: SearchSection, aside: Collection[str], log: Callable[[str], None]) -> SearchSection:
    """The section without tasks that the data set aside: what is never trained needs no limit."""
    gone = [name for name in dict.fromkeys(n for g in (*said.together, *said.apart) for n in g) if name in aside]
    if not gone:
        return said
    log(f"The search's limits stand without {', '.join(repr(name) for name in gone)}, set aside.")
    kept = {n for g in (*said.together, *said.apart) for n in g if n not in aside}
    return said.model_copy(update={"together": among(kept, said.together), "apart": among(kept, said.apart)})


def remarks(said: SearchSection, candidates: Mapping[str, Sequence[Sequence[str]]], *, searches: bool) -> list[str]:
    """Sentences on what the limits do not bind: anything where the study does not search, `candidates` (groups by name)
    of the study file that take tasks apart which 'together' ties."""
    return _split_up(said.together, candidates) if searches else _idle(said)


def _idle(said: SearchSection) -> list[str]:
    held = {
        "together": said.together,
        "max_models": said.max_models,
        "max_parameters": said.max_parameters,
        "max_latency": said.max_latency,
    }
    given = [f"'{name}'" for name, value in held.items() if value]
    if not given:
        return []
    shape = "shapes" if len(given) == 1 else "shape"
    return [f"{' and '.join(given)} of the search {shape} only plans that it finds, and this study does not search."]


def _split_up(tied: Sequence[Sequence[str]], candidates: Mapping[str, Sequence[Sequence[str]]]) -> list[str]:
    said = []
    for name, groups in candidates.items():
        home = {task: number for number, group in enumerate(groups) for task in group}
        cut = next((group for group in tied if len({home.get(task, f"alone {task}") for task in group}) > 1), None)
        if cut is not None:
            tasks = " and ".join(f"'{task}'" for task in cut)
            said.append(
                f"Candidate '{name}' has no one model for {tasks}: it is tried as it stands, 'together' of the search "
                "binds the plans that it finds."
            )
    return said
