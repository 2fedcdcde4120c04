"""The study file: what is in the table, what to predict, what to try. Checked whole before anything heavy loads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationError

from sharewise.errors import ConfigError, Problem, nearest
from sharewise.models.alternatives import DEFAULT as ALTERNATIVES
from sharewise.plan import Choice, Plan
from sharewise.study import architectures, balancing
from sharewise.study.choices import ARCHITECTURE
from sharewise.study.complaints import Lines, problems_of
from sharewise.study.search_section import FOUND, SearchSection
from sharewise.study.sections import (
    AuditSection,
    BalanceSection,
    BudgetSection,
    CandidateSection,
    DataSection,
    EncodersSection,
    Flag,
    InputSection,
    Section,
    SplitSection,
    TaskSection,
    Text,
    TuningSection,
    Whole,
    chosen,
    known_alternatives,
    listed_inputs,
)
from sharewise.study.source import parse
from sharewise.study.transfer_section import PRETRAINED, TransferSection
from sharewise.study.transfer_section import problems as transfer_problems
from sharewise.tables.schema import Declaration, InputDeclaration, TaskDeclaration
from sharewise.tasks import TaskKind, TaskSet

if TYPE_CHECKING:
    from sharewise.tables.read import Table
    from sharewise.tables.split import SplitSpec

RESERVED = ("single", "together", "search", PRETRAINED, *FOUND)
"""Names of the candidates that every study has."""
IN_MEMORY = "in memory"
"""What stands for the path of a table that came from no file."""


class StudyFile(Section):
    """A study as declared. Only `data` and `tasks` are required."""

    data: DataSection
    split: SplitSection = SplitSection()
    inputs: Annotated[tuple[InputSection, ...], BeforeValidator(listed_inputs), Field(min_length=1)] | None = None
    encoders: EncodersSection = EncodersSection()
    tasks: Annotated[tuple[TaskSection, ...], Field(min_length=1)]
    candidates: tuple[CandidateSection, ...] = ()
    alternatives: Annotated[
        tuple[Text, ...],
        AfterValidator(known_alternatives),
        Field(description="Models of another kind that sharing is measured against, tuned and judged alike."),
    ] = ALTERNATIVES
    architecture: Annotated[Choice, chosen(ARCHITECTURE)] = Choice("hard")
    balance: BalanceSection = BalanceSection()
    search: SearchSection = SearchSection()
    transfer: TransferSection = TransferSection()
    ship_ensembles: Flag = Field(
        default=False, description="Let the mean of a task's runs answer it where that is shown to be better."
    )
    budget: BudgetSection = BudgetSection()
    tuning: TuningSection = TuningSection()
    audit: AuditSection = AuditSection()
    seed: Annotated[Whole, Field(ge=0)] = 0
    out: Text | None = None
    revision: Annotated[Whole, Field(ge=0, description="Raise it to confirm with fresh seeds.")] = 0
    auto_remedy: Flag = Field(default=False, description="Explain what is harmed, and run a study of the remedy.")

    _file: str | None = PrivateAttr(None)
    _lines: Lines = PrivateAttr(default_factory=Lines)

    @classmethod
    def from_dict(cls, said: Mapping[str, Any], *, file: str | None = None, lines: Lines | None = None) -> Self:
        """A study from plain data; raises ConfigError with every problem, each with its line where it is known."""
        lines = lines or Lines()
        problems: list[Problem] = []
        made: Self | None = None
        try:
            made = cls.model_validate(said)
        except ValidationError as error:
            problems = problems_of(error, cls, lines, file)
        problems += _across(said, lines, file)
        problems += [] if made is None else _balanced(made, lines, file)
        problems += [] if made is None else transfer_problems(made.transfer, made.tasks, lines, file, made.search.apart)
        problems += [] if made is None else _weighed(made, lines, file)
        problems += [] if made is None else _limited(made, lines, file)
        problems += [] if made is None else _named_by_architectures(made, lines, file)
        if made is None or problems:
            raise ConfigError(sorted(problems, key=lambda p: p.line or 0))
        made._file = file
        made._lines = lines
        return made

    @property
    def file(self) -> str | None:
        """The file that this study was read from."""
        return self._file

    @property
    def data_path(self) -> str:
        """Path of the table; a relative path is relative to the study file."""
        path = Path(self.data.path)
        if path.is_absolute() or self._file is None:
            return str(path)
        return str(Path(self._file).parent / path)

    def with_budget(self, level: str) -> Self:
        """The same study at another budget level; numbers that the file sets itself stay."""
        budget = BudgetSection.model_validate({**self.budget.model_dump(), "level": level})
        made = self.model_copy(update={"budget": budget})
        made._file, made._lines = self._file, self._lines
        return made

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` turns into an equal study."""
        return _plain(self.model_dump(mode="python", exclude_none=True))  # type: ignore[no-any-return]

    # --- for the rooms below ----------------------------------------------------------------------------------

    def declaration(self, table: Table | None = None) -> Declaration:
        """What the file says about the table's columns.

        Where it names no inputs or roles and the table describes itself (schema metadata), the table's word counts.
        """
        from sharewise.tables import described

        own = described.declaration(table.described, table.names) if table is not None and table.described else None
        lines = self._lines
        inputs = None
        if self.inputs is not None:
            inputs = tuple(made for n, i in enumerate(self.inputs) for made in self._input(n, i))
        elif own is not None and own.inputs is not None:
            predicted = [t for t in self.tasks if t.kind is not TaskKind.RECONSTRUCTION]
            targets = {c for t in predicted for c in (*t.columns, t.column or t.name)}
            inputs = tuple(i for i in own.inputs if i.name not in targets)
        data = self.data
        split = self.split.column
        if split is None and own is not None and self.split.by == "auto":
            split = own.split
        roles = {key: lines.of("data", key) for key in ("id", "time", "group", "entity")} | {
            "split": lines.of("split", "column")
        }
        return Declaration(
            tasks=tuple(self._task(n, t) for n, t in enumerate(self.tasks)),
            inputs=inputs,
            row_id=data.id or (own.row_id if own else None),
            split=split,
            time=data.time or (own.time if own else None),
            group=data.group or (own.group if own else None),
            entity=data.entity,
            text=self.encoders.text,
            image=self.encoders.image,
            tokens=self.encoders.tokens,
            file=self._file,
            lines={role: line for role, line in roles.items() if line is not None},
        )

    def _input(self, n: int, said: InputSection) -> list[InputDeclaration]:
        """One column, or a pair's two."""
        line = self._lines.of("inputs", n)
        first, *also = said.encoder or (None,)
        read = [InputDeclaration(c, said.kind, line, first, said.name, also=tuple(also)) for c in said.columns]
        return read or [InputDeclaration(said.name, said.kind, line, first, also=tuple(also))]

    def _task(self, n: int, said: TaskSection) -> TaskDeclaration:
        return TaskDeclaration(
            name=said.name,
            kind=said.kind,
            columns=said.columns or ((said.column,) if said.column else ()),
            metric=said.metric,
            margin=said.margin,
            classes=said.classes,
            positive=said.positive,
            transform=said.transform,
            class_weights=said.class_weights,
            weight=said.weight,
            primary=said.primary,
            by=said.by,
            inputs=said.inputs,
            auxiliary=said.auxiliary,
            at_layer=said.at_layer or 0,
            parent=None if said.parent is None else said.parent.task,
            parent_classes=None if said.parent is None else said.parent.classes,
            line=self._lines.of("tasks", n),
        )

    def split_spec(self) -> SplitSpec:
        """How to split, as `sharewise.tables.split.split` takes it."""
        from sharewise.tables.split import SplitSpec

        return SplitSpec(self.split.by, self.split.validation, self.split.test)

    @property
    def architectures(self) -> list[architectures.Asked]:
        """Every architecture that the file asks for."""
        asked = [architectures.Asked("the study", self.architecture, ("architecture",))]
        return asked + [
            architectures.Asked(f"candidate '{c.name}'", c.architecture, ("candidates", n, "architecture"))
            for n, c in enumerate(self.candidates)
            if c.architecture is not None
        ]

    def check_architectures(self, tasks: TaskSet, aside: Collection[str]) -> None:
        """Raises ConfigError where an architecture cannot be built for the table's tasks; some are set `aside`."""
        architectures.check(self.architectures, tasks, aside, self._lines, self._file)

    def plan(self, candidate: CandidateSection, tasks: TaskSet) -> Plan:
        """A candidate's plan over the resolved tasks: the name of a grouped declaration stands for all its tasks;
        tasks that were set aside are left out."""
        families: dict[str, list[str]] = {}
        for task in tasks:
            families.setdefault(task.family or task.name, []).append(task.name)
            if task.family is not None:
                families[task.name] = [task.name]
        if candidate.groups is None:
            return Plan.all_together(tasks.names)
        groups = [[t for name in group for t in families.get(name, ())] for group in candidate.groups]
        return Plan.of(candidate.name, [g for g in groups if g], tasks.names)


