"""The sections of a study file as typed models. Nothing here imports torch, pandas, scikit-learn or pyarrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_serializer, model_validator
from pydantic_core import PydanticCustomError

from sharewise import metrics
from sharewise.errors import Problem, nearest
from sharewise.models.alternatives import CATALOGUE as ALTERNATIVES
from sharewise.plan import Choice
from sharewise.study import balancing
from sharewise.study.choices import (
    AGGREGATOR,
    ARCHITECTURE,
    IMAGE,
    READING,
    SAMPLER,
    SCALING,
    TEXT,
    TOKENS,
    WEIGHTING,
    Family,
    choice,
)
from sharewise.tables.readings import misplaced
from sharewise.tables.schema import InputKind
from sharewise.tasks import TaskKind

Text = Annotated[str, Field(strict=True, min_length=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
LabelValue = bool | int | float | str


def problem_error(problems: list[Problem]) -> PydanticCustomError:
    """Our own problems carried through pydantic, so that it goes on and finds the others."""
    return PydanticCustomError("problems", "{first}", {"first": str(problems[0]), "problems": problems})


def chosen(family: Family) -> BeforeValidator:
    def check(said: object) -> Choice:
        made, problems = choice(family, said)
        if made is None:
            raise problem_error(problems)
        return made

    return BeforeValidator(check)


def _readings(said: object) -> object:
    """One encoder, or several that read the same, as a list of choices."""
    given = list(said) if isinstance(said, list | tuple) else [said]
    made = [choice(READING, one) for one in given]
    problems = [problem for _, found in made for problem in found]
    choices = [one for one, _ in made if one is not None]
    rule = "'encoder' is one, or a list of different ones"
    if not given:
        problems.append(Problem(rule, "the list is empty", "Name an encoder, or remove the key"))
    twice = [one.name for n, one in enumerate(choices) if one in choices[:n]]
    problems += [Problem(rule, f"'{name}' is named twice", "Remove one") for name in twice]
    if problems:
        raise problem_error(problems)
    return tuple(choices)


def ruled(key: str) -> BeforeValidator:
    def check(said: object) -> object:
        if said is None or said is False:
            return None
        made, problems = balancing.rule(key, said)
        if made is None:
            raise problem_error(problems)
        return made

    return BeforeValidator(check)


def _metric(name: object) -> object:
    if isinstance(name, str) and name not in metrics.CATALOGUE:
        raise problem_error([Problem("A metric must be known", f"'{name}' is not", nearest(name, metrics.CATALOGUE))])
    return name


def _class_weights(said: object) -> object:
    """ "balanced" or a mapping of labels to positive numbers."""
    if said is None or said == "balanced":
        return said
    rule = "Class weights are 'balanced' or a mapping of labels to positive numbers"
    if not isinstance(said, Mapping):
        raise problem_error(
            [Problem(rule, f"they are {said!r}", nearest(said, ["balanced"]) if isinstance(said, str) else "")]
        )
    odd = [
        (k, v)
        for k, v in said.items()
        if isinstance(v, bool) or not isinstance(v, int | float) or not 0 < v < float("inf")
    ]
    if odd:
        raise problem_error([Problem(rule, f"the weight of '{k}' is {v!r}") for k, v in odd])
    return {k: float(v) for k, v in said.items()}


class Section(BaseModel):
    """A part of the study file: keys are known, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(Section):
    """The table and the roles of its columns."""

    path: Text = Field(description="CSV, Parquet, JSON Lines or Arrow file, a folder or a glob; relative to this file.")
    id: Text | None = Field(default=None, description="Column that names each row.")
    time: Text | None = Field(default=None, description="Column that orders the rows in time.")
    group: Text | None = Field(default=None, description="Column whose values form groups of rows.")
    entity: Text | None = Field(
        default=None,
        description="Column of what a row is about, where several rows may be about one thing: "
        "never on two sides of the split, and counted once in a verdict.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: object) -> object:
        return {"path": said} if isinstance(said, str) else said


class SplitSection(Section):
    """How rows become train, validation and test."""

    by: Literal["auto", "column", "random", "group", "time"] = Field(
        default="auto", description="auto: a split column, else by time, else by entity, else at random."
    )
    column: Text | None = Field(default=None, description="Column that holds train, validation and test.")
    validation: Number = Field(default=0.15, gt=0, lt=1, description="Share of the rows.")
    test: Number = Field(default=0.2, gt=0, lt=1, description="Share of the rows.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: object) -> object:
        if isinstance(said, str):
            return {"by": said}
        if isinstance(said, Mapping) and "column" in said and "by" not in said:
            return {"by": "column", **said}
        return said

    @model_validator(mode="after")
    def _sound(self) -> SplitSection:
        if self.by == "column" and self.column is None:
            raise problem_error(
                [Problem("A split by column needs the column", "none is named", "Write split: {column: NAME}")]
            )
        if self.by not in ("column", "auto") and self.column is not None:
            raise problem_error(
                [Problem("A split column goes with by: column", f"by is '{self.by}'", "Remove one of them")]
            )
        if self.validation + self.test >= 1:
            fact = f"validation and test take {self.validation + self.test:.0%}"
            raise problem_error([Problem("A split must leave rows to train on", fact, "Use smaller shares")])
        return self


class InputSection(Section):
    """An input column, or a pair of text columns."""

    name: Text
    kind: InputKind | None = Field(default=None, description="Inferred where it is left out.")
    columns: tuple[Text, ...] = Field(default=(), description="Two text columns that are read as a pair.")
    encoder: Annotated[tuple[Choice, ...], BeforeValidator(_readings)] | None = Field(
        default=None, description="How a text, a picture or tokens are read; a text also by a list of several."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: object) -> object:
        return {"name": said} if isinstance(said, str) else said

    @field_serializer("encoder")
    def _one(self, said: tuple[Choice, ...] | None) -> Choice | tuple[Choice, ...] | None:
        return said[0] if said is not None and len(said) == 1 else said

    @model_validator(mode="after")
    def _sound(self) -> InputSection:
        problems = []
        if self.columns and (len(self.columns) != 2 or self.kind is not InputKind.TEXT):
            fact = f"input '{self.name}' is of kind {self.kind or 'unknown'} with {len(self.columns)} columns"
            problems.append(Problem("A pair is an input of kind text with two columns", fact, "Write kind: text"))
        if self.encoder is not None and self.kind is not None:
            kind, several = self.kind, len(self.encoder) > 1
            reasons = (misplaced(one.name, kind, several=several) for one in self.encoder)
            why = next((reason for reason in reasons if reason is not None), None)
            if why is not None:
                rule = f"The encoder of input '{self.name}' must fit its kind"
                problems.append(Problem(rule, why, "Remove 'encoder', or name another"))
        if problems:
            raise problem_error(problems)
        return self


class EncodersSection(Section):
    """How inputs of a kind are read that do not say it themselves, and how several inputs become one vector."""

    text: Annotated[Choice, chosen(TEXT)] | None = None
    image: Annotated[Choice, chosen(IMAGE)] | None = None
    tokens: Annotated[Choice, chosen(TOKENS)] | None = None
    fusion: Literal["concat", "gated", "attention"] = Field(
        default="concat", description="side by side, a gated sum, or every input looking at the others."
    )
    width: Whole = Field(default=128, ge=4, description="Numbers that each of several inputs becomes.")

    @model_validator(mode="after")
    def _sound(self) -> EncodersSection:
        if self.fusion == "attention" and self.width % 4:
            rule, fact = "The width of fusion by attention divides by its 4 heads", f"it is {self.width}"
            raise problem_error([Problem(rule, fact, f"Write width: {4 * (self.width // 4 + 1)}")])
        return self


class ParentSection(Section):
    """The coarser task above a task, and which of its classes each class belongs to."""

    task: Text
    classes: Annotated[dict[Any, LabelValue], Field(min_length=1)] | None = Field(
        default=None, description="This task's label to the parent's label; learnt from train rows where left out."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: object) -> object:
        return {"task": said} if isinstance(said, str) else said


class TaskSection(Section):
    """One thing to predict."""

    name: Text
    kind: TaskKind | None = Field(default=None, description="Inferred where it is left out.")
    column: Text | None = Field(default=None, description="Target column; the task's name where it is left out.")
    columns: tuple[Text, ...] = Field(
        default=(),
        description="Target columns of a multilabel task, or the inputs that a reconstruction task rebuilds.",
    )
    metric: Annotated[Text, BeforeValidator(_metric)] | None = None
    margin: Number = Field(default=0.02, gt=0, description="The change of the metric that counts as harm.")
    primary: Flag = Field(default=False, description="The study is done for this task; others may help it.")
    classes: tuple[LabelValue, ...] = Field(
        default=(), description="Labels in order; needed for an ordinal task whose labels are words."
    )
    positive: LabelValue | None = Field(default=None, description="The label whose probability a binary task predicts.")
    class_weights: Annotated[str | dict[Any, float] | None, BeforeValidator(_class_weights)] = Field(
        None, description="balanced, or a mapping of labels to weights; a label that is not named weighs 1."
    )
    transform: Literal["none", "log1p", "quantile"] = Field(
        default="none", description="Of a regression target, for training only; answers are in the original unit."
    )
    weight: Number = Field(default=1.0, gt=0, description="Of the task's loss.")
    by: Text | None = Field(
        default=None, description="Group column: the task is a task of its own for each of its values."
    )
    inputs: tuple[Text, ...] = Field(default=(), description="The inputs that it reads; all where it is left out.")
    auxiliary: Flag = Field(
        default=False, description="Trained beside the others to help them; neither judged nor in the bundle."
    )
    at_layer: Whole | None = Field(
        default=None, ge=1, description="Trunk layer that the task reads where it shares (hard sharing); else the last."
    )
    parent: ParentSection | None = Field(
        default=None, description="The coarser task whose classes this task's classes divide."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: object) -> object:
        return {"name": said} if isinstance(said, str) else said

    @model_validator(mode="after")
    def _sound(self) -> TaskSection:
        problems = []
        if self.column is not None and self.columns:
            problems.append(
                Problem("A task has a column or columns", f"task '{self.name}' has both", "Remove one of them")
            )
        if self.kind is TaskKind.RECONSTRUCTION and not (self.columns or self.column):
            problems.append(
                Problem(
                    "A reconstruction task names the inputs to rebuild",
                    f"task '{self.name}' names none",
                    "Write columns: [...]",
                )
            )
        if self.auxiliary and self.primary:
            fact = f"task '{self.name}' is both"
            problems.append(Problem("A task is primary or auxiliary", fact, "Remove one of them"))
        if self.parent is not None and self.by is not None:
            fact = f"task '{self.name}' has a parent too"
            problems.append(Problem("A grouped task stands for itself", fact, "Remove parent or by"))
        if self.transform != "none" and self.kind not in (TaskKind.REGRESSION, None):
            problems.append(
                Problem("Only regression tasks have a transform", f"task '{self.name}' is {self.kind}", "Remove it")
            )
        if len(set(map(str, self.classes))) != len(self.classes):
            problems.append(
                Problem("Classes must be unique", f"a class of task '{self.name}' occurs twice", "Remove it")
            )
        if problems:
            raise problem_error(problems)
        return self


class BalanceSection(Section):
    """How the tasks' losses and gradients become one step; also just the name of a weighting or an aggregator."""

    scaling: Annotated[Choice, chosen(SCALING)] | None = None
    weighting: Annotated[Choice, chosen(WEIGHTING)] | None = None
    aggregator: Annotated[Choice, chosen(AGGREGATOR)] | None = None
    sampler: Annotated[Choice, chosen(SAMPLER)] | None = None
    rates: Annotated[dict[str, Any] | None, ruled("rates")] = None
    freeze: Annotated[dict[str, Any] | None, ruled("freeze")] = None
    stop: Annotated[dict[str, Any] | None, ruled("stop")] = None
    checkpoint: Annotated[
        Literal["group", "task", "primary"] | None,
        Field(description="Whose validation loss decides which epoch is kept."),
    ] = None
    level: Annotated[
        Literal["losses", "representation", "parameters"] | None,
        Field(description="Where gradients of tasks are compared."),
    ] = None
    refresh: Annotated[Whole | None, Field(ge=1, description="Weights of every n-th step are used in between.")] = None
    heads: Annotated[Literal["own", "weighted"] | None, Field(description="Which gradient the heads get.")] = None
    scale: Annotated[
        Literal["native", "mean_norm"] | None, Field(description="The direction's length: the method's or the mean's.")
    ] = None
    clip: Annotated[Number | None, Field(gt=0, description="Most norm of the direction at its level.")] = None
    freeze_after: Annotated[Whole | None, Field(ge=1, description="Epochs, then the mean learnt weights stay.")] = None
    sweep: Annotated[
        Whole | None, Field(ge=1, le=64, description="Of a candidate: so many of it, each with other static weights.")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: object) -> object:
        try:
            return balancing.long_form(said)
        except ValueError as error:
            raise problem_error([error.args[0]]) from None

    @model_validator(mode="after")
    def _sound(self) -> BalanceSection:
        problems = balancing.conflicts(self.plain())
        if problems:
            raise problem_error(problems)
        return self

    def plain(self) -> dict[str, Any]:
        """What was said as plain data; equal weights alone are nothing said."""
        made = {
            k: {"name": v.name, "params": v.params} if isinstance(v, Choice) else v for k, v in self if v is not None
        }
        return {} if made == {"weighting": {"name": "equal", "params": {}}} else made


class RecipeSection(Section):
    """What of the training a candidate does otherwise than the study."""

    checkpoint: Literal["group", "task"] | None = Field(
        default=None, description="task: every task is answered from its own best epoch, one model file each."
    )
    epochs: Annotated[Whole | None, Field(ge=1, le=100_000)] = None
    min_steps: Annotated[Whole | None, Field(ge=1, le=10_000_000, description="At least this many steps.")] = None


class CandidateSection(Section):
    """A plan to try beside "single" and "together", which are always tried."""

    name: Text
    groups: Annotated[tuple[Annotated[tuple[Text, ...], Field(min_length=1)], ...], Field(min_length=1)] | None = Field(
        default=None,
        description="Tasks that share a model; tasks that no group names stand alone. All together where left out.",
    )
    architecture: Annotated[Choice, chosen(ARCHITECTURE)] | None = None
    balance: BalanceSection | None = None
    recipe: RecipeSection = RecipeSection()

    @model_validator(mode="after")
    def _sound(self) -> CandidateSection:
        if self.groups is None and self.architecture is None and self.balance is None:
            rule, fact = "A candidate differs from 'together'", f"'{self.name}' says no groups, architecture or balance"
            raise problem_error([Problem(rule, fact, "Write groups: [[TASK, TASK]], or architecture: NAME")])
        return self


class BudgetSection(Section):
    """How much evidence to buy; numbers override the level's own."""

    level: Literal["quick", "standard", "thorough"] = "standard"
    seeds: Whole | None = Field(
        default=None,
        ge=2,
        le=100,
        description="Confirmation runs of every arm; if not given, more of those that run luck leaves open.",
    )
    trials: Whole | None = Field(default=None, ge=1, le=200, description="Tuning trials an arm.")
    epochs: Whole | None = Field(default=None, ge=1, le=100_000, description="At most this many.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: object) -> object:
        return {"level": said} if isinstance(said, str) else said


class TuningSection(Section):
    """How the trials of every arm are drawn and scored; how many there are is the budget's, the same for all."""

    sampler: Literal["random", "tpe", "cmaes", "qmc"] = Field(
        default="random", description="random needs nothing; the others are Optuna's (pip install 'sharewise[tune]')."
    )
    objective: Literal["mean", "worst"] | dict[Text, Annotated[Number, Field(gt=0)]] = Field(
        default="mean",
        description="Of a model with several tasks: their mean change, the worst one, or the mean by these weights.",
    )
    space: tuple[Literal["architecture", "optimiser", "weights", "balance"], ...] = Field(
        default=(),
        description="Searched beside lr, weight decay and dropout; weights and balance where tasks share.",
    )
    pruner: Literal["none", "halving", "median", "percentile", "asha", "hyperband"] = Field(
        default="none",
        description="halving: half of a group's trials leave the stack twice on the way; the others are Optuna's.",
    )
    storage: Text | None = Field(
        default=None,
        description="The trials are written to this Optuna storage too: a URL, or a file in the run directory.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: object) -> object:
        return {"sampler": said} if isinstance(said, str) else said

    def plain(self) -> dict[str, Any]:
        """What a design freezes of it: where trials are exported to is no part of the question."""
        made = self.model_dump(mode="json", exclude={"storage"}, exclude_defaults=True)
        return {"sampler": self.sampler, "objective": self.objective, **made}


class SuppressionSection(Section):
    """A finding of the audit that is known and accepted."""

    check: Text
    reason: Text = Field(description="Why it is accepted; the report shows it.")
    tasks: tuple[Text, ...] = Field(default=(), description="Only findings that concern all of these tasks.")
    columns: tuple[Text, ...] = Field(default=(), description="Only findings that concern all of these columns.")


class AuditSection(Section):
    """How the data are audited."""

    suppress: tuple[SuppressionSection, ...] = ()
    plugins: tuple[Text, ...] = Field(default=(), description="Further checks, as module:Class.")


def known_alternatives(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the catalogue, each once."""
    rule = "An alternative must be known"
    problems = [Problem(rule, f"'{n}' is not", nearest(n, ALTERNATIVES)) for n in names if n not in ALTERNATIVES]
    twice = sorted({n for n in names if names.count(n) > 1})
    problems += [Problem("An alternative is named once", f"'{n}' is named twice", "Remove one") for n in twice]
    if problems:
        raise problem_error(problems)
    return names


def listed_inputs(said: Any) -> Any:
    """Inputs as a list of sections: also from a mapping of names to kinds."""
    if isinstance(said, Mapping):
        return [
            {"name": name, **kind} if isinstance(kind, Mapping) else {"name": name, "kind": kind}
            for name, kind in said.items()
        ]
    return said
