"""Who is trained together: a plan is a partition of the tasks into groups that share one model each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Choice:
    """A catalogue name with the parameters that differ from its defaults."""

    name: str
    params: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Tasks that share one model."""

    name: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A partition of the tasks: groups are disjoint and none is empty.

    Single-task is the plan of singletons, full multi-task the plan of one group.
    """

    name: str
    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for group in self.groups:
            if not group.tasks:
                raise ValueError(
                    f"A group must hold a task; however, group '{group.name}' of plan '{self.name}' is empty."
                )
            for task in group.tasks:
                if task in seen:
                    raise ValueError(
                        f"A plan is a partition of the tasks; however, task '{task}' is in groups "
                        f"'{seen[task]}' and '{group.name}' of plan '{self.name}'."
                    )
                seen[task] = group.name

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task of the plan, group by group."""
        return tuple(task for group in self.groups for task in group.tasks)

    def group_of(self, task: str) -> Group:
        """The group that trains `task`."""
        for group in self.groups:
            if task in group.tasks:
                return group
        raise KeyError(f"Plan '{self.name}' has no task '{task}'.")

    @classmethod
    def single_task(cls, tasks: Iterable[str]) -> Plan:
        """Each task alone."""
        return cls("single", tuple(Group(f"single:{task}", (task,)) for task in tasks))

    @classmethod
    def all_together(cls, tasks: Iterable[str]) -> Plan:
        """All tasks in one group."""
        return cls("together", (Group("together", tuple(tasks)),))

    @classmethod
    def of(cls, name: str, groups: Sequence[Sequence[str]], tasks: Iterable[str]) -> Plan:
        """A plan from lists of task names; tasks that no list names stand alone."""
        named = {task for group in groups for task in group}
        made = [Group(f"single:{g[0]}" if len(g) == 1 else f"{name}:{i + 1}", tuple(g)) for i, g in enumerate(groups)]
        made += [Group(f"single:{task}", (task,)) for task in tasks if task not in named]
        return cls(name, tuple(made))