def load(path: str | Path) -> StudyFile:
    """The study that a YAML file declares; raises ConfigError with every problem, each with file and line."""
    said, lines = parse(str(path))
    return StudyFile.from_dict(said, file=str(path), lines=lines)


def _across(said: Mapping[str, Any], lines: Lines, file: str | None) -> list[Problem]:
    """Problems between sections, looked for in plain data so that they show beside the sections' own."""
    found: list[Problem] = []
    tasks = said.get("tasks")
    entries = list(enumerate(tasks)) if isinstance(tasks, list | tuple) else []
    listed = [(n, t.get("name") if isinstance(t, Mapping) else t) for n, t in entries]
    names = [(n, name) for n, name in listed if isinstance(name, str)]
    seen: set[str] = set()
    for n, name in names:
        if name in seen:
            found.append(
                Problem(
                    "Task names must be unique",
                    f"'{name}' occurs twice",
                    "Rename one of them",
                    file,
                    lines.of("tasks", n, "name"),
                )
            )
        seen.add(name)
    known = {name for _, name in names}
    candidates = said.get("candidates")
    used: set[str] = set()
    for n, candidate in enumerate(candidates if isinstance(candidates, list | tuple) else ()):
        if not isinstance(candidate, Mapping):
            continue
        name = str(candidate.get("name"))
        line = lines.of("candidates", n, "name")
        if name in RESERVED or name in used:
            fact = f"'{name}' is the name of one that every study has" if name in RESERVED else f"'{name}' occurs twice"
            found.append(Problem("Candidate names must be unique", fact, "Rename it", file, line))
        used.add(name)
        found += _groups(n, candidate, known, lines, file)
    return found


