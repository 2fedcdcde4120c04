"""Errors a user can act on: the rule, however: the fact, then the remedy.

Every error that a user's file, table or bundle can cause is a `Problem`; a check collects all the problems
it can find and raises them together as one `UserError`, which the command line prints without a traceback
and answers with exit code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what the user gave, in one sentence.

    `rule` says what should hold, `fact` what was found instead, `remedy` what to do about it. The place is
    given by `file` and `line`, `column` and `row` as far as they are known (rows count from 1, as a person does).
    """

    rule: str
    fact: str
    remedy: str = ""
    file: str | None = None
    line: int | None = None
    column: str | None = None
    row: int | None = None

    def __str__(self) -> str:
        place = ""
        if self.file is not None:
            place = self.file if self.line is None else f"{self.file}:{self.line}"
        if self.row is not None:
            place = f"{place}, row {self.row}" if place else f"row {self.row}"
        if self.column is not None:
            place = f"{place}, column '{self.column}'" if place else f"column '{self.column}'"
        sentence = f"{self.rule}; however, {self.fact}."
        if self.remedy:
            sentence += f" {self.remedy[0].upper()}{self.remedy[1:]}" + (
                "" if self.remedy.endswith((".", "?")) else "."
            )
        return f"{place}: {sentence}" if place else sentence


class SharewiseError(Exception):
    """Base of every error that Sharewise raises on purpose; `exit_code` is what the command line answers."""

    exit_code = 1


class UserError(SharewiseError):
    """What the user gave cannot be used; `problems` lists everything found, in the order of the file."""

    exit_code = 2

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class ConfigError(UserError):
    """The study file, or an argument, is not what it must be."""


class DataError(UserError):
    """A table cannot be read or does not hold what the study needs."""


class BundleError(UserError):
    """A bundle is damaged, incomplete, of a newer format or does not fit the table."""


class GateError(SharewiseError):
    """A gate that the user set was not met; the command line answers with exit code 3."""

    exit_code = 3


def nearest(name: str, valid: Iterable[str]) -> str:
    """Sentence that offers the valid name nearest to `name`, or lists the valid names.

    >>> nearest("epoch", ["epochs", "seed"])
    "Did you mean 'epochs'?"
    """
    names: Sequence[str] = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean '{close[0]}'?"
    if not names:
        return "No name is valid here."
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f"Valid names: {shown}."


def counted(n: int, noun: str) -> str:
    """A number of things, as a message says it: "1 tag", "3 tags"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
