"""A test period whose seasons the train period does not have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sharewise.audit.checks.base import Check
from sharewise.audit.result import CheckResult, Found
from sharewise.audit.view import TEST, TRAIN, AuditView
from sharewise.records import Severity

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip


@dataclass(frozen=True)
class TestPeriod(Check):
    """At most `max_share` = 5 % of the test rows fall into calendar months that no train row has. Only where the rows
    span more than `min_days` = 60 days, as shorter tables have no seasons to miss."""

    __test__ = False  # the name starts like a test's, and pytest collects by name
    max_share: float = 0.05
    min_days: float = 60.0

    def run(self, view: AuditView) -> CheckResult:
        """One finding with the months and rows; not computable for times that are no dates."""
        name = view.schema.time
        if view.time is None or name is None or not (view.part == TEST).any():
            return CheckResult()
        try:
            stamps = view.arrow.column(name).cast(pa.timestamp("us"))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return CheckResult(not_computable=(f"the time column '{name}' holds no dates",))
        if np.nanmax(view.time) - np.nanmin(view.time) < self.min_days * 86400:
            return CheckResult()
        months = pc.fill_null(pc.month(stamps), 0).to_numpy()
        test = np.flatnonzero((view.part == TEST) & (months > 0))
        rows = test[~np.isin(months[test], np.unique(months[view.part == TRAIN]))]
        share = len(rows) / max(len(test), 1)
        if share <= self.max_share:
            return CheckResult()
        missing = ", ".join(_MONTHS[int(m) - 1] for m in np.unique(months[rows]))
        found = Found(
            Severity.WARNING,
            f"{share:.0%} of the test rows are from months that no train row is from: {missing}.",
            "The test then measures extrapolation to another season, where shared and single models fail in ways of "
            "their own.",
            "train on a whole year, or test on months that train knows",
            measured=share,
            threshold=self.max_share,
            columns=(name,),
            rows=rows,
        )
        return CheckResult((found,))
