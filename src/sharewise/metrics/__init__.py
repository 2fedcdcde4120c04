"""Metrics: how well a task is answered, with per-row values that carry the uncertainty of the score."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sharewise.catalogue import Catalogue
from sharewise.tasks import TaskKind

if TYPE_CHECKING:
    from sharewise.metrics.base import Metric

CATALOGUE: Catalogue[Metric] = Catalogue(
    "metric",
    {
        "auroc": "sharewise.metrics.auroc:AUROC",
        "average_precision": "sharewise.metrics.average_precision:AveragePrecision",
        "accuracy": "sharewise.metrics.accuracy:Accuracy",
        "balanced_accuracy": "sharewise.metrics.accuracy:BalancedAccuracy",
        "f1": "sharewise.metrics.f1:F1",
        "f1_macro": "sharewise.metrics.f1:F1Macro",
        "f1_micro": "sharewise.metrics.f1:F1Micro",
        "log_loss": "sharewise.metrics.probability:LogLoss",
        "brier": "sharewise.metrics.probability:Brier",
        "rmse": "sharewise.metrics.squared:RMSE",
        "nrmse": "sharewise.metrics.squared:NRMSE",
        "r2": "sharewise.metrics.squared:R2",
        "mae": "sharewise.metrics.absolute:MAE",
        "spearman": "sharewise.metrics.spearman:Spearman",
        "token_accuracy": "sharewise.metrics.tags:TokenAccuracy",
        "entity_f1": "sharewise.metrics.tags:EntityF1",
        "quadratic_kappa": "sharewise.metrics.kappa:QuadraticKappa",
    },
)

_DEFAULTS = {
    TaskKind.BINARY: "auroc",
    TaskKind.MULTICLASS: "accuracy",
    TaskKind.ORDINAL: "quadratic_kappa",
    TaskKind.MULTILABEL: "auroc",
    TaskKind.REGRESSION: "rmse",
    TaskKind.RECONSTRUCTION: "nrmse",
    TaskKind.TOKEN_TAGGING: "token_accuracy",
}


@cache
def metric(name: str) -> Metric:
    """The metric called `name`; raises KeyError, with the nearest valid name, where there is none."""
    return CATALOGUE.build(name)


def default_metric(kind: TaskKind, *, spans: bool = False) -> str:
    """Name of the metric a task of this kind is judged by when the study file names none.

    AUROC for binary tasks and, as the mean over labels, for multilabel ones: it needs no threshold and does not
    move with the share of positives. Accuracy for multiclass: a plain mean over rows, the score whose verdicts
    keep their word best. Quadratic kappa for ordinal. RMSE for regression; for reconstruction its form free
    of units, since the rebuilt columns have different ones. Token accuracy for tags, entity F1 where they make spans.
    """
    return "entity_f1" if spans and kind is TaskKind.TOKEN_TAGGING else _DEFAULTS[kind]
