"""Intervention: a wider trunk, for the shared and for the single models."""

from __future__ import annotations

from collections.abc import Sequence

from sharewise.causes import Hypothesis, Remedy
from sharewise.study.choices import ARCHITECTURE
from sharewise.study.explain.base import Case, Change, Intervention, at_epoch, mean, strength, with_params


class Capacity(Intervention):
    """Twice and four times the units in every layer, of both arms: only a gap that closes for the shared model alone is
    one of capacity (Shaham et al. 2022; Ruchte and Grabocka 2021).

    Signal: the task's training loss at the chosen epochs, shared over single: a trunk too small cannot even fit.
    """

    name = "capacity"
    cause = "capacity: the trunk is too narrow for all the tasks at once"

    def changes(self, case: Case) -> Sequence[Change]:
        """Twice and four times the width, where the architecture has one."""
        width = _width(case)
        if width is None:
            return ()
        return [
            Change(
                f"width x{times}",
                f"{width * times} units a layer instead of {width}, for the shared and the single models",
                with_params(case.shared_variant, width=width * times),
                Remedy(
                    f"make the trunk {width * times} units wide",
                    architecture={
                        "name": case.shared_variant.architecture.name,
                        **case.shared_variant.architecture.params,
                        "width": width * times,
                    },
                ),
                alone=with_params(case.alone_variant, width=width * times),
            )
            for times in (2, 4)
        ]

    def suspicion(self, case: Case) -> Hypothesis | None:
        """See the class."""
        width = _width(case)
        losses = []
        for records in (case.shared, case.single):
            found = []
            for record in records:
                if case.task in record.curves:
                    curve = record.curves[case.task]
                    found.append(at_epoch(curve, record.best_epoch.get(case.task, 0), curve.train_loss))
            losses.append(mean(found))
        shared, single = losses
        if width is None or shared is None or single is None or single <= 0:
            return None
        ratio = shared / single
        sentence = (
            f"its training loss is {ratio:.2g} times the single model's ({shared:.3g} against {single:.3g}): "
            + ("it is not fitted" if ratio > 1.25 else "it is fitted, so the gap is one of generalisation")
            + f"; {len(case.group.tasks)} tasks share {width} units"
        )
        crowded = width < 4 * len(case.group.tasks)
        value = strength(ratio, 1.25, 2.0)
        return Hypothesis(self.name, ratio, 1.25, value if crowded else min(value, 0.49), sentence)


def _width(case: Case) -> int | None:
    """Units a layer of the group's architecture, its default where nothing was said."""
    said = case.shared_variant.architecture
    if "width" in said.params:
        return int(str(said.params["width"]))
    return next((int(p.default) for p in ARCHITECTURE.parameters(said.name) if p.name == "width"), None)
