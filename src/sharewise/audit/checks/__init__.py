"""The catalogue of checks: one a file, in the order in which they are run and reported."""

from sharewise.audit.checks.base import Check
from sharewise.catalogue import Catalogue

_HERE = "sharewise.audit.checks"

CATALOGUE: Catalogue[Check] = Catalogue(
    "audit check",
    {
        # leakage
        "split_duplicates": f"{_HERE}.split_duplicates:SplitDuplicates",
        # imbalance and coverage
        "degenerate_tasks": f"{_HERE}.degenerate_tasks:DegenerateTasks",
        "task_volumes": f"{_HERE}.task_volumes:TaskVolumes",
        "class_balance": f"{_HERE}.class_balance:ClassBalance",
        # scale and form
        "constant_columns": f"{_HERE}.constant_columns:ConstantColumns",
    },
)
