"""Intervention: the task leaves the shared trunk earlier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sharewise.causes import Hypothesis, Remedy
from sharewise.study.choices import ARCHITECTURE
from sharewise.study.explain.base import Case, Change, Intervention, with_params


class Depth(Intervention):
    """The harmed task, and no other, gets its own last layer, and then all layers but the first (`split` of hard
    sharing): what it shares is then only what it reads lower down.

    Its own layers are as many and as wide as they were, so that its path is no larger than the single model's. It is
    tried after capacity, which it also frees a little of. No signal at hand.
    """

    name = "depth"
    cause = "depth: the task shares too many layers"

    def changes(self, case: Case) -> Sequence[Change]:
        """Splits of hard sharing, the latest first; none below the first layer, where nothing would be shared."""
        said = case.shared_variant.architecture
        known = {p.name: p.default for p in ARCHITECTURE.parameters(said.name)}
        if not {"split", "depth"} <= known.keys():
            return ()
        depth = int(str(said.params.get("depth", known["depth"])))
        now = said.params.get("split", known["split"])
        by_task = dict(now) if isinstance(now, Mapping) else {t: now for t in case.group.tasks if now is not None}
        shared = int(str(by_task.get(case.task, depth)))
        made = []
        for split in dict.fromkeys((depth - 1, 1)):
            if not 1 <= split < shared:
                continue
            changed = with_params(case.shared_variant, split={**by_task, case.task: split})
            params = {"name": changed.architecture.name, **changed.architecture.params}
            text = f"{split} of {depth} layers shared by it, the rest its own"
            remedy = Remedy(f"let '{case.task}' share only the lowest {split} of {depth} layers", architecture=params)
            made.append(Change(f"split at {split}", text, changed, remedy))
        return made

    def suspicion(self, case: Case) -> Hypothesis | None:
        """None: the runs at hand do not say at which layer tasks part ways."""
        return None
