"""The `transfer:` section of a study file: which tasks are learnt first, for which others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sharewise.errors import Problem, nearest
from sharewise.study.complaints import Lines
from sharewise.study.sections import Flag, Section, TaskSection, Text, Whole, problem_error

OFF = "off"
AUTO = "auto"
PRETRAINED = "pretrained"
"""The arm that pretrains on all tasks."""

Pair = Annotated[tuple[Text, ...], Field(min_length=2, max_length=2)]


class TransferSection(Section):
    """Networks of one task that start from weights other tasks have trained; off unless asked for.

    Short forms: `transfer: auto`, `transfer: off`, `transfer: [[FROM, TO], ...]`.
    """

    pretrained: Flag = Field(default=False, description="Pretrain on all tasks, then fine-tune each of them alone.")
    pairs: Literal["auto"] | tuple[Pair, ...] = Field(
        default=(),
        description="Pretrain on the first task, fine-tune on the second; auto: the largest task for the scarcest.",
    )
    most_pairs: Whole = Field(default=4, ge=1, description="At most so many pairs are chosen by auto.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: object) -> object:
        if said is False or said == OFF:
            return {}
        if said is True or said == AUTO:
            return {"pretrained": True, "pairs": AUTO}
        if not isinstance(said, list | tuple | dict):
            fact, remedy = (
                "it is empty" if said is None else f"it is {said!r}",
                "Write transfer: auto, or transfer: [[FROM, TO]]",
            )
            raise problem_error([Problem("'transfer' must be auto, off, pairs of tasks or a mapping", fact, remedy)])
        pairs = said if isinstance(said, list | tuple) else said.get("pairs")
        if isinstance(pairs, list | tuple):
            for n, pair in enumerate(pairs):
                if not isinstance(pair, list | tuple) or len(pair) != 2:
                    rule, fact = "A transfer names two tasks, [FROM, TO]", f"pair {n + 1} is {pair!r}"
                    raise problem_error([Problem(rule, fact, "Write transfer: [[FROM, TO]]")])
        return {"pairs": said} if isinstance(said, list | tuple) else said

    @property
    def wanted(self) -> bool:
        """Whether anything is transferred."""
        return self.pretrained or bool(self.pairs)


def problems(
    said: TransferSection,
    tasks: Sequence[TaskSection],
    lines: Lines,
    file: str | None,
    kept: Sequence[Sequence[str]] = (),
) -> list[Problem]:
    """What is wrong with the pairs, from the study file alone; no two tasks of a set that is `kept` apart make one."""
    if not said.wanted:
        return []
    if len(tasks) < 2 and not any(task.by for task in tasks):
        rule, remedy = "A transfer needs a task to learn from and another to learn", "Leave transfer out"
        return [Problem(rule, "the study has one task", remedy, file, lines.of("transfer"))]
    known = {task.name: task for task in tasks}
    found: list[Problem] = []
    seen: set[tuple[str, ...]] = set()
    for n, pair in enumerate(() if isinstance(said.pairs, str) else said.pairs):
        line = lines.at.get(("transfer", "pairs", n)) or lines.of("transfer", n)
        named = [(name, known.get(name) or known.get(name.partition("@")[0])) for name in pair]
        found += [
            Problem("A transfer is between tasks of the study", f"'{name}' is none", nearest(name, known), file, line)
            for name, task in named
            if task is None
        ]
        if pair in seen:
            found.append(Problem("A pair is named once", f"{_pair(pair)} is named twice", "Remove one", file, line))
        seen.add(pair)
        if pair[0] != pair[1] and any(set(pair) <= set(group) for group in kept):
            rule, fact = "Tasks that 'apart' names share no weights", f"{_pair(pair)} hands those of one to the other"
            found.append(Problem(rule, fact, "Remove the pair, or free the two", file, line))
        (_, source), (_, target) = named
        if source is not None and target is not None:
            found += [
                Problem(rule, fact, remedy, file, line) for rule, fact, remedy in _unfit(pair, source, target, known)
            ]
    return found


def _unfit(
    pair: tuple[str, ...], source: TaskSection, target: TaskSection, known: dict[str, TaskSection]
) -> list[tuple[str, str, str]]:
    """Rule, fact and remedy of what keeps one pair from being a transfer."""
    if pair[0] == pair[1]:
        return [("A transfer is between two tasks", f"{_pair(pair)} is one", "Name another task")]
    found = []
    if source.by is not None and pair[0] in known:
        fact = f"'{pair[0]}' stands for one task for each '{source.by}'"
        found.append(("A pair starts from one task", fact, f"Name one of them, '{pair[0]}@GROUP', or pretrained: true"))
    if target.auxiliary:
        fact = f"'{pair[1]}' is auxiliary: nobody asks it"
        found.append(("A transfer ends at a task that is judged", fact, "Turn the pair round"))
    if source.inputs and target.inputs and not set(source.inputs) & set(target.inputs):
        fact = f"'{pair[0]}' reads {_names(source.inputs)} and '{pair[1]}' reads {_names(target.inputs)}"
        found.append(("A transfer needs an input that both tasks read", fact, "Remove the pair"))
    return found


def _pair(pair: Sequence[str]) -> str:
    return f"[{', '.join(pair)}]"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
