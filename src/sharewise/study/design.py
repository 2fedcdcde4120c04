"""Everything that is frozen before the first run, and written to disk as `design.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sharewise import __version__, metrics
from sharewise.balance import choose
from sharewise.errors import ConfigError, Problem
from sharewise.models.alternatives import CATALOGUE, DEFAULT
from sharewise.plan import Choice, Group, Plan
from sharewise.records import Arm, DesignRecord, MetricFacts, Role, plain, to_json, write_atomic
from sharewise.study import shareable
from sharewise.study.choices import ARCHITECTURE
from sharewise.tasks import TaskSet

SINGLE = "single"
"""The arm that trains each task alone with the study's own architecture."""

SEARCH = "search"
"""The arm name of a plan search's sampled groups; it is no contestant."""


@dataclass(frozen=True)
class Budget:
    """How much is trained: tuning trials per arm, runs per phase, epochs. Never how honestly it is judged.

    Of the confirmation there are `confirmation_runs` of every model, and up to `most_runs` of those that a task which
    run luck leaves open is compared by (see `enough`).
    """

    name: str
    trials: int
    selection_runs: int
    confirmation_runs: int
    most_runs: int
    epochs: int


BUDGETS = {
    "quick": Budget("quick", trials=2, selection_runs=1, confirmation_runs=3, most_runs=10, epochs=30),
    "standard": Budget("standard", trials=6, selection_runs=2, confirmation_runs=5, most_runs=10, epochs=60),
    "thorough": Budget("thorough", trials=16, selection_runs=3, confirmation_runs=10, most_runs=20, epochs=100),
}


@dataclass(frozen=True)
class Variant:
    """One way to build, balance and train a group's model; arms with equal variants share their single-task baseline.

    `recipe` holds what differs from the study's own recipe (see `training.recipe.Recipe`).
    """

    architecture: Choice
    balance: dict[str, Any]
    recipe: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Eight hexadecimal digits that name the variant in run ids."""
        said = [plain(self.architecture), plain(self.balance), *([plain(self.recipe)] if self.recipe else [])]
        text = json.dumps(said, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


@dataclass(frozen=True)
class Design:
    """A study before it has run. Its digest covers all of it and the data: a run directory belongs to one design.

    `variants` maps the name of every neural arm to how its models are built; `record` is what a reader needs;
    `reading` is how inputs are read whose kind leaves a choice. `frozen` is the design as it was written down, where
    plans that a search found have joined it since.
    """

    record: DesignRecord
    budget: Budget
    variants: dict[str, Variant]
    recipe: dict[str, Any]
    data_hash: str
    split_hash: str
    tuning: dict[str, Any] = field(default_factory=lambda: {"sampler": "random", "objective": "mean"})
    reading: dict[str, Any] = field(default_factory=dict)
    frozen: Design | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the design as it stands in `design.json`."""
        if self.frozen is not None:
            return self.frozen.digest
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """`design.json`: the record's own fields, then the rest."""
        whole = plain(self.record)
        whole |= {
            "settings": {
                "budget": asdict(self.budget),
                "variants": {name: plain(v) for name, v in self.variants.items()},
                "recipe": self.recipe,
                "tuning": self.tuning,
                "data_hash": self.data_hash,
                "split_hash": self.split_hash,
                **({"reading": self.reading} if self.reading else {}),
            }
        }
        return to_json(whole)

    def freeze(self, directory: Path) -> None:
        """Write `design.json`, or check that the directory already holds this very design.

        Raises ConfigError where it holds another one: its runs would answer another question.
        """
        path = directory / "design.json"
        text = self.to_json()
        if not path.exists():
            write_atomic(path, text)
            return
        if path.read_text(encoding="utf-8") != text:
            other = _version_of(path)
            if other not in (None, __version__):
                rule = "A run directory belongs to the version that wrote it"
                fact = f"{directory} was written by {other}, and this is {__version__}"
                raise ConfigError(Problem(rule, fact, f"choose another output directory, or go on with {other}"))
            raise ConfigError(
                Problem(
                    "A run directory belongs to one design",
                    f"{directory} holds runs of another design, table, split or version ({_difference(path, text)})",
                    "choose another output directory, or delete this one to start afresh",
                )
            )

    @property
    def candidates(self) -> tuple[Arm, ...]:
        """The arms that share."""
        return tuple(arm for arm in self.record.arms if arm.role is Role.CANDIDATE)

    @property
    def contest(self) -> tuple[Arm, ...]:
        """The arms that sharing is decided between: all but those that start from what others have trained."""
        return tuple(arm for arm in self.record.arms if arm.role is not Role.TRANSFER)

    def joined_by(self, arms: tuple[Arm, ...]) -> Design:
        """The design with plans that a search found among its candidates; its digest stays that of what was frozen."""
        candidates = self.record.arms[: 1 + max(self.record.arms.index(arm) for arm in self.candidates)]
        others = self.record.arms[len(candidates) :]
        record = replace(self.record, arms=(*candidates, *arms, *others))
        return replace(self, record=record, frozen=self.frozen or self)

    def arm(self, name: str) -> Arm:
        """The arm called `name`."""
        return next(arm for arm in self.record.arms if arm.name == name)


