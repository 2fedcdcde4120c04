"""Token tags that do not fit their tokens, or the rest of the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.audit.checks.base import Check
from sharewise.audit.columns import Hashes, codes, hashes, is_list, mix
from sharewise.audit.noise import wilson
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import AuditView
from sharewise.records import Severity
from sharewise.tables.schema import InputKind
from sharewise.tasks import Task, TaskKind


@dataclass(frozen=True)
class TagNoise(Check):
    """Every row has as many tags as tokens; and a token between the same two neighbours has the same tag.

    Among trigrams (token with both neighbours) that occur at least `min_repeat` = 5 times, at most `max_rate` = 5 % of
    the tags (lower end of the 90 % interval) differ from the trigram's most frequent tag, counted where that tag has
    over half. Not computable with fewer than `min_tokens` = 200 such tokens.
    """

    max_rate: float = 0.05
    min_repeat: int = 5
    min_tokens: int = 200

    def run(self, view: AuditView) -> CheckResult:
        """One error for rows whose lengths differ, one warning for tags that contradict their context."""
        tokens = [
            n for n in view.input_names if view.kind(n) is InputKind.TOKENS and is_list(view.arrow.schema.field(n).type)
        ]
        found: list[Found] = []
        silent: list[str] = []
        rates: dict[str, float] = {}
        for task in view.schema.tasks:
            if task.kind is TaskKind.TOKEN_TAGGING and tokens and task.columns[0] in view.arrow.column_names:
                mine, why = self._task(view, task, tokens[0], rates)
                found += mine
                silent += why
        return CheckResult(tuple(found), {"rate": rates}, tuple(silent))

    def _task(self, view: AuditView, task: Task, name: str, rates: dict[str, float]) -> tuple[list[Found], list[str]]:
        words, tags = view.arrow.column(name), view.arrow.column(task.columns[0])
        if not is_list(tags.type):
            return [], [f"'{task.name}': column '{task.columns[0]}' holds no lists"]
        n_words = pc.fill_null(pc.list_value_length(words), 0).to_numpy()
        n_tags = pc.fill_null(pc.list_value_length(tags), 0).to_numpy()
        labelled = ~view.missing(task.columns[0])
        broken = np.flatnonzero(labelled & (n_words != n_tags))
        found = [self._lengths(task, name, broken)] if len(broken) else []
        rows = np.flatnonzero(labelled & (n_words == n_tags) & (n_words > 0))
        key = _context(words.take(pa.array(rows)), n_words[rows])
        given, _ = codes(pa.chunked_array([pc.list_flatten(tags.take(pa.array(rows)).combine_chunks())]))
        wrong, judged = _contradictions(key, given, self.min_repeat)
        if judged < self.min_tokens:
            return found, [f"'{task.name}': fewer than {self.min_tokens} tokens stand in a repeated context"]
        rate = float(wrong.sum()) / judged
        rates[task.name] = rate
        low, high = wilson(rate, judged)
        if low > self.max_rate:
            of_row = np.repeat(rows, n_words[rows])
            suspects, counts = np.unique(of_row[wrong], return_counts=True)
            found.append(self._noisy(task, rate, low, high, suspects[np.argsort(-counts, kind="stable")]))
        return found, []

    def _lengths(self, task: Task, name: str, rows: np.ndarray) -> Found:
        return Found(
            Severity.ERROR,
            f"{len(rows):,} rows have another number of tags in task '{task.name}' than tokens in '{name}'.",
            "Tags that slip by one teach the shared encoder wrong neighbours for all tasks.",
            "tokenise and tag these rows again, or drop them",
            measured=len(rows),
            threshold=0,
            tasks=(task.name,),
            columns=(name, task.columns[0]),
            rows=rows,
        )

    def _noisy(self, task: Task, rate: float, low: float, high: float, rows: np.ndarray) -> Found:
        return Found(
            Severity.WARNING,
            f"{rate:.1%} of the tags of '{task.name}' ({low:.1%} to {high:.1%}) differ from the usual tag of the same "
            f"token between the same neighbours; {len(rows):,} rows are listed.",
            "Inconsistent tags put a ceiling on the task and noise into the encoder that others share.",
            "look at the listed rows, those with most such tags first",
            measured=low,
            threshold=self.max_rate,
            tasks=(task.name,),
            columns=task.columns,
            rows=rows,
        )


def _context(words: pa.ChunkedArray, lengths: npt.NDArray[np.int64]) -> Hashes:
    """One hash for each token with its two neighbours inside the row."""
    flat = pc.utf8_lower(pc.list_flatten(words.combine_chunks()).cast(pa.string()))
    own = hashes(pa.chunked_array([flat]))
    first = np.zeros(len(own), dtype=bool)
    last = np.zeros(len(own), dtype=bool)
    ends = np.cumsum(lengths)
    first[ends - lengths] = True
    last[ends - 1] = True
    before = np.where(first, np.uint64(1), np.roll(own, 1))
    after = np.where(last, np.uint64(2), np.roll(own, -1))
    return mix(own + mix(before ^ np.uint64(0xABCD)) * np.uint64(3) + mix(after ^ np.uint64(0x1234)) * np.uint64(5))


def _contradictions(key: Hashes, given: npt.NDArray[np.int32], repeat: int) -> tuple[npt.NDArray[np.bool_], int]:
    """Tokens whose tag is not the majority tag of their context, and how many tokens stand in a judged context."""
    if not len(key):
        return np.zeros(0, dtype=bool), 0
    _, context, size = np.unique(key, return_inverse=True, return_counts=True)
    n = int(given.max()) + 2
    cell, inverse, counts = np.unique(context.astype(np.int64) * n + given + 1, return_inverse=True, return_counts=True)
    top = np.zeros(len(size), dtype=np.int64)
    np.maximum.at(top, cell // n, counts)
    judged = (size >= repeat) & (top > size / 2)
    wrong = judged[context] & (counts[inverse] < top[context])
    return wrong, int(judged[context].sum())
