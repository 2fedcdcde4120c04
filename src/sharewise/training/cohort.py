"""Many members trained at once, each as if it were alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sharewise.balance.choose import Balance
from sharewise.balance.contracts import TaskFacts
from sharewise.balance.engine.balancer import Balancer
from sharewise.balance.engine.step import Step
from sharewise.balance.weighting.equal import Equal
from sharewise.models.build import GroupModel
from sharewise.models.sharing.base import Dropout
from sharewise.models.stacked import Entry, Stack
from sharewise.records import Status
from sharewise.seeds import derive
from sharewise.training.data import TrainingData
from sharewise.training.lookahead import LookaheadObserver
from sharewise.training.observers import BalanceObserver
from sharewise.training.optimiser import StackedAdamW, clip_
from sharewise.training.order import Order, samplers
from sharewise.training.recipe import Recipe, batch_size_for
from sharewise.training.results import Collector, Evaluation, FitResult, Member, chunks, padded
from sharewise.training.shared import Shared, is_shared
from sharewise.training.step import Slots, labelled
from sharewise.training.stopping import Checkpoints
from sharewise.training.tempo import Tempo, facts_of


class Cohort:
    """Members with one model, trained together.

    A member's result does not depend on who shares its cohort: its initial weights, row order and dropout masks come
    from its own seed and step, its losses, clipping and schedule are its own. (Sums run in another order in a larger
    stack, so the last bits differ.) Members that have stopped, or whose numbers are no longer finite, leave the stack.
    Members of a cohort must have equal slots and one batch size. `starts`, where given, holds the initial parameters of
    every member that are not drawn, by name.
    """

    def __init__(
        self,
        members: Sequence[Member],
        model: GroupModel,
        data: TrainingData,
        recipe: Recipe,
        balance: Balance | None = None,
        starts: Sequence[Mapping[str, Tensor]] = (),
    ) -> None:
        self.members, self.model, self.data, self.recipe = list(members), model, data, recipe
        balance = balance or Balance(Balancer(Equal()))
        self.stack = Stack(model.to(data.device))
        names = [[data.tasks.tasks[t].name for t in member.layout] for member in members]
        self.stack.populate([member.seed for member in members], names, data.device)
        for m, start in enumerate(starts):
            self.stack.start(m, start)
        facts, seeds = self._facts(), [derive(member.seed, "balance") for member in members]
        self.primary = facts.primary
        self.balancer = balance.balancer.build(facts, seeds)
        self.shared = Shared(model, self.stack, self.balancer)
        self.learnt = [(StackedAdamW(p.data), p) for p in self.balancer.parameters()]
        layout = torch.tensor([m.layout for m in members], device=data.device)
        busy = torch.tensor([[t in m.tasks for t in m.layout] for m in members], device=data.device)
        self.slots = Slots(layout, model, data, None if bool(busy.all()) else busy)
        train = [data.rows_of_any(m.tasks, "train") for m in members]
        sizes = {recipe.batch_size or batch_size_for(len(rows)) for rows in train}
        if len(sizes) != 1:
            raise ValueError(f"Members of a cohort must have one batch size; however, theirs are {sorted(sizes)}.")
        self.n_train = [len(rows) for rows in train]
        size = sizes.pop()
        per_epoch = np.array([max(len(rows) // size, 1) for rows in train])
        self.total = np.maximum(recipe.epochs * per_epoch, recipe.min_steps)
        # A member with few batches an epoch is evaluated about sixty times in all rather than after every few steps.
        self.every = np.maximum(per_epoch * recipe.evaluate_every, np.ceil(self.total / 60).astype(int))
        self.epochs = int(np.ceil(self.total / per_epoch).max())
        chosen = samplers(balance.sampler, members, data, train, self.epochs)
        self.batches = Order(members, train, size, data.device, chosen, data.lengths)
        self.validation = padded(data, members, "validation", recipe.max_validation_rows)
        n_slots = len(model.slots)
        self.criterion = balance.checkpoint or recipe.checkpoint
        self.checkpoints = Checkpoints(self.stack.flat, n_slots if self.criterion == "task" else 1)
        self.tempo = Tempo(balance, facts, seeds, self.stack, self.epochs)
        if not self.tempo.idle and len({member.tasks for member in members}) > 1:
            raise ValueError("Members whose tasks freeze or stop by themselves must have equal tasks; theirs differ.")
        self.observer = self._observer(balance)
        self.alive = list(range(len(members)))
        self.evaluations: list[list[Evaluation]] = [[] for _ in members]
        self.messages: dict[int, str] = {}
        self.weights = torch.zeros(len(members), n_slots, device=data.device)
        self.steps_done = np.zeros(len(members), dtype=int)
        self.passed = np.zeros(len(members), dtype=int)
        """How many pauses each member has come to."""
        self.over: set[int] = set()
        self.dropped: set[int] = set()
        self.spent = 0.0
        self.ahead: LookaheadObserver | None = None

    def look_ahead(self) -> None:
        """Have some steps of the one member looked at for what each task's does to the others."""
        if len(self.members) != 1:
            raise ValueError(f"One member is looked at; however, the cohort has {len(self.members)}.")
        self.ahead = LookaheadObserver(int(self.total[0]))

    def _observer(self, balance: Balance) -> BalanceObserver | None:
        """Notes of what balancing does, where any member has several tasks to balance."""
        n_slots = len(self.model.slots)
        if max(len(member.tasks) for member in self.members) < 2:
            return None
        cells = len(self.members) * sum(entry.shape.numel() for entry in self._trunk())
        meets = self.model.sharing.common
        level = "parameters" if self.shared.compared is not None else self.balancer.level.value
        return BalanceObserver(balance.method, level, n_slots, self.total, cells, meets)

    def _trunk(self) -> list[Entry]:
        return [entry for entry in self.stack.entries if is_shared(entry)]

    def _facts(self) -> TaskFacts:
        """What balancing may know: only a cohort whose members have the same tasks can name them."""
        if len({member.tasks for member in self.members}) > 1 or self.members[0].slots:
            return TaskFacts(len(self.model.slots), elsewhere=self.data.tasks.names)
        return facts_of(self.members[0].tasks, self.data)

    # --- training -----------------------------------------------------------------------------------------

    def fit(
        self, parts: Sequence[str] = ("validation",), progress: Callable[[int], None] | None = None
    ) -> list[FitResult]:
        """Train every member to its end; then predict the rows of `parts` from the best checkpoints."""
        for _ in self.training(progress):
            pass
        return self.results(parts)

    def training(
        self, progress: Callable[[int], None] | None = None, pauses: Sequence[float] = ()
    ) -> Generator[list[int], Collection[int], None]:
        """Train every member to its end, with a stop wherever members reach the next of `pauses`.

        `pauses` are shares of a member's own steps; it stops at its first evaluation from there on. Yields the numbers
        of the members that do, and is sent those, of any, that leave the stack there.
        """
        started = time.process_time()
        step, at, buffer, rates = 0, 0, torch.empty(0), torch.empty(0)
        device = self.data.device
        optimiser = StackedAdamW(self.stack.flat, beta2=self.recipe.beta2)
        slots, validation = self.slots, self.validation
        tuned = torch.tensor([[m.tuned.lr, m.tuned.weight_decay, m.tuned.dropout] for m in self.members], device=device)
        sums = torch.zeros(len(self.members), len(self.model.slots), device=device)
        counts, weights = torch.zeros_like(sums), torch.zeros_like(sums)
        where = torch.arange(len(self.members), device=device)
        dropout, next_due = self._dropout(tuned), self._next_due(0)
        while len(where):
            if at == buffer.shape[0]:
                buffer, rates, at = self.batches.ahead(16), tuned[:, :1] * self._schedule(step, 16).to(device), 0
            done = self._step(buffer[at], slots, optimiser, rates[at], tuned[:, 1:2], dropout.at(step), step)
            at += 1
            step += 1
            sums += done.losses * done.present
            counts += done.present
            weights += done.weights
            if step < next_due:
                continue
            due = self._due(step)
            next_due = self._next_due(step)
            chosen = torch.from_numpy(due).to(device)
            self.weights[where], weights = self.weights[where] + weights, torch.zeros_like(weights)
            skill = self._evaluate(chosen, where, slots, validation, sums, counts, step)
            if len(due) == len(where):
                self.balancer.after_epoch(sums / counts.clamp(min=1), counts > 0, skill)
            sums[chosen], counts[chosen] = 0, 0
            leaving = self._leaving(due, where, step)
            reached = self._reached(due, where, leaving, step, pauses)
            if reached:
                self.spent += time.process_time() - started
                self.dropped.update((yield reached))
                started = time.process_time()
                leaving |= np.isin(where.cpu().numpy(), list(self.dropped))
            if leaving.any():
                if progress is not None:
                    progress(int(leaving.sum()))
                stay = torch.from_numpy(np.flatnonzero(~leaving)).to(device)
                optimiser.keep(stay)
                self.balancer.keep(stay)
                self.tempo.keep(stay)
                if self.observer is not None:
                    self.observer.keep(stay)
                for learner, _ in self.learnt:
                    learner.keep(stay)
                self.stack.bind(self.stack.flat[stay].clone())
                slots = slots.keep(stay)
                validation = (validation[0][stay], validation[1][stay])
                tuned, sums, counts, where = tuned[stay], sums[stay], counts[stay], where[stay]
                weights, dropout = weights[stay], self._dropout(tuned)
                kept = stay.tolist()
                self.batches.keep(kept)
                self.alive = [self.alive[i] for i in kept]
                buffer, rates = buffer[:, stay], rates[:, stay]
                next_due = self._next_due(step)
        self.spent += time.process_time() - started

    def timed(self, n: int = 3) -> float:
        """Processor seconds of a step of the whole stack, measured over `n` steps after a first; they move the members,
        so that a cohort that is timed is not the one to train."""
        tuned = torch.tensor([[m.tuned.lr, m.tuned.weight_decay, m.tuned.dropout] for m in self.members])
        tuned, threads = tuned.to(self.data.device), torch.get_num_threads()
        buffer, rates = self.batches.ahead(n + 1), tuned[:, :1] * self._schedule(0, n + 1).to(self.data.device)
        optimiser, dropout = StackedAdamW(self.stack.flat, beta2=self.recipe.beta2), self._dropout(tuned)
        started = 0.0
        torch.set_num_threads(1)
        for step in range(n + 1):
            if step == 1:
                started = time.process_time()
            self._step(buffer[step], self.slots, optimiser, rates[step], tuned[:, 1:2], dropout.at(step), step)
        took = time.process_time() - started
        torch.set_num_threads(threads)
        return took / n

    def standing(self, member: int) -> float:
        """The best relative validation loss of a member so far: of its group, or the mean of its tasks' own."""
        best = self.checkpoints.value[member]
        known = best[torch.isfinite(best)]
        return float(known.mean()) if len(known) else float("inf")

    def _reached(
        self, due: np.ndarray, where: Tensor, leaving: np.ndarray, step: int, pauses: Sequence[float]
    ) -> list[int]:
        """Members that stop at a pause after `step` steps; those that leave anyway are over."""
        if not pauses:
            return []
        ids = where.cpu().numpy()
        self.over.update(ids[leaving].tolist())
        made = []
        for member in ids[due].tolist():
            passed = sum(step >= share * self.total[member] for share in pauses)
            if passed > self.passed[member] and member not in self.over:
                self.passed[member] = passed
                made.append(member)
        return made

    def _dropout(self, tuned: Tensor) -> Dropout:
        return Dropout(tuned[:, 2]) if bool((tuned[:, 2] > 0).any()) else Dropout()

    def _schedule(self, step: int, n: int) -> Tensor:
        """Share of the top learning rate of each living member at `step` and the n - 1 after it, (n, M, 1)."""
        total = self.total[self.alive]
        progress = (step + np.arange(n))[:, None] / total
        warm = self.recipe.warmup
        rising = (progress + 1 / total) / max(warm, 1e-9)
        falling = 0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * np.clip((progress - warm) / (1 - warm), 0, 1)))
        return torch.from_numpy(np.minimum(rising, falling).astype(np.float32)).unsqueeze(-1)

    def _step(
        self,
        rows: Tensor,
        slots: Slots,
        optimiser: StackedAdamW,
        lr: Tensor,
        weight_decay: Tensor,
        dropout: Dropout,
        step: int,
    ) -> Step:
        """Move every member by one batch (M, B); what came of it, with losses in comparable units."""
        values, cells = slots.targets(rows)

        def losses_from(z: Tensor) -> Tensor:
            outputs = self.model.outputs(z, dropout)
            return self.model.losses(outputs, values, cells, slots.class_weights) / slots.units

        if self.ahead is not None and self.ahead.due(step):

            def losses_now() -> Tensor:
                outputs = self.model.outputs(self.model.features(self.data.gather(rows)))
                return self.model.losses(outputs, values, cells, slots.class_weights) / slots.units

            self.ahead.look(losses_now, [e.parameter for e in self._trunk()], lr[:, 0], labelled(cells, self.model))
        features = self.model.features(self.data.gather(rows), dropout)
        done = self.balancer.backward_from(features, losses_from, labelled(cells, self.model), self.shared.compared)
        if self.observer is not None:
            self.observer.step(step, done, features, losses_from, lambda: self._trunk_again(rows, dropout.at(step)))
        self.shared.regularise()
        gradient = self.stack.take_gradient()
        clip_(gradient, self.recipe.clip)
        pace = self.shared.rates(lr, step, self.total[self.alive])
        pace = pace if self.tempo.factor is None else pace * self.tempo.factor
        optimiser.step(self.stack.flat, gradient, pace, weight_decay)
        self._move_weights(lr)
        if self.balancer.needs.losses_after_step:
            with torch.no_grad():
                again = dropout.at(step)
                after = self.model.outputs(self.model.features(self.data.gather(rows), again), again)
                after_losses = self.model.losses(after, values, cells, slots.class_weights) / slots.units
            self.balancer.after_step(done, after_losses)
        return done

    def _trunk_again(self, rows: Tensor, dropout: Dropout) -> tuple[Tensor, list[tuple[str, Tensor]]]:
        features = self.model.features(self.data.gather(rows), dropout)
        return features, [(e.name, e.parameter) for e in self._trunk()]

    def _move_weights(self, lr: Tensor) -> None:
        """One step of what the weighting itself learns, at each member's learning rate and without decay."""
        for optimiser, parameter in self.learnt:
            if parameter.grad is not None:
                optimiser.step(parameter.data, parameter.grad, lr, torch.zeros_like(lr))
                parameter.grad = None

    def _due(self, step: int) -> np.ndarray:
        """Positions of the living members that are evaluated after `step` steps."""
        every, total = self.every[self.alive], self.total[self.alive]
        return np.flatnonzero((step % every == 0) | (step >= total))

    def _next_due(self, step: int) -> int:
        """The next step count at which a living member is evaluated."""
        if not self.alive:
            return step
        every, total = self.every[self.alive], self.total[self.alive]
        return int(np.minimum((step // every + 1) * every, np.maximum(total, step + 1)).min())

    # --- evaluation ---------------------------------------------------------------------------------------

    def _evaluate(
        self,
        chosen: Tensor,
        where: Tensor,
        slots: Slots,
        validation: tuple[Tensor, Tensor],
        sums: Tensor,
        counts: Tensor,
        step: int,
    ) -> Tensor:
        """Validation loss of the members at positions `chosen`; best checkpoints and curves take note of it.

        Returns their skill (m, S): 1 - loss over the loss of the best constant answer, clipped to [0, 1].
        """
        flat = self.stack.flat
        everyone = len(chosen) == self.stack.n_members
        if not everyone:
            self.stack.bind(flat[chosen])
            slots = slots.keep(chosen)
        losses = self._validation_losses(slots, validation[0][chosen], validation[1][chosen])
        if not everyone:
            self.stack.bind(flat)
        train = (sums / counts)[chosen] * slots.units
        relative = losses / slots.scales
        deciding = relative.masked_fill(slots.auxiliary, float("nan"))
        criteria = self._criteria(deciding, slots.weights)
        ids = where[chosen]
        epochs = torch.from_numpy(
            np.ceil(step / np.array(self.batches.per_epoch)[chosen.cpu().numpy()]).astype(np.int64)
        ).to(flat.device)
        self.checkpoints.update(ids, criteria, epochs, flat[chosen])
        if not self.tempo.idle:
            self.tempo.evaluated(deciding, int(epochs.max()))
        if self.observer is not None:
            self.observer.evaluated(chosen, epochs.tolist(), self.tempo.frozen)
        finite = torch.isfinite(flat[chosen]).all(dim=1) & ~torch.isinf(losses).any(dim=1)
        for i, member in enumerate(ids.tolist()):
            self.evaluations[member].append(Evaluation(int(epochs[i]), train[i].cpu(), losses[i].cpu()))
            if not bool(finite[i]):
                self.messages[member] = f"its numbers were no longer finite after {step} steps"
        return (1 - relative).nan_to_num(0.0).clamp(0, 1)

    def _criteria(self, relative: Tensor, weights: Tensor) -> Tensor:
        """What checkpoints are chosen by, (m, C), from relative validation losses (m, S), nan for none."""
        if self.criterion == "task":
            return relative
        if self.criterion == "primary" and self.primary is not None:
            return relative[:, self.primary : self.primary + 1]
        known = ~relative.isnan()
        total = torch.where(known, relative * weights, 0.0).sum(dim=1, keepdim=True)
        return total / (weights * known).sum(dim=1, keepdim=True)

    @torch.no_grad()
    def _validation_losses(self, slots: Slots, rows: Tensor, real: Tensor) -> Tensor:
        """Mean loss per slot (m, S) over the labelled cells of the real rows; nan where there is none."""
        m, n_slots = slots.numbers.shape
        total = torch.zeros(m, n_slots, device=rows.device)
        count = torch.zeros(m, n_slots, device=rows.device)
        for start, stop in chunks(self.model, rows):
            part = rows[:, start:stop]
            values, cells = slots.targets(part)
            outputs = self.model.outputs(self.model.features(self.data.gather(part)))
            mask = real[:, start:stop].unsqueeze(1).unsqueeze(-1)
            blocks = zip(self.model.block_heads, outputs, values, cells, slots.class_weights, strict=True)
            for (members, head), out, v, p, w in blocks:
                p = p & mask
                where = list(members)
                out = head.own_rows(out, part.shape[1])
                total[:, where] += (head.row_losses(out, v, w) * p).sum((-1, -2))
                count[:, where] += p.sum((-1, -2))
        return total / count

    def _leaving(self, due: np.ndarray, where: Tensor, step: int) -> np.ndarray:
        """Which living members are done: at their last step, stale, or no longer finite."""
        ids = where.cpu().numpy()
        done = np.zeros(len(ids), dtype=bool)
        if self.tempo.stopped is not None:
            stale = self.tempo.stopped.cpu().numpy()
        else:
            stale = self.checkpoints.exhausted(self.recipe.patience).cpu().numpy()[ids]
        diverged = np.array([i in self.messages for i in ids])
        done[due] = ((step >= self.total[self.alive]) | stale | diverged)[due]
        self.steps_done[ids] = step
        return done

    def results(self, parts: Sequence[str]) -> list[FitResult]:
        """What became of every member, with predictions of the rows of `parts` from the best checkpoints."""
        collector = Collector(self.members, self.model, self.stack, self.data)
        collector.answer(self.checkpoints, parts)
        made = []
        for m in range(len(self.members)):
            never = not torch.isfinite(self.checkpoints.value[m]).any()
            status = Status.DIVERGED if m in self.messages and never else Status.DONE
            if m in self.dropped:
                status = Status.DROPPED
                self.messages[m] = f"it was behind after {self.steps_done[m]:,} of {self.total[m]:,} steps"
            seconds = self.spent * float(self.steps_done[m]) / max(float(self.steps_done.sum()), 1.0)
            weights = self.weights[m] / max(int(self.steps_done[m]), 1)
            ended = (status, self.messages.get(m, ""))
            result = collector.result(m, self.evaluations[m], weights, ended, self.n_train[m], seconds, self.observer)
            made.append(result if self.ahead is None else replace(result, lookahead=self._seen_ahead(self.ahead)))
        return made

    def _seen_ahead(self, ahead: LookaheadObserver) -> tuple[tuple[float | None, ...], ...]:
        """The table of the one member's own tasks."""
        mine = [s for s, _ in self.members[0].busy]
        table = ahead.table()[np.ix_(mine, mine)]
        return tuple(tuple(float(f"{v:.4g}") if np.isfinite(v) else None for v in row) for row in table)