def _version_of(path: Path) -> str | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return str(said["version"]) if isinstance(said, dict) and "version" in said else None
    except ValueError:
        return None


def _difference(path: Path, text: str) -> str:
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return "its design.json cannot be read"
    new = json.loads(text)
    parts = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
    if parts == ["settings"]:
        inner_old, inner_new = old["settings"], new["settings"]
        parts = sorted(k for k in inner_old.keys() | inner_new.keys() if inner_old.get(k) != inner_new.get(k))
    return "they differ in " + ", ".join(parts)


def facts_of(tasks: TaskSet) -> tuple[MetricFacts, ...]:
    """What a reader must know of every metric that the tasks use."""
    names = sorted({task.metric for task in tasks})
    made = []
    for name in names:
        m = metrics.metric(name)
        made.append(MetricFacts(m.name, m.title, m.bigger_is_better, m.effect))
    return tuple(made)


@dataclass(frozen=True)
class Wanted:
    """One candidate as the study file asks for it."""

    name: str
    groups: tuple[tuple[str, ...], ...] | None
    """None: all tasks together."""
    architecture: Choice | None = None
    balance: dict[str, Any] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)


def swept(wanted: Wanted, said: dict[str, Any], default: Variant, seed: int, n_tasks: int) -> list[Wanted]:
    """A sweep as candidates, one for each draw of static weights, each with the trials of any other arm.

    Where the plan with equal weights is tried anyway (all tasks together, the study's own architecture), the sweep
    does not repeat it.
    """
    tasks = tuple(t for group in wanted.groups or () for t in group)
    rest = {key: value for key, value in said.items() if key != "sweep"}
    plain = not (wanted.architecture or wanted.recipe) and rest == default.balance == {}
    again = plain and len(wanted.groups or ()) == 1 and len(tasks) == n_tasks
    draws = choose.sweep(tasks, said["sweep"] + again, seed)[int(again) :]
    return [replace(wanted, name=f"{wanted.name} {i}", balance={**rest, **d}) for i, d in enumerate(draws, 1)]


def build(
    *,
    name: str,
    tasks: TaskSet,
    budget: Budget,
    seed: int,
    default: Variant,
    wanted: tuple[Wanted, ...],
    recipe: dict[str, Any],
    data_hash: str,
    split_hash: str,
    prefer_fewer_models: bool,
    alternatives: tuple[str, ...] = DEFAULT,
    revision: int = 0,
    kept: Sequence[Sequence[str]] = (),
) -> Design:
    """The design of a study: its arms, in the order they are reported, and everything they are run with. No model of
    several tasks holds two of a set that is `kept` apart."""
    judged = tasks.judged
    plan = Plan.single_task(judged.names)
    lone = Variant(_alone(default.architecture), default.balance)
    variants: dict[str, Variant] = {SINGLE: lone}
    arms = [Arm(SINGLE, Role.ALONE, plan, describe_model(lone, alone=True), budget.trials)]
    for item in wanted if len(tasks) > 1 else ():
        balance = default.balance if item.balance is None else item.balance
        variant = Variant(item.architecture or default.architecture, balance, item.recipe)
        together = Plan.all_together(tasks.names)
        made = together if item.groups is None else Plan.of(item.name, item.groups, judged.names)
        made = replace(made, name=item.name)
        alone = SINGLE
        # Checkpoints by task are nothing to a task alone.
        longer = {key: value for key, value in item.recipe.items() if key != "checkpoint"}
        own = Variant(_alone(variant.architecture), default.balance, longer)
        if own != lone:
            alone = f"{SINGLE}[{item.name}]"
            same = next((n for n, v in variants.items() if v == own and n.startswith(SINGLE)), None)
            if same is None:
                variants[alone] = own
                arms.append(Arm(alone, Role.ALONE, plan, describe_model(own, alone=True), budget.trials))
            else:
                alone = same
        variants[item.name] = variant
        weights = method_of(variant)
        arms.append(Arm(item.name, Role.CANDIDATE, made, describe_model(variant), budget.trials, alone, weights))
    for other in alternatives:
        kind = CATALOGUE.load(other)
        trained = tuple(made for group, members in kind.groups(judged) for made in _parted(group, members, kept))
        if trained:
            arms.append(Arm(other, Role.ALTERNATIVE, Plan(other, trained), kind.title, budget.trials))
    groups = sum(len(_trained(arm)) for arm in arms)
    shared = most_groups(arms)
    # A task is compared by its part of the chosen plan and by one baseline.
    further = (budget.most_runs - budget.confirmation_runs) * (len(judged) + shared) if shared else 0
    record = DesignRecord(
        name=name,
        budget=budget.name,
        tasks=judged.tasks,
        metrics=facts_of(judged),
        arms=tuple(arms),
        seed=seed,
        tuning_runs=budget.trials,
        selection_runs=budget.selection_runs,
        confirmation_runs=budget.confirmation_runs,
        most_runs=budget.most_runs,
        planned_runs=groups * (budget.trials + budget.selection_runs - 1 + budget.confirmation_runs),
        further_runs=further,
        prefer_fewer_models=prefer_fewer_models,
        version=__version__,
        revision=revision,
    )
    return Design(record, budget, variants, recipe, data_hash, split_hash)


