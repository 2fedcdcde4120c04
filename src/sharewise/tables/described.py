"""The declaration that a Parquet file carries itself: schema metadata `mtl` names inputs, tasks, split, time, group."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from sharewise.tables.schema import Declaration, InputDeclaration, InputKind, TaskDeclaration
from sharewise.tasks import TaskKind

METRIC_WORDS = (
    (r"\bspan F1", "entity_f1"),
    (r"token accuracy", "token_accuracy"),
    (r"ROC-AUC|\bAUC\b", "auroc"),
    (r"average precision|PR-AUC", "average_precision"),
    (r"balanced accuracy|macro recall", "balanced_accuracy"),
    (r"kappa", "quadratic_kappa"),
    (r"macro F1", "f1_macro"),
    (r"\bF1\b", "f1"),
    (r"\baccuracy\b", "accuracy"),
    (r"log loss|cross-entropy", "log_loss"),
    (r"Brier", "brier"),
    (r"RMSE|nMSE|\bMSE\b|RMSLE", "rmse"),
    (r"\bMAE\b", "mae"),
    (r"\bR2\b|explained variance", "r2"),
    (r"Spearman", "spearman"),
)
"""Words of a data card and the metric that they name; the leftmost in the card's text wins."""

FITS = {
    TaskKind.BINARY: {
        "auroc",
        "average_precision",
        "accuracy",
        "balanced_accuracy",
        "f1",
        "f1_macro",
        "log_loss",
        "brier",
    },
    TaskKind.MULTICLASS: {"accuracy", "balanced_accuracy", "f1_macro", "log_loss", "brier"},
    TaskKind.ORDINAL: {"quadratic_kappa", "accuracy", "balanced_accuracy", "f1_macro"},
    TaskKind.REGRESSION: {"rmse", "mae", "r2", "spearman"},
    TaskKind.TOKEN_TAGGING: {"entity_f1", "token_accuracy"},
}


def declaration(described: Mapping[str, Any], columns: Collection[str]) -> Declaration:
    """What the metadata says of the table's `columns`, in our words.

    Columns of kind `multilabel` are binary tasks, one each, as the cards score them; `ordered` makes a multiclass task
    ordinal; `per_group` groups it; `count` asks for log1p. Metadata outlives a column that was dropped with another
    tool, so what it says of columns that are gone counts for nothing.
    """

    def role(name: str) -> str | None:
        said = described.get(name)
        return said if said in columns else None

    there = [i for i in described.get("inputs", ()) if i["name"] in columns]
    return Declaration(
        tasks=tuple(_task(t) for t in described.get("tasks", ()) if t["name"] in columns),
        inputs=tuple(InputDeclaration(i["name"], input_kind(i["kind"])) for i in there) or None,
        row_id=role("row_id"),
        split=role("split"),
        time=role("time"),
        group=role("group"),
    )


def input_kind(word: str) -> InputKind:
    """An input kind of the metadata; images carry their size (`image:uint8:36x36`)."""
    return InputKind(word.partition(":")[0])


def _task(said: Mapping[str, Any]) -> TaskDeclaration:
    kind = TaskKind(str(said["kind"]).replace("-", "_"))
    words = str(said.get("metric", ""))
    if kind is TaskKind.MULTILABEL:
        # A card's "macro F1" is a mean over the labels; a label alone is judged by the default.
        kind, words = TaskKind.BINARY, ""
    if kind is TaskKind.MULTICLASS and said.get("ordered"):
        kind = TaskKind.ORDINAL
    return TaskDeclaration(
        name=said["name"],
        kind=kind,
        metric=metric(words, kind),
        classes=tuple(said.get("classes", ())) if kind is not TaskKind.BINARY else (),
        positive=said.get("positive"),
        transform="log1p" if said.get("count") else "none",
        by=said.get("per_group"),
    )


def metric(words: str, kind: TaskKind) -> str | None:
    """The metric that a card's words name first and that fits the kind, or None."""
    fitting = [
        (m.start(), name)
        for pattern, name in METRIC_WORDS
        if name in FITS.get(kind, ()) and (m := re.search(pattern, words))
    ]
    return min(fitting)[1] if fitting else None
