"""A declaration and a table -> Schema: kinds inferred, classes listed, grouped tasks expanded, every problem named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from sharewise import metrics
from sharewise.errors import DataError, Problem, nearest
from sharewise.tables import classes as labels
from sharewise.tables import columns as col
from sharewise.tables import hierarchy, images, infer, pictures, sentences, shapes, suspicion, tags, texts, tokens
from sharewise.tables.read import Table
from sharewise.tables.readings import misplaced
from sharewise.tables.schema import (
    Declaration,
    Input,
    InputDeclaration,
    InputKind,
    Schema,
    TaskDeclaration,
)
from sharewise.tasks import Label, Task, TaskKind, TaskSet, span_types

MAX_GROUPS = 2000
REBUILDABLE = (InputKind.NUMERIC, InputKind.BOOLEAN, InputKind.EMBEDDING)


@dataclass(frozen=True)
class Resolution:
    """A schema, and in sentences what was inferred or left out on the way."""

    schema: Schema
    notes: tuple[str, ...]


def resolve(table: Table, declaration: Declaration) -> Resolution:
    """Settle what the table's columns are; raises DataError with every problem found."""
    return _Resolver(table, declaration).run()


def settle(table: Table, declaration: Declaration) -> list[Task]:
    """The tasks alone; raises DataError where the labels contradict what is declared."""
    resolver = _Resolver(table, declaration)
    tasks = resolver.tasks()
    if resolver.problems:
        raise DataError(resolver.problems)
    return tasks