def _weighed(made: StudyFile, lines: Lines, file: str | None) -> list[Problem]:
    """Weights of the tuning's objective whose task the study does not have."""
    said, known = made.tuning.objective, [task.name for task in made.tasks]
    rule, line = "A weight of tuning's objective is for a task of the study", lines.of("tuning", "objective")
    return [
        Problem(rule, f"'{name}' is none", nearest(name, known), file, line)
        for name in ([] if isinstance(said, str) else said)
        if name not in known and name.partition("@")[0] not in known
    ]


def _limited(made: StudyFile, lines: Lines, file: str | None) -> list[Problem]:
    """Limits of the search that name no task of the study or contradict one another."""
    said = made.search
    if not (said.together or said.apart) or any(task.by is not None for task in made.tasks):
        # What a grouped task stands for is known when the table is.
        return []
    from sharewise.study.limits import check

    try:
        check(said, [task.name for task in made.tasks], [task.name for task in made.tasks if task.auxiliary])
    except ConfigError as error:
        return [replace(problem, file=file, line=lines.of("search")) for problem in error.problems]
    return []


def _named_by_architectures(made: StudyFile, lines: Lines, file: str | None) -> list[Problem]:
    """Tasks that an architecture's settings name and the study does not have."""
    known, grouped = [task.name for task in made.tasks], [task.name for task in made.tasks if task.by is not None]
    return [p for asked in made.architectures for p in architectures.unknown(asked, known, lines, file, grouped)]


def _balanced(study: StudyFile, lines: Lines, file: str | None) -> list[Problem]:
    """Balances speak of the study's tasks, and a sweep is a candidate."""
    known = [task.name for task in study.tasks]
    places: list[tuple[BalanceSection | None, tuple[str | int, ...]]] = [(study.balance, ("balance",))]
    places += [(c.balance, ("candidates", n, "balance")) for n, c in enumerate(study.candidates)]
    found = []
    for section, path in places:
        said = {} if section is None else section.plain()
        problems = balancing.unknown_tasks(said, known)
        if "sweep" in said and path == ("balance",):
            remedy = "Write candidates: [{name: sweep, balance: {sweep: 5}}]"
            problems.append(Problem("A sweep is a family of candidates", "it is the balance of all of them", remedy))
        if said.get("checkpoint") == "primary" and not any(task.primary for task in study.tasks):
            remedy = "Write primary: true on one of the tasks"
            problems.append(Problem("The primary task's checkpoint needs a primary task", "none is declared", remedy))
        found += [replace(p, file=file, line=lines.of(*path)) for p in problems]
    names = {candidate.name for candidate in study.candidates}
    for n, candidate in enumerate(study.candidates):
        points = 0 if candidate.balance is None else candidate.balance.sweep or 0
        for made in sorted({f"{candidate.name} {i}" for i in range(1, points + 1)} & names):
            fact = f"the sweep '{candidate.name}' makes a '{made}' too"
            line = lines.of("candidates", n, "name")
            found.append(Problem("Candidate names must be unique", fact, "Rename one of them", file, line))
    return found


def _groups(n: int, candidate: Mapping[str, Any], known: set[str], lines: Lines, file: str | None) -> list[Problem]:
    """A candidate is a partition of known tasks."""
    found: list[Problem] = []
    groups = candidate.get("groups")
    placed: set[str] = set()
    for g, group in enumerate(groups if isinstance(groups, list | tuple) else ()):
        for task in group if isinstance(group, list | tuple) else ():
            line = lines.of("candidates", n, "groups", g)
            if not isinstance(task, str):
                continue
            if task.partition("@")[0] not in known and task not in known:
                found.append(
                    Problem(
                        "A candidate groups tasks of the study", f"'{task}' is none", nearest(task, known), file, line
                    )
                )
            if task in placed:
                fact = f"'{task}' occurs twice in candidate '{candidate.get('name')}'"
                found.append(Problem("A task is in one group of a candidate", fact, "Remove one", file, line))
            placed.add(task)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Choice):
        return {"name": value.name, **value.params}
    if isinstance(value, Mapping):
        if set(value) == {"name", "params"} and isinstance(value["params"], Mapping):
            return {"name": value["name"], **{str(k): _plain(v) for k, v in value["params"].items()}}
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.value if isinstance(value, StrEnum) else value
