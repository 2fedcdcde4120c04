"""The `search:` section of a study file: how plans between "alone" and "all together" are looked for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from sharewise.study.latency_text import problem
from sharewise.study.sections import Number, Section, Text, Whole, problem_error

FOUND = ("found", *(f"found-{n}" for n in range(2, 9)))
"""Names of the plans that a search finds, in the order they are found."""

OFF = "off"


def _latency(said: object) -> object:
    """A latency as it may be written; raises a problem for anything else."""
    wrong = None if said is None else problem(said)
    if wrong is not None:
        raise problem_error([wrong])
    return said


class SearchSection(Section):
    """A search for the plan that serves every task best; on from three tasks, unless it is `off`."""

    method: Literal["surrogate", "higher_order", "cosine", "lookahead", "off"] = Field(
        default="surrogate",
        description=(
            "surrogate: gains of a sample of overlapping groups; higher_order: of every pair of tasks; cosine, "
            "lookahead: no group is measured, gradients of one joint run suggest what to train."
        ),
    )
    runs: Whole | None = Field(
        default=None, ge=1, description="Models trained for it, each task alone included; 3 T + 20 for T tasks."
    )
    plans: Whole = Field(
        default=len(FOUND), ge=1, le=len(FOUND), description="At most so many plans are tried as candidates."
    )
    risk: Number = Field(default=1.0, ge=0, description="Price of a certain harm to a task, in margins.")
    max_models: Whole | None = Field(default=None, ge=1, description="A plan has at most so many models.")
    max_parameters: Number | None = Field(default=None, gt=0, description="Of all models of a plan together.")
    max_latency: Annotated[float | str | None, BeforeValidator(_latency)] = Field(
        default=None,
        description="Of answering all tasks: times of one model for all tasks, or of one row on this machine (25 ms).",
    )
    together: tuple[Annotated[tuple[Text, ...], Field(min_length=2)], ...] = Field(
        default=(), description="Tasks that one model must answer."
    )
    apart: tuple[Annotated[tuple[Text, ...], Field(min_length=2)], ...] = Field(
        default=(), description="Tasks of which no two may share a model."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: object) -> object:
        if said is False:
            return {"method": OFF}
        return {"method": said} if isinstance(said, str) else said
