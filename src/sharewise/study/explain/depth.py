"""Intervention: the task leaves the shared trunk earlier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sharewise.causes import Hypothesis, Remedy
from sharewise.study.choices import ARCHITECTURE
from sharewise.study.explain.base import Case, Change, Intervention, mean, strength, with_params


class Depth(Intervention):
    """The harmed task, and no other, gets its own last layer, and then all layers but the first (`split` of hard
    sharing): what it shares is then only what it reads lower down.

    Its own layers are as many and as wide as they were, so that its path is no larger than the single model's. It is
    tried after capacity, which it also frees a little of.

    Signal: the share of task pairs whose gradients conflict, by layer.
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
        """Conflicting pairs by layer, the lowest against the highest; it never moves depth ahead, as conflict rates are
        alike in healthy and in harmed groups."""
        looks = [r.balance.conflict_rate_by_layer for r in case.shared if r.balance is not None]
        names = [n for n in (looks[0] if looks else {}) if all(look.get(n) is not None for look in looks)]
        if len(names) < 2:
            return None
        low, high = (mean([look[name] for look in looks]) for name in (names[0], names[-1]))
        if low is None or high is None:
            return None
        sentence = f"{low:.0%} of the task pairs conflict in the lowest shared layer, {high:.0%} in the highest"
        return Hypothesis(self.name, high - low, 0.1, min(0.49, strength(high - low, 0.1, 0.5)), sentence)
