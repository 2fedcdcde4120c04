"""Records of an explanation: what was suspected, what was tried, and which cause a re-run convicted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sharewise.records import Comparison


class Effect(StrEnum):
    """What an intervention did to a harmed task."""

    REMOVES = "removes the harm"
    MOST = "closes four fifths of the gap or more"
    EASES = "closes half of the gap or more"
    LITTLE = "does not move the task enough"
    BOTH = "helps the single model as much"
    UNJUDGED = "could not be judged"


class Ending(StrEnum):
    """How the inquiry into one task ended."""

    CAUSE = "cause named"
    PART = "main part of the cause named"
    NONE = "none of these"
    NOT_REPEATED = "the harm was not seen again"
    NOT_HARMED = "not harmed by sharing"


@dataclass(frozen=True)
class Hypothesis:
    """A cheap signal from runs that were there already: it ranks the trials and convicts nobody.

    `value` is compared with `threshold`, both in the unit that `sentence` names; `strength` in [0, 1] orders the
    trials, and from 0.5 on moves one ahead of the standing order.
    """

    intervention: str
    value: float
    threshold: float
    strength: float
    sentence: str


@dataclass(frozen=True)
class Shift:
    """How far an intervention moved theta: `effect` = theta after - theta before, a double difference.

    [`low`, `high`] is its interval with a chance of `error` on either side, on the scale of the comparisons.
    """

    effect: float
    low: float
    high: float
    df: float
    error: float


@dataclass(frozen=True)
class Cost:
    """What a change does to another task of the group: the model after it against the model before it."""

    task: str
    comparison: Comparison


@dataclass(frozen=True)
class Trial:
    """One intervention tried on one task. `after` is theta with the change made, `single` the change of the single
    model where it was changed too; `runs` are the ids of the runs made for it, `n_runs` of each arm."""

    intervention: str
    change: str
    text: str
    effect: Effect
    reason: str
    after: Comparison | None = None
    shift: Shift | None = None
    single: Comparison | None = None
    costs: tuple[Cost, ...] = ()
    runs: tuple[str, ...] = ()
    n_runs: int = 0


@dataclass(frozen=True)
class Remedy:
    """What to do about a convicted cause, in words and as settings of a candidate in a study file.

    `architecture`, `balance` and `recipe` are a candidate's own; `apart` names the tasks that leave the group.
    """

    text: str
    architecture: dict[str, Any] | None = None
    balance: dict[str, Any] | None = None
    recipe: dict[str, Any] | None = None
    apart: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """Why one task is worse off in the shared model, as far as re-runs can tell.

    `before` is theta of the task in fresh runs of the unchanged models, against the same architecture alone.
    `cause` and `remedy` are those of the trial that convicted, `trials[convicted]`.
    """

    task: str
    group: tuple[str, ...]
    ending: Ending
    sentence: str
    before: Comparison | None = None
    hypotheses: tuple[Hypothesis, ...] = ()
    trials: tuple[Trial, ...] = ()
    convicted: int | None = None
    cause: str | None = None
    remedy: Remedy | None = None


@dataclass(frozen=True)
class Inquiry:
    """`explain.json`: the explanation of every task asked about, and what it cost."""

    design_digest: str
    candidate: str
    baseline: str
    n_runs: int
    runs_each: int
    seconds: float
    explanations: tuple[Explanation, ...]
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