class _Resolver:
    """Collects problems and notes while it walks the declaration."""

    def __init__(self, table: Table, declaration: Declaration) -> None:
        self.table = table
        self.said = declaration
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.checked: dict[str, list[Problem]] = {}

    def run(self) -> Resolution:
        for role, column in self.said.roles.items():
            self.has(column, self.said.lines.get(role))
        tasks = self.tasks()
        inputs = self.inferred_inputs() if self.said.inputs is None else self.given_inputs(self.said.inputs)
        self.rebuildable(tasks, inputs)
        self.tagged(tasks, inputs)
        self.read_by_tasks(inputs)
        if not inputs and not self.problems:
            self.add(
                "A study needs an input", f"no column of {self.table.name} can be one", "Name columns under inputs"
            )
        if self.problems:
            raise DataError(self.problems)
        said = self.said
        roles = (said.row_id, said.split, said.time, said.group, said.entity)
        return Resolution(Schema(tuple(inputs), TaskSet(tuple(tasks)), *roles), tuple(self.notes))

    def add(self, rule: str, fact: str, remedy: str = "", line: int | None = None, column: str | None = None) -> None:
        self.problems.append(Problem(rule, fact, remedy, self.said.file, line, column))

    def take(self, problems: Iterable[Problem], line: int | None) -> None:
        """Problems of a column, placed where the column is declared."""
        file = self.said.file or self.table.name
        for problem in problems:
            # A row is one of the table; everything else is to be mended in the study file.
            of_table = problem.row is not None
            placed = {"file": self.table.name} if of_table else {"file": file, "line": line}
            self.problems.append(replace(problem, **placed))

    def has(self, column: str, line: int | None) -> bool:
        if column not in self.table.names:
            self.take([self.table.no_column(column)], line)
        return column in self.table.names

    # --- inputs -------------------------------------------------------------------------------------------

    def given_inputs(self, declared: tuple[InputDeclaration, ...]) -> list[Input]:
        """Declared inputs, their kinds inferred where they are not given."""
        targets = {c: t.name for t in self.said.tasks if t.kind is not TaskKind.RECONSTRUCTION for c in _columns(t)}
        made: dict[str, Input] = {}
        for said in declared:
            if not self.has(said.name, said.line):
                continue
            kind = said.kind or infer.input_kind(self.table.column(said.name))
            rule = "An input must be of a kind that an encoder reads"
            if said.name in made:
                remedy = "Remove one; several encoders of one text are a list, encoder: [embedded, ngrams]"
                self.add("A column is read as one input", f"'{said.name}' is named twice", remedy, said.line)
            elif said.name in targets:
                fact = f"it is an input and the target of task '{targets[said.name]}'"
                self.add("A target may not be an input", fact, "Remove it from inputs", said.line, said.name)
            elif kind is None:
                fact = f"it is of type {self.table.column(said.name).type}"
                self.add(rule, fact, "Remove it from inputs", said.line, said.name)
            elif self.fits(said, kind):
                made[said.name] = self.input(said.name, kind, said)
        return list(made.values())

    def input(self, name: str, kind: InputKind, said: InputDeclaration | None = None) -> Input:
        """An input, with how it is read where its kind leaves a choice."""
        own = said.encoder if said is not None else None
        if kind is InputKind.IMAGE:
            return Input(name, kind, own or self.said.image or images.default())
        if kind is InputKind.TOKENS:
            return Input(name, kind, own or self.said.tokens, separated=said is not None and said.separated)
        if kind is not InputKind.TEXT:
            return Input(name, kind)
        choice = own or self.said.text
        if choice is None:
            choice = texts.default()
            better = "" if choice.name == "embedded" else "; the extra 'embedded' brings a stronger one"
            self.notes.append(f"Text '{name}' is read by '{choice.name}', the default here{better}.")
        pair, also = (said.pair, said.also) if said is not None else (None, ())
        return Input(name, kind, choice, pair, also=also)

    def fits(self, said: InputDeclaration, kind: InputKind) -> bool:
        """True where every value of the column can be read as `kind`."""
        try:
            _readable(self.table.column(said.name), said.name, kind)
            self.check_encoder(said, kind)
        except DataError as error:
            self.take([replace(p, column=p.column or said.name) for p in error.problems], said.line)
            return False
        return True

    def check_encoder(self, said: InputDeclaration, kind: InputKind) -> None:
        """Raises DataError where an encoder does not read the kind that a column turns out to be of, or cannot be had;
        asked once a choice, whatever the columns."""
        named = () if said.encoder is None else (said.encoder, *said.also)
        for choice in named if said.kind is None else ():
            why = misplaced(choice.name, kind, several=len(named) > 1)
            if why is not None:
                rule = f"The encoder of input '{said.name}' must fit its kind"
                fact = f"the kind is not given, the column looks like {kind.value}, and {why}"
                raise DataError(Problem(rule, fact, "Write the kind that is meant, or remove 'encoder'"))
        match kind:
            case InputKind.TEXT:
                asked = named or (self.said.text or texts.default(),)
                checks = [texts.CATALOGUE.build(c.name, **c.params).check for c in asked]
            case InputKind.TOKENS:
                asked = named or (self.said.tokens or sentences.default(),)
                checks = [sentences.CATALOGUE.build(c.name, **c.params).check_sentences for c in asked]
            case InputKind.IMAGE:
                asked = named or (self.said.image or images.default(),)
                checks = [images.CATALOGUE.build(c.name, **c.params).check for c in asked]
            case _:
                return
        for choice, check in zip(asked, checks, strict=True):
            key = f"{kind}: {choice}"
            if key not in self.checked:
                try:
                    check()
                    self.checked[key] = []
                except DataError as error:
                    self.checked[key] = list(error.problems)
            if self.checked[key]:
                raise DataError(self.checked[key])

    def inferred_inputs(self) -> list[Input]:
        """Every column that is nothing else and that nothing speaks against; what is left out is noted."""
        used = set(self.said.roles.values()) - {self.said.group, self.said.entity}
        targets = {c: None for t in self.said.tasks if t.kind is not TaskKind.RECONSTRUCTION for c in _columns(t)}
        rest = [name for name in self.table.names if name not in used and name not in targets]
        kinds = {name: infer.input_kind(self.table.column(name)) for name in rest}
        left_out = suspicion.reasons(self.table, kinds, [c for c in targets if c in self.table.names])
        self.notes += [f"Column '{name}' is left out of the inputs: {why}." for name, why in left_out.items()]
        return [
            self.input(name, kind)
            for name, kind in kinds.items()
            if name not in left_out and kind is not None and self.fits(InputDeclaration(name), kind)
        ]

    def read_by_tasks(self, inputs: list[Input]) -> None:
        """A task reads inputs of the study."""
        known = {name for i in inputs for name in (i.name, i.pair) if name is not None}
        for task in self.said.tasks:
            for name in task.inputs:
                if name not in known:
                    fact = f"'{name}' of task '{task.name}' is none"
                    self.add("A task reads inputs of the study", fact, nearest(name, known), task.line)

    def rebuildable(self, tasks: list[Task], inputs: list[Input]) -> None:
        """Reconstruction asks for numeric, boolean or embedding inputs, or pictures whose pixels the table holds."""
        kinds = {i.name: i.kind for i in inputs}
        lines = {t.name: t.line for t in self.said.tasks}
        for task in tasks:
            if task.kind is not TaskKind.RECONSTRUCTION:
                continue
            for column in task.columns:
                pixels = kinds.get(column) is InputKind.IMAGE and not pictures.is_encoded(
                    self.table.column(column).type
                )
                if kinds.get(column) not in REBUILDABLE and not pixels:
                    what = kinds[column].value if column in kinds else "no input"
                    self.add(
                        "A reconstruction task rebuilds numeric, boolean or embedding inputs, or raw pixels",
                        f"'{column}' of task '{task.name}' is {what}",
                        "Remove it from the task's columns, or name it under inputs",
                        lines.get(task.name),
                    )

    def tagged(self, tasks: list[Task], inputs: list[Input]) -> None:
        """Tags stand beside the tokens of one input, as many in every row."""
        tagging = [task for task in tasks if task.kind is TaskKind.TOKEN_TAGGING]
        if not tagging:
            return
        words = [i.name for i in inputs if i.kind is InputKind.TOKENS]
        if not words and any(i.kind is InputKind.TOKENS for i in self.said.inputs or ()):
            # What is wrong with the words is said already.
            return
        if len(words) != 1:
            fact = "there is none" if not words else f"there are {len(words)}: {', '.join(words)}"
            self.add(
                "A tagging task needs one input of kind tokens", fact, "Write the words' column as tokens under inputs"
            )
            return
        column = self.table.column(words[0])
        for task in tagging:
            name = task.columns[0]
            self.problems += tags.unequal(column, self.table.column(name), words[0], name, self.table.name)
            cut = int((tags.lengths(column) > tags.LONGEST).sum())
            if cut:
                more = "1 row has more" if cut == 1 else f"{cut:,} rows have more"
                self.notes.append(f"Task '{task.name}' is trained and judged by {tags.LONGEST} tokens a row; {more}.")

    # --- tasks --------------------------------------------------------------------------------------------

    def tasks(self) -> list[Task]:
        """Every task that is declared, grouped declarations expanded."""
        made = [task for said in self.said.tasks for task in self.tasks_of(said)]
        seen: set[str] = set()
        for task in made:
            if task.name in seen:
                self.add("Task names must be unique", f"'{task.name}' occurs twice", "Rename one of them")
            seen.add(task.name)
        if made and all(task.auxiliary for task in made):
            self.add("A study judges a task", "all its tasks are auxiliary", "Remove auxiliary from one of them")
        self.problems += hierarchy.problems(made, self.said)
        return made

    def tasks_of(self, said: TaskDeclaration) -> list[Task]:
        """The tasks that one declaration stands for: one, or one for each value of its group column."""
        names = _columns(said)
        needed = names if said.by is None else (*names, said.by)
        found = [self.has(column, said.line) for column in needed]
        if not all(found):
            return []
        if said.kind is not TaskKind.RECONSTRUCTION:
            try:
                for column in names:
                    shapes.check_target(self.table.column(column), column)
            except DataError as error:
                self.take(error.problems, said.line)
                return []
        several = TaskKind.MULTILABEL if len(names) > 1 else None
        kind = said.kind or several or infer.task_kind(self.table.column(names[0]), self.beside(said))
        if said.kind is None:
            self.notes.append(f"Task '{said.name}' is taken to be {kind.value}.")
        try:
            made = labels.classes(self.table, said, kind)
            metric = said.metric or metrics.default_metric(kind, spans=span_types(made) is not None)
            weights = labels.weights(said, kind, made, self.outside_test(names[0]))
            _fitting(metric, said, kind, made)
        except DataError as error:
            self.take(error.problems, said.line)
            return []
        note = labels.positive_note(said, kind, made)
        if note is not None:
            self.notes.append(note)
        task = Task(
            said.name, kind, names, metric, said.margin, made, said.transform, weights, said.weight, said.primary
        )
        task = replace(task, auxiliary=said.auxiliary, at_layer=said.at_layer, parent=said.parent, inputs=said.inputs)
        if kind is TaskKind.TOKEN_TAGGING:
            longest = int(tags.lengths(self.table.column(names[0])).max(initial=1))
            task = replace(task, length=min(max(longest, 1), tags.LONGEST))
        return [task] if said.by is None else self.expanded(task, said, said.by)

    def beside(self, said: TaskDeclaration) -> list[pa.ChunkedArray]:
        """Columns whose words the values of a task's column may be the tags of."""
        targets = {c for t in self.said.tasks for c in _columns(t)}
        names = self.table.names if self.said.inputs is None else [i.name for i in self.said.inputs]
        return [self.table.column(n) for n in names if n in self.table.names and n not in targets]

    def outside_test(self, name: str) -> pa.ChunkedArray:
        """A column without the rows that a split column declares to be the test."""
        column = self.table.column(name)
        if self.said.split is None or self.said.split not in self.table.names:
            return column
        held_out = pc.equal(col.text(self.table.column(self.said.split)), "test")
        return column.filter(pc.invert(pc.fill_null(held_out, False)))

    def expanded(self, task: Task, said: TaskDeclaration, by: str) -> list[Task]:
        """One task for each value of the group column."""
        column = self.table.column(by)
        if column.null_count:
            row = pc.index(column.is_valid(), False).as_py() + 1
            rule = "The column that a grouped task is split by must have a value in every row"
            fact = f"{column.null_count} rows have none (the first is row {row})"
            self.add(rule, fact, "Fill or remove these rows", said.line, by)
            return []
        groups = [col.canonical(v) for v in col.distinct(column)]
        if len(groups) > MAX_GROUPS:
            fact = f"column '{by}' has {len(groups)} values"
            rule = f"A grouped task may have at most {MAX_GROUPS} groups"
            self.add(rule, fact, "Name a coarser column", said.line, by)
            return []
        return [replace(task, name=f"{task.name}@{g}", family=task.name, where=(by, g)) for g in groups]


