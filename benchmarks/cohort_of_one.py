"""A cohort of one against a hand-written PyTorch loop of the same net, recipe and data; and 32 members stacked against
one after another.

Both loops gather batches by index, encode, drop, clip, schedule and evaluate alike. Rounds are interleaved; what is
compared is processor time, and what is printed is the median of the per-round ratios.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sharewise.batch import Inputs, Targets
from sharewise.models.build import GroupModel, slots_of
from sharewise.plan import Choice
from sharewise.tasks import Task, TaskKind, TaskSet
from sharewise.training.cohort import Cohort
from sharewise.training.data import TrainingData
from sharewise.training.recipe import Recipe
from sharewise.training.results import Member

LR, WEIGHT_DECAY, DROPOUT = 2e-3, 1e-2, 0.1
BATCH = 128


class Net(nn.Module):
    """The net that a cohort's member is: learnt scale, trunk of two layers with dropout, linear head."""

    def __init__(self, n_in: int, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_in))
        self.first, self.second, self.head = nn.Linear(n_in, width), nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.dropout(F.silu(self.first(x * self.scale)), DROPOUT, self.training)
        h = F.dropout(F.silu(self.second(h)), DROPOUT, self.training)
        return self.head(h)


def by_hand(data: TrainingData, width: int, epochs: int, seed: int) -> int:
    """An ordinary training loop; returns its steps."""
    torch.manual_seed(seed)
    x, y = data.inputs["numeric"], data.targets.values
    train, validation = (torch.from_numpy(data.parts[p]).to(x.device) for p in ("train", "validation"))
    net = Net(x.shape[1], width).to(x.device)
    optimiser = torch.optim.AdamW(net.parameters(), LR, betas=(0.9, 0.95), weight_decay=WEIGHT_DECAY)
    per_epoch = len(train) // BATCH
    total = epochs * per_epoch

    def share(step: int) -> float:
        p = step / total
        return min(
            (p + 1 / total) / 0.05, 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(max((p - 0.05) / 0.95, 0), 1)))
        )

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, share)
    best, kept = math.inf, net.state_dict()
    for _ in range(epochs):
        net.train()
        order = train[torch.randperm(len(train), device=x.device)][: per_epoch * BATCH].view(per_epoch, BATCH)
        for rows in order:
            loss = F.mse_loss(net(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        net.eval()
        with torch.no_grad():
            now = float(F.mse_loss(net(x[validation]), y[validation]))
        if now < best:
            best, kept = now, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(kept)
    return total


def stacked(data: TrainingData, width: int, epochs: int, seeds: range) -> int:
    """The same by the cohort engine; returns the steps of a member."""
    model = GroupModel(
        {"n_numeric": data.inputs["numeric"].shape[1]}, Choice("hard", {"width": width}), slots_of(data.tasks.tasks)
    )
    recipe = Recipe(epochs=epochs, min_steps=0, batch_size=BATCH, patience=10**6)
    cohort = Cohort([Member(str(s), (0,), s) for s in seeds], model, data, recipe)
    cohort.fit(())
    return int(cohort.steps_done.max())


def table(n_rows: int, n_features: int, device: str) -> TrainingData:
    """A regression task that a small net can learn."""
    random = np.random.default_rng(0)
    x = random.normal(size=(n_rows, n_features)).astype(np.float32)
    y = np.tanh(x @ random.normal(size=(n_features, 1))).astype(np.float32)
    parts = {"train": np.arange(int(n_rows * 0.8)), "validation": np.arange(int(n_rows * 0.8), n_rows)}
    tasks = TaskSet((Task("y", TaskKind.REGRESSION, ("y",), "rmse"),))
    targets = Targets(y, np.ones_like(y, dtype=bool), (slice(0, 1),))
    return TrainingData.of(tasks, Inputs({"numeric": x}), targets, parts, device)


def seconds(call: object, device: str) -> float:
    """Processor seconds of a call; on a GPU wall seconds until it is idle."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    start = clock()
    call()  # type: ignore[operator]
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds; the printout says so")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    said = parser.parse_args()
    rounds, device = (3 if said.quick else 9), said.device
    torch.set_num_threads(1)
    print(f"device: {torch.cuda.get_device_name() if device == 'cuda' else 'cpu'}, {rounds} rounds")
    for features, width, rows in ((32, 64, 4000), (64, 256, 4000)):
        data = table(rows, features, device)
        by_hand(data, width, 1, 0), stacked(data, width, 1, range(1))
        ratios = []
        for r in range(rounds):
            mine = seconds(lambda: stacked(data, width, 10, range(r, r + 1)), device)
            ratios.append(mine / seconds(lambda: by_hand(data, width, 10, r), device))
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        net = f"{features}-{width}-{width}, batch {BATCH}"
        print(f"cohort of one / hand-written loop, {net}: {statistics.median(ratios):.2f} ({spread})")
    for features, width in ((32, 64), (64, 256)):
        data = table(4000, features, device)
        gains, hand = [], []
        for _ in range(max(rounds // 3, 2)):
            together = seconds(lambda: stacked(data, width, 5, range(32)), device)
            one_by_one = seconds(lambda: [stacked(data, width, 5, range(s, s + 1)) for s in range(32)], device)
            loops = seconds(lambda: [by_hand(data, width, 5, s) for s in range(32)], device)
            gains.append(one_by_one / together)
            hand.append(loops / together)
        against = f"{statistics.median(gains):.1f} times by the engine, {statistics.median(hand):.1f} times by hand"
        print(f"32 members of {features}-{width}-{width} one after another / stacked: {against}")


if __name__ == "__main__":
    main()
