"""What every encoder, sharing architecture and head promises, over the catalogues."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from encoder_cases import CASES, TABULAR, Blocks, tensors
from torch import Tensor

from sharewise.batch import Inputs, Targets
from sharewise.models import encoders, heads, sharing, slim
from sharewise.models.build import GroupModel, Slot, from_config, slots_of
from sharewise.models.stacked import Stack
from sharewise.plan import Choice
from sharewise.tasks import Task, TaskKind, TaskSet
from sharewise.training.cohort import Cohort
from sharewise.training.data import TrainingData
from sharewise.training.recipe import Recipe, Tuned
from sharewise.training.results import Member
from sharewise.training.shared import is_shared

TASKS = (
    Task("yes", TaskKind.BINARY, ("yes",), "auroc", classes=(0, 1)),
    Task("sort", TaskKind.MULTICLASS, ("sort",), "accuracy", classes=("a", "b", "c")),
    Task("grade", TaskKind.ORDINAL, ("grade",), "quadratic_kappa", classes=(1, 2, 3, 4)),
    Task("tags", TaskKind.MULTILABEL, ("t1", "t2"), "auroc", classes=("t1", "t2")),
    Task("level", TaskKind.REGRESSION, ("level",), "rmse"),
    Task("typical", TaskKind.REGRESSION, ("typical",), "mae"),
    Task("again", TaskKind.RECONSTRUCTION, ("x", "z"), "rmse", classes=("x", "z")),
)


def inputs(rows: int, members: int, seed: int = 0) -> Inputs[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return Inputs(
        {
            "numeric": torch.randn(members, rows, 3, generator=generator),
            "categorical": torch.stack(
                [torch.randint(0, n, (members, rows), generator=generator) for n in (4, 20)], dim=-1
            ),
            "embedding": torch.randint(0, 2, (members, rows, 2), generator=generator).to(torch.uint8),
        }
    )


SETTINGS: dict[str, Choice] = {
    **{name: Choice(name) for name in sharing.CATALOGUE},
    "hard, split 1": Choice("hard", {"split": 1}),
    "hard, split 0": Choice("hard", {"split": 0}),
    "soft, trace": Choice("soft", {"tie": "trace"}),
    "ple, one level": Choice("ple", {"levels": 1}),
    "ple, three levels": Choice("ple", {"levels": 3}),
    "ple, none of its own": Choice("ple", {"n_own": 0}),
    "adapters, none": Choice("adapters", {"size": 0}),
    "lora, none": Choice("lora", {"rank": 0}),
    "task_embedding, none": Choice("task_embedding", {"size": 0}),
}
"""Every architecture of the catalogue as it comes, and in settings that change what its tasks share."""


def model(architecture: str = "hard", tasks: tuple[Task, ...] = TASKS, members: int = 2) -> tuple[GroupModel, Stack]:
    made = GroupModel(TABULAR, SETTINGS[architecture], slots_of(tasks))
    stack = Stack(made)
    stack.populate(list(range(members)), [[t.name for t in tasks]] * members)
    return made, stack


def stirred(architecture: str) -> tuple[GroupModel, Stack]:
    """A model whose parameters are all away from their start, where some of them are zero."""
    made, stack = model(architecture)
    stack.flat += 0.1 * torch.randn(stack.flat.shape, generator=torch.Generator().manual_seed(5))
    return made, stack


@pytest.mark.parametrize("architecture", SETTINGS)
class TestSharing:
    def test_shared_parameters_are_those_that_two_losses_reach(self, architecture: str) -> None:
        """Every shared cell's parameter is reached by several slots; an own one's part by its slot alone."""
        made, stack = stirred(architecture)
        reached: dict[str, set[int]] = {entry.name: set() for entry in stack.entries}
        outputs = made.outputs(made.features(inputs(8, 2)))
        for out, slots in zip(outputs, made.blocks, strict=True):
            for position, slot in enumerate(slots):
                total = out[:, position].sum()
                grads = torch.autograd.grad(total, stack.parameters, retain_graph=True, allow_unused=True)
                for entry, grad in zip(stack.entries, grads, strict=True):
                    if grad is None or not bool((grad != 0).any()):
                        continue
                    reached[entry.name].add(slot)
                    if not entry.shared:
                        mine = (entry.slots or range(len(TASKS)))[:]
                        for row, owner in enumerate(mine):
                            assert owner == slot or not bool((grad[:, row] != 0).any()), entry.name
        for entry in stack.entries:
            if is_shared(entry):
                assert len(reached[entry.name]) >= 2, entry.name
            elif not entry.name.startswith("heads."):
                assert reached[entry.name], entry.name

    def test_works_for_one_task(self, architecture: str) -> None:
        made, _ = model(architecture, TASKS[:1])
        assert made.predict(inputs(5, 2))[0].shape == (2, 5, 1)

    def test_without_a_tasks_own_parameters_the_others_answer_as_before(self, architecture: str) -> None:
        made, stack = stirred(architecture)
        before = made.predict(inputs(6, 2))
        for entry in stack.entries:
            mine = entry.slots if entry.slots else range(len(TASKS))
            if not entry.shared and 2 in mine:
                entry.of(stack.flat)[:, list(mine).index(2)] = torch.nan
        after = made.predict(inputs(6, 2))
        assert not torch.isfinite(after[2]).all()
        for slot in (0, 1, 3, 4, 5, 6):
            assert torch.equal(before[slot], after[slot])

    def test_a_task_starts_alike_whoever_shares_its_group(self, architecture: str) -> None:
        whole, _ = model(architecture)
        fewer, _ = model(architecture, TASKS[:3])
        if any(entry.crossed for entry in Stack(whole).entries):
            pytest.skip("every task reads what all the others have learnt")
        for a, b in zip(whole.predict(inputs(6, 2)), fewer.predict(inputs(6, 2)), strict=False):
            torch.testing.assert_close(a, b)

    def test_one_copy_of_the_representation_per_slot_gives_the_same_outputs(self, architecture: str) -> None:
        made, _ = stirred(architecture)
        z = made.features(inputs(6, 2))
        copies = z.unsqueeze(1).expand(-1, len(TASKS), *z.shape[1:])
        for a, b in zip(made.outputs(z), made.outputs(copies), strict=True):
            torch.testing.assert_close(a, b)

    def test_rows_and_members_are_independent(self, architecture: str) -> None:
        made, stack = model(architecture, members=3)
        x = inputs(7, 3)
        whole = made.predict(x)
        part = made.predict(Inputs({n: b[:, 2:5] for n, b in x.blocks.items()}))
        for a, b in zip(whole, part, strict=True):
            torch.testing.assert_close(a[:, 2:5], b)
        stack.bind(stack.flat[1:2].clone())
        alone = made.predict(Inputs({n: b[1:2] for n, b in x.blocks.items()}))
        for a, b in zip(whole, alone, strict=True):
            torch.testing.assert_close(a[1:2], b)

    def test_saved_and_loaded_gives_the_same_answers(self, architecture: str) -> None:
        made, stack = stirred(architecture)
        x = inputs(5, 1)
        again = slim.load(made.config, stack.state(1))
        stack.bind(stack.flat[1:2].clone())
        for a, b in zip(made.predict(x), again.predict(x), strict=True):
            assert torch.equal(a, b)

    def test_weights_of_another_architecture_are_refused(self, architecture: str) -> None:
        made, stack = model(architecture)
        state = stack.state(0)
        missing = dict(list(state.items())[1:])
        with pytest.raises(KeyError, match="must be those of the architecture"):
            slim.load(made.config, missing)
        name = next(iter(state))
        with pytest.raises(ValueError, match="must have shape"):
            slim.load(made.config, state | {name: torch.zeros(99)})


def test_the_suite_leaves_no_encoder_out(folder: Path) -> None:
    assert {CASES[name](2, folder)[0]["name"] for name in CASES} == set(encoders.CATALOGUE)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


def encoder_alone(name: str, folder: Path, members: int = 1, rows: int = 40) -> tuple[GroupModel, Stack, Blocks]:
    config, blocks = CASES[name](rows, folder)
    made = GroupModel(config, Choice("hard", {"width": 16}), slots_of(TASKS[:2]))
    stack = Stack(made)
    stack.populate(list(range(members)), [["yes", "sort"]] * members)
    return made, stack, blocks


TUNED = ("transformer", "token_transformer", "vision")
"""Encoders that are networks of others, which are trained more slowly."""


@pytest.mark.parametrize("encoder", CASES)
class TestEncoders:
    def test_overfits_32_rows(self, encoder: str, folder: Path) -> None:
        config, blocks = CASES[encoder](40, folder)
        y = torch.randn(40, 1, generator=torch.Generator().manual_seed(1)).numpy()
        tuned = config["name"] in TUNED
        if tuned:
            # Two layers of 16 units mean-pooled over words without order know which words there are, not more.
            (codes,) = (block.reshape(40, -1) for block in blocks.values())
            y = (codes == 6).sum(axis=1, keepdims=True).astype(np.float32)
            y = codes.mean(axis=1, keepdims=True).astype(np.float32) / 64 if config["name"] == "vision" else y
        tasks = TaskSet((Task("y", TaskKind.REGRESSION, ("y",), "rmse"),))
        parts = {"train": np.arange(32), "validation": np.arange(32)}
        data = TrainingData.of(tasks, Inputs(blocks), Targets(y, np.ones_like(y, bool), (slice(0, 1),)), parts)
        net = GroupModel(config, Choice("hard", {"width": 64}), slots_of(tasks.tasks))
        rate, steps = (8e-2, 60) if tuned else (1e-2, 300)
        member = Member("m", (0,), 0, Tuned(lr=rate, weight_decay=0.0, dropout=0.0))
        recipe = Recipe(epochs=1, min_steps=steps, batch_size=32, patience=99)
        result = Cohort([member], net, data, recipe).fit(())[0]
        assert min(v for v in result.curves[0].validation_loss if v is not None) < 0.02 * float(y.var())

    def test_takes_no_rows_at_all(self, encoder: str, folder: Path) -> None:
        made, _, blocks = encoder_alone(encoder, folder)
        assert made.predict(tensors({n: b[:0] for n, b in blocks.items()}, 1))[0].shape == (1, 0, 1)

    def test_unseen_and_missing_inputs_are_ordinary(self, encoder: str, folder: Path) -> None:
        made, _, blocks = encoder_alone(encoder, folder)
        missing = {n: np.zeros_like(b) for n, b in blocks.items()}
        unseen = {n: np.full_like(b, 10**6) if n.startswith("id:") else b for n, b in blocks.items()}
        for odd in (missing, unseen):
            assert all(torch.isfinite(p).all() for p in made.predict(tensors(odd, 1)))

    def test_rows_and_members_are_independent(self, encoder: str, folder: Path) -> None:
        made, stack, blocks = encoder_alone(encoder, folder, members=2)
        whole = made.predict(tensors(blocks, 2))
        part = made.predict(tensors({n: b[5:9] for n, b in blocks.items()}, 2))
        for a, b in zip(whole, part, strict=True):
            torch.testing.assert_close(a[:, 5:9], b, rtol=1e-4, atol=1e-5)
        stack.bind(stack.flat[1:2].clone())
        for a, b in zip(whole, made.predict(tensors(blocks, 1)), strict=True):
            torch.testing.assert_close(a[1:2], b, rtol=1e-4, atol=1e-5)

    def test_saved_and_loaded_gives_the_same_answers(self, encoder: str, folder: Path) -> None:
        made, stack, blocks = encoder_alone(encoder, folder)
        stack.flat.add_(0.01 * torch.randn(stack.flat.shape, generator=torch.Generator().manual_seed(5)))
        again = slim.load(json.loads(json.dumps(made.config)), stack.state(0))
        for a, b in zip(made.predict(tensors(blocks, 1)), again.predict(tensors(blocks, 1)), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("fusion", ["concat", "gated", "attention"])
def test_a_missing_input_is_read_as_absent_whatever_its_block_holds(fusion: str, folder: Path) -> None:
    config, blocks = CASES["mixed"](6, folder)
    made = GroupModel({**config, "fusion": fusion}, Choice("hard"), slots_of(TASKS[:1]))
    Stack(made).populate([0], [["yes"]])
    blocks["present"][:, 0] = [1, 1, 1, 0, 0, 0]
    other = {**blocks, "text:review": blocks["text:review"] + 1}
    a, b = (made.predict(tensors(x, 1))[0][0] for x in (blocks, other))
    assert (a[:3] != b[:3]).all()
    assert torch.equal(a[3:], b[3:])


def test_unseen_and_missing_categories_are_one_code_and_change_nothing_else() -> None:
    made, _ = model(members=1)
    x = inputs(4, 1)
    codes = x["categorical"].clone()
    codes[:, :, :] = 0
    features = made.encoder(Inputs({**x.blocks, "categorical": codes}))
    assert torch.isfinite(features).all()
    one_hot = features[..., 3 + 4 : 3 + 4 + 3]
    assert (one_hot == 0).all()


def test_piecewise_linear_encoding_is_the_papers() -> None:
    """Gorishniy et al. 2022, eq. 1, on a column with bins [-1, 0] and [0, 1]."""
    made, _ = model(members=1)
    x = torch.tensor([[[-2.0, 0, 0], [-0.25, 0, 0], [0.5, 0, 0], [3.0, 0, 0]]])
    blocks = {"numeric": x, "categorical": torch.zeros(1, 4, 2, dtype=torch.long), "embedding": torch.zeros(1, 4, 2)}
    encoded = made.encoder(Inputs(blocks))[0, :, 3:5]
    # The first bin is open below and the last open above, to the width of one bin.
    expected = torch.tensor([[-1.0, 0.0], [0.75, 0.0], [1.0, 0.5], [1.0, 2.0]])
    torch.testing.assert_close(encoded, expected)


WIDTHS = {"multiclass": 3, "nested": 3, "ordinal": 4, "multilabel": 2, "reconstruction": 2} | {
    "token_tagging": 3,
    "spans": 5,
}
ONE_OF = ("multiclass", "nested", "ordinal", "token_tagging", "spans")


@pytest.mark.parametrize("name", heads.CATALOGUE)
class TestHeads:
    def built(self, name: str) -> tuple[heads.base.Head, Tensor]:  # type: ignore[name-defined]
        width = WIDTHS.get(name, 1)
        targets = {"multilabel": 2, "reconstruction": 2, "token_tagging": 4, "spans": 4}.get(name, 1)
        slots = [Slot(name, width, targets)] * 2
        made = GroupModel({"n_numeric": 3}, Choice("hard", {"width": 8}), slots)
        Stack(made).populate([0], [["a", "b"]])
        head = made.block_heads[0][1]
        random = torch.Generator().manual_seed(0)
        if name in ("regression", "absolute", "reconstruction"):
            values = torch.randn(1, 2, 6, targets, generator=random)
        else:
            top = WIDTHS[name] if name in ONE_OF else 2
            values = torch.randint(0, top, (1, 2, 6, targets), generator=random).float()
        return head, values

    def outputs(self, head: heads.base.Head, features: Tensor) -> Tensor:  # type: ignore[name-defined]
        """What the head says of 6 rows, or of the 4 tokens of each."""
        tokens = features.repeat_interleave(4, dim=1)
        return head.own_rows(head(torch.cat([features, tokens], dim=1) if head.per_token else features), 6)

    def test_absent_cells_move_nothing(self, name: str) -> None:
        head, values = self.built(name)
        features = torch.randn(1, 6 * (1 + values.shape[-1]) if head.per_token else 6, 8)
        present = torch.ones_like(values, dtype=torch.bool)
        present[:, 0] = False
        present[:, 1, 3:] = False
        losses = head.losses(head(features), values, present, None)
        other = torch.where(present, values, (values + 1).clamp(max=1))
        torch.testing.assert_close(losses, head.losses(head(features), other, present, None))
        assert losses[0, 0] == 0

    def test_loss_is_least_at_what_it_predicts(self, name: str) -> None:
        """Proper: gradient descent on the outputs reaches the target."""
        head, values = self.built(name)
        out = self.outputs(head, torch.zeros(1, 6, 8)).detach().clone().requires_grad_()
        present = torch.ones_like(values, dtype=torch.bool)
        optimiser = torch.optim.Adam([out], lr=0.05)
        for _ in range(500):
            optimiser.zero_grad()
            cells = head.row_losses(out, values, None) * present
            cells.sum().backward()
            optimiser.step()
        predicted = head.predict(out)
        if head.per_token:
            # Random tags make no whole spans: what is learnt shows before they are decoded.
            assert (out.argmax(-1) == values).float().mean() > 0.9
        elif name in ("multiclass", "nested", "ordinal"):
            assert (predicted.argmax(-1) == values[..., 0]).float().mean() > 0.9
            torch.testing.assert_close(predicted.sum(-1), torch.ones_like(predicted[..., 0]))
        else:
            assert (predicted - values).abs().max() < 0.1

    def test_class_weights_weigh_their_class(self, name: str) -> None:
        head, values = self.built(name)
        if name in ("regression", "absolute", "reconstruction"):
            pytest.skip("it has no classes")
        out = self.outputs(head, torch.randn(1, 6, 8))
        classes = WIDTHS.get(name, 2)
        plain = head.row_losses(out, values, None)
        doubled = head.row_losses(out, values, torch.full((1, 2, classes), 2.0))
        expected = torch.where(values > 0.5, 2.0, 1.0) * plain if name == "multilabel" else 2 * plain
        torch.testing.assert_close(doubled, expected)


def test_slots_of_one_family_start_from_the_family() -> None:
    tasks = tuple(
        Task(f"score@{g}", TaskKind.REGRESSION, ("score",), "rmse", family="score", where=("school", g)) for g in "abc"
    )
    made, _ = model(tasks=tasks, members=1)
    answers = made.predict(inputs(5, 1))
    torch.testing.assert_close(answers[0], answers[1])
    assert all(slot.family == 0 for slot in slots_of(tasks))
    assert slots_of(tasks[:1])[0].family == -1


def test_a_configuration_describes_its_model() -> None:
    made, _ = model()
    again = from_config(made.config)
    assert again.config == made.config
    assert [p.shape for p in again.parameters()] == [p[:1].shape for p in made.parameters()]


def test_ordinal_probabilities_follow_proportional_odds() -> None:
    """McCullagh 1980: the log odds of P(y <= c) differ by theta_c only."""
    made, stack = model(tasks=TASKS[2:3], members=1)
    stack.flat.normal_(generator=torch.Generator().manual_seed(4))
    p = made.predict(inputs(9, 1))[0][0]
    below = p.cumsum(-1)[:, :-1]
    logits = torch.log(below / (1 - below))
    differences = logits - logits[:1]
    torch.testing.assert_close(differences, differences[:, :1].expand_as(differences), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("architecture", sharing.CATALOGUE)
def test_a_task_reads_only_the_inputs_that_it_names(architecture: str, folder: Path) -> None:
    config, blocks = CASES["mixed"](6, folder)
    columns = {
        "age": {"numeric": [0, 1, 2]},
        "sort": {"categorical": [0, 1], "embedding": [0, 1]},
        "review": {"present": [0]},
        "user": {"present": [1]},
    }
    blocks["present"][:] = 1
    tasks = tuple(replace(t, inputs=i) for t, i in zip(TASKS[:3], [("review",), (), ("review", "age")], strict=True))
    made = GroupModel({**config, "columns": columns}, Choice(architecture), slots_of(tasks))
    stack = Stack(made)
    stack.populate([0, 1], [[t.name for t in tasks]] * 2)
    before = made.predict(tensors(blocks, 2))
    changed = {
        "id:user": blocks["id:user"] + 1,
        "numeric": blocks["numeric"] + 1,
        "text:review": blocks["text:review"] + 1,
    }
    reads = {"id:user": [1], "numeric": [1, 2], "text:review": [0, 1, 2]}
    for block, other in changed.items():
        after = made.predict(tensors({**blocks, block: other}, 2))
        moved = [s for s in range(3) if not torch.equal(before[s], after[s])]
        assert moved == reads[block], block
    again = slim.load(json.loads(json.dumps(made.config)), stack.state(0))
    for a, b in zip(before, again.predict(tensors(blocks, 1)), strict=True):
        torch.testing.assert_close(a[:1], b)
