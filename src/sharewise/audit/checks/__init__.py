"""The catalogue of checks: one a file, in the order in which they are run and reported."""

from sharewise.audit.checks.base import Check
from sharewise.catalogue import Catalogue

_HERE = "sharewise.audit.checks"

CATALOGUE: Catalogue[Check] = Catalogue(
    "audit check",
    {
        # leakage
        "split_duplicates": f"{_HERE}.split_duplicates:SplitDuplicates",
        "near_duplicates": f"{_HERE}.near_duplicates:NearDuplicates",
        "split_entities": f"{_HERE}.split_entities:SplitEntities",
        "split_time": f"{_HERE}.split_time:SplitTime",
        "input_leaks": f"{_HERE}.input_leaks:InputLeaks",
        "leaky_names": f"{_HERE}.leaky_names:LeakyNames",
        "id_columns": f"{_HERE}.id_columns:IdColumns",
        "target_copies": f"{_HERE}.target_copies:TargetCopies",
        "shifted_targets": f"{_HERE}.shifted_targets:ShiftedTargets",
        # inconsistent annotation
        "label_conflicts": f"{_HERE}.label_conflicts:LabelConflicts",
        "label_rules": f"{_HERE}.label_rules:LabelRules",
        "annotators": f"{_HERE}.annotators:Annotators",
        # label noise
        "label_noise": f"{_HERE}.label_noise:LabelNoise",
        "tag_noise": f"{_HERE}.tag_noise:TagNoise",
        # temporal skew
        "task_periods": f"{_HERE}.task_periods:TaskPeriods",
        "label_drift": f"{_HERE}.label_drift:LabelDrift",
        "test_period": f"{_HERE}.test_period:TestPeriod",
        "frozen_inputs": f"{_HERE}.frozen_inputs:FrozenInputs",
        # imbalance and coverage
        "degenerate_tasks": f"{_HERE}.degenerate_tasks:DegenerateTasks",
        "task_volumes": f"{_HERE}.task_volumes:TaskVolumes",
        "task_overlap": f"{_HERE}.task_overlap:TaskOverlap",
        "missing_labels": f"{_HERE}.missing_labels:MissingLabels",
        "class_balance": f"{_HERE}.class_balance:ClassBalance",
        "test_power": f"{_HERE}.test_power:TestPower",
        # scale and form
        "constant_columns": f"{_HERE}.constant_columns:ConstantColumns",
        "duplicate_columns": f"{_HERE}.duplicate_columns:DuplicateColumns",
        "empty_rows": f"{_HERE}.empty_rows:EmptyRows",
        "missing_codes": f"{_HERE}.missing_codes:MissingCodes",
        "category_variants": f"{_HERE}.category_variants:CategoryVariants",
        "mixed_units": f"{_HERE}.mixed_units:MixedUnits",
        "heavy_tails": f"{_HERE}.heavy_tails:HeavyTails",
        "unseen_classes": f"{_HERE}.unseen_classes:UnseenClasses",
    },
)
