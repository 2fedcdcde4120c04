"""Intervention: a partner's suspicious labels are left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sharewise.audit.noise import confident_learning, residual_noise
from sharewise.causes import Hypothesis, Remedy
from sharewise.models.boosted import Boosted
from sharewise.seeds import derive
from sharewise.study.explain.base import Case, Change, Intervention, Rows, strength
from sharewise.study.explain.partner import ranked, without
from sharewise.tasks import TaskKind

FOLDS = 4
LIMIT = 2.5
"""Robust deviations from which a number is suspicious."""
MOST_ROWS = 20_000
FEWEST = 0.05
"""Share of suspicious labels below which leaving them out is not tried."""
LITTLE = 0.05
"""Skill below which a partner's labels are taken for noise as a whole."""
MOST = 4


class PartnerData(Intervention):
    """The group trained without the labels of a partner that out-of-fold boosted trees find suspicious: confident
    learning for classes, residuals over 2.5 robust deviations for numbers; all of them where a model of the partner
    alone is no better than a constant. Train and validation rows both.

    Signal: the partner with the least skill alone (1 - validation loss over the best constant's).
    """

    name = "partner data"
    cause = "a partner's labels"
    upstream = True

    def changes(self, case: Case) -> Sequence[Change]:
        """For each suspicious partner, the most suspicious first."""
        made = []
        for partner in ranked(case)[:MOST]:
            rows = suspects(case, partner)
            n = case.labels(partner) + len(case.prepared.rows_of(partner, "validation"))
            if len(rows) < FEWEST * n:
                continue
            all_ = len(rows) >= n
            said = "none of the labels" if all_ else f"{n - len(rows):,} of the {n:,} labels"
            advice = f"check the labels of '{partner}' (`sharewise audit`), and meanwhile train it apart"
            made.append(
                Change(
                    f"labels of {partner}",
                    f"{said} of '{partner}' used: the others contradict a model that did not see them"
                    if not all_
                    else f"{said} of '{partner}' used: nothing predicts them better than a constant",
                    without(case, partner) if all_ and len(case.group.tasks) > 2 else case.shared_variant,
                    Remedy(advice, apart=(partner,)),
                    without=partner if all_ and len(case.group.tasks) > 2 else None,
                    hidden={partner: rows},
                )
            )
        return made

    def suspicion(self, case: Case) -> Hypothesis | None:
        """See the class."""
        skills = {p: s for p in case.partners if (s := case.skill(p)) is not None}
        if not skills:
            return None
        partner = min(skills, key=lambda p: skills[p])
        skill = skills[partner]
        sentence = f"'{partner}' is hardly learnt even alone (skill {skill:.2f}; 0 is a constant answer)"
        if skill > LITTLE:
            sentence = f"every partner is learnt alone (least skill {skill:.2f}, of '{partner}')"
        return Hypothesis(self.name, skill, LITTLE, strength(-skill, -LITTLE, 0.0), sentence)

    def convicted(self, change: Change) -> str:
        """Whose labels."""
        return f"the labels of partner '{next(iter(change.hidden))}'"


def suspects(case: Case, partner: str) -> Rows:
    """Row numbers (train and validation) whose label of `partner` is suspicious; O(FOLDS) fits of boosted trees."""
    prepared = case.prepared
    task = prepared.tasks[partner]
    rows = np.concatenate([prepared.rows_of(partner, part) for part in ("train", "validation")]).astype(np.int64)
    skill = case.skill(partner)
    if skill is not None and skill <= LITTLE:
        return rows
    nothing: Rows = np.zeros(0, dtype=np.int64)
    single = (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.ORDINAL, TaskKind.REGRESSION)
    if task.kind not in single or not 50 <= len(rows) <= MOST_ROWS:
        return nothing
    where = prepared.targets.slices[prepared.tasks.index(partner)]
    values, present = prepared.targets.values[:, where], prepared.targets.present[:, where]
    folds = np.random.default_rng(derive(0, "explain", partner)).integers(0, FOLDS, len(rows))
    made = np.zeros((len(rows), task.n_outputs))
    params = {**Boosted.search_space(0, 0), "rounds": 100}
    for fold in range(FOLDS):
        held = folds == fold
        model = Boosted.fit(task, prepared.inputs, values, present, rows[~held], rows[:0], params, fold)
        made[held] = model.predict(prepared.inputs.at(rows[held]))
    given = values[rows, 0]
    if task.kind is TaskKind.REGRESSION:
        noise, _ = residual_noise(given.astype(np.float64), made[:, 0], LIMIT)
    else:
        p = np.hstack([1 - made, made]) if task.kind is TaskKind.BINARY else made
        noise = confident_learning(given.astype(np.int64), p.astype(np.float32))
    return rows[noise.suspects]