def _parted(name: str, members: Sequence[str], kept: Sequence[Sequence[str]]) -> list[Group]:
    """The groups that a model of another kind is trained for: its own, in parts where `kept` asks for it, of which
    those of one task are no model of several and are left out."""
    parts = shareable.parted(members, kept)
    if len(parts) == 1:
        return [Group(name, parts[0])]
    return [Group(f"{name} {n}", part) for n, part in enumerate((p for p in parts if len(p) > 1), 1)]


def unfit(alternatives: Sequence[str], design: Design, *, asked: bool) -> list[str]:
    """A sentence for every alternative that was asked for and is made for none of the tasks."""
    named = {arm.name for arm in design.record.arms}
    return [
        f"Alternative '{name}' is left out: it needs {CATALOGUE.load(name).needs}."
        for name in alternatives
        if asked and name not in named
    ]


def _in_full(choice: Choice) -> dict[str, object]:
    """What a choice says; for any but hard sharing its defaults too, among them how strongly tasks are tied."""
    if choice.name == "hard":
        return choice.params
    known = ARCHITECTURE.parameters(choice.name)
    return {p.name: p.default for p in known if p.default is not None} | choice.params


def _said(value: object) -> str:
    """A parameter's value; values by task as TASK VALUE, TASK VALUE."""
    return " and ".join(f"{v} for {k}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def _alone(choice: Choice) -> Choice:
    """What a choice is for one task alone: arms whose architectures do not differ there share a baseline."""
    from sharewise.models import sharing

    return sharing.CATALOGUE.load(choice.name).alone(choice)


def most_groups(arms: Iterable[Arm]) -> int:
    """Groups of the candidate that has the most of them; 0 where nothing is shared."""
    return max((len(_trained(arm)) for arm in arms if arm.role is Role.CANDIDATE), default=0)


def _trained(arm: Arm) -> list[str]:
    """Names of the groups that an arm trains itself; a candidate's lone tasks are its single arm's."""
    if arm.role is not Role.CANDIDATE:
        return [group.name for group in arm.plan.groups]
    return [group.name for group in arm.plan.groups if len(group.tasks) > 1]


def describe_model(variant: Variant, *, alone: bool = False) -> str:
    """A variant in a few words."""
    given = _in_full(variant.architecture)
    params = ", ".join(f"{k} {_said(v)}" for k, v in given.items())
    name = "neural net, one task" if alone else f"{variant.architecture.name} sharing"
    text = name + (f" ({params})" if params else "")
    if alone:
        return text
    extras = [variant.balance[key]["name"] for key in ("scaling", "sampler") if key in variant.balance]
    extras += [key for key in ("rates", "freeze", "stop") if key in variant.balance]
    with_ = f" with {', '.join(extras)}" if extras else ""
    method = method_of(variant)
    weights = variant.balance.get("weighting", {}).get("params", {}).get("weights")
    if isinstance(weights, dict) and len(weights) <= 6:
        return f"{text}, static weights {', '.join(f'{t} {w:.2g}' for t, w in weights.items())}{with_}"
    if method == "equal":
        return f"{text}, equal weights{with_}" if with_ else text
    return f"{text}, balanced by {method}{with_}"


def method_of(variant: Variant) -> str:
    """Name of the method that weighs a variant's losses: its aggregator, else its weighting."""
    method = variant.balance.get("aggregator") or variant.balance.get("weighting") or {"name": "equal"}
    return str(method["name"])
