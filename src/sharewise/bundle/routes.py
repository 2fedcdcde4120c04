"""Who answers each task: an append-only log of changes, the last word of which is the present."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sharewise.records import plain


@dataclass(frozen=True)
class Address:
    """A model that can answer: one revision of a group."""

    group: str
    revision: int = 1


@dataclass(frozen=True)
class Retired:
    """Nobody answers the task any more."""

    reason: str


@dataclass(frozen=True)
class Reroute:
    """From `when` (ISO 8601) on, `to` answers `task`.

    Rolling back is an older revision of the same group, decoupling the task's own group, promoting a newer revision,
    retiring `Retired`; undoing is another Reroute. `evidence` is what the decision rests on, JSON-able.
    """

    task: str
    to: Address | Retired
    why: str
    when: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Routes:
    """The log of all changes, oldest first. Each line of its file carries a check of itself and all lines before."""

    log: tuple[Reroute, ...]

    def apply(self, change: Reroute) -> Routes:
        """The routes after one more change; this one stays as it is."""
        return Routes((*self.log, change))

    @property
    def now(self) -> dict[str, Address | Retired]:
        """The present route of every task that was ever routed."""
        return {change.task: change.to for change in self.log}

    def addresses(self) -> dict[str, Address]:
        """The present address of every task that is not retired."""
        return {task: to for task, to in self.now.items() if isinstance(to, Address)}

    def to_jsonl(self) -> bytes:
        """One JSON object a line, each with its `check`."""
        return b"".join(_lines(self.log))

    @classmethod
    def from_jsonl(cls, text: bytes) -> Routes:
        """The log that `to_jsonl` wrote; raises ValueError that names the first line that does not hold."""
        log: list[Reroute] = []
        lines = text.split(b"\n")
        if lines.pop() != b"":
            raise ValueError(f"line {len(lines) + 1} is cut off")
        for number, line in enumerate(lines, start=1):
            try:
                said = json.loads(line)
                to = said["to"]
                goal = Retired(to["retired"]) if "retired" in to else Address(to["group"], int(to["revision"]))
                log.append(Reroute(said["task"], goal, said["why"], said["when"], said["evidence"]))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"line {number} is not a route ({type(error).__name__}: {error})") from None
        for number, (line, expected) in enumerate(zip(lines, _lines(log), strict=True), start=1):
            if line + b"\n" != expected:
                raise ValueError(f"line {number} was changed after it was written")
        return cls(tuple(log))


def _lines(log: Iterable[Reroute]) -> Iterable[bytes]:
    check = ""
    for change in log:
        to = {"retired": change.to.reason} if isinstance(change.to, Retired) else plain(change.to)
        said = {
            "task": change.task,
            "to": to,
            "why": change.why,
            "evidence": plain(change.evidence),
            "when": change.when,
        }
        text = json.dumps(said, ensure_ascii=False)
        check = hashlib.sha256((check + text).encode()).hexdigest()[:16]
        yield json.dumps({**said, "check": check}, ensure_ascii=False).encode() + b"\n"