def _columns(said: TaskDeclaration) -> tuple[str, ...]:
    return said.columns or (said.name,)


def _fitting(metric: str, said: TaskDeclaration, kind: TaskKind, made: tuple[Label, ...]) -> None:
    """Raises DataError for a metric that cannot score the kind, or spans where the tags make none."""
    if metric == "entity_f1" and kind is TaskKind.TOKEN_TAGGING and span_types(made) is None:
        fact = f"task '{said.name}' has the tags {labels.quoted(made)}"
        rule = "Entity F1 is for tags of spans: O, B-TYPE and I-TYPE"
        raise DataError(Problem(rule, fact, "Use metric: token_accuracy, or write the tags so"))
    if kind not in metrics.metric(metric).kinds:
        fitting = [name for name in metrics.CATALOGUE if kind in metrics.metric(name).kinds]
        fact = f"'{metric}' of task '{said.name}' is not for {kind.value} tasks"
        raise DataError(Problem("A metric must fit the task's kind", fact, nearest(metric, fitting)))


def _readable(column: pa.ChunkedArray, name: str, kind: InputKind) -> None:
    """Raises DataError with the first value that cannot be read as `kind`. Only text and lists need a look."""
    shapes.check(column, name, kind, "Give it another kind")
    if kind is InputKind.TOKENS:
        tokens.text_lists(column, name)
    elif kind is InputKind.IMAGE:
        pictures.check_type(column, name)
    elif kind is InputKind.EMBEDDING:
        width = col.list_width(column)
        if width is None:
            rule = "An embedding is a list of numbers, of one length in every row"
            raise DataError(Problem(rule, "the lists are of different lengths", "Give it another kind", column=name))
        col.vectors(column.slice(0, 1), name, width)
    elif kind in shapes.WORDS:
        return
    elif kind is InputKind.DATETIME:
        if not col.is_date(column.type):
            col.dates(column, name)
    elif not (col.is_number(column.type) or col.is_date(column.type) or pa.types.is_boolean(column.type)):
        col.floats(column, name)
