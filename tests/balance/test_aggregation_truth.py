"""Aggregators against truths that need no other library: closed forms, KKT conditions, residuals."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sharewise.balance.aggregation.aligned import AlignedMTL
from sharewise.balance.aggregation.cagrad import CAGrad
from sharewise.balance.aggregation.config import ConFIG
from sharewise.balance.aggregation.dualproj import DualProj
from sharewise.balance.aggregation.fairgrad import FairGrad
from sharewise.balance.aggregation.gradnorm import GradNorm
from sharewise.balance.aggregation.gradvac import GradVac
from sharewise.balance.aggregation.imtl_g import IMTLG
from sharewise.balance.aggregation.mean import Mean
from sharewise.balance.aggregation.mgda import MGDA
from sharewise.balance.aggregation.nash import Nash
from sharewise.balance.aggregation.pcgrad import PCGrad
from sharewise.balance.aggregation.primary import Primary
from sharewise.balance.aggregation.smooth import Smooth
from sharewise.balance.aggregation.upgrad import UPGrad
from sharewise.balance.contracts import Aggregator, TaskFacts
from sharewise.balance.solvers import nonnegative
from sharewise.errors import ConfigError

TWO = torch.tensor([[4.0, -2.0], [-2.0, 9.0]], dtype=torch.float64)
"""Norms 2 and 3, cosine -1/3."""


def rows(n_tasks: int, n: int, seed: int, decades: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(n_tasks, n, generator=generator, dtype=torch.float64)
    return found * torch.logspace(-decades, decades, n_tasks, dtype=torch.float64)[:, None]


def weigh(method: Aggregator, matrix: Tensor, losses: Tensor | None = None) -> Tensor:
    n = matrix.shape[-1]
    method.build(n)
    weights: Tensor = method(matrix, torch.ones(n, dtype=torch.float64) if losses is None else losses)
    return weights


def close(found: Tensor, expected: list[float], tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=tolerance, atol=1e-10)


seeds = st.integers(0, 10_000)
sizes = st.integers(2, 24)
spreads = st.floats(0.0, 2.0)


# --- two tasks, by hand ----------------------------------------------------------------------


def test_two_tasks_by_hand() -> None:
    close(weigh(Mean(), TWO), [0.5, 0.5])
    close(weigh(MGDA(), TWO), [(9 + 2) / (4 + 9 + 4), (4 + 2) / (4 + 9 + 4)])
    root = math.sqrt(1 - 1 / 3)
    close(weigh(Nash(max_norm=None), TWO), [1 / (2 * root), 1 / (3 * root)])
    close(weigh(IMTLG(), TWO), [0.6, 0.4])
    # each gradient loses its part along the other: 1 + 2/4 and 1 + 2/9, halved
    close(weigh(PCGrad(), TWO), [0.75, 0.5 + 1 / 9])
    close(weigh(UPGrad(), TWO), [0.75, 0.5 + 1 / 9])
    # the mean has <m, g_1> = 1 and <m, g_2> = 3.5: nothing to project
    close(weigh(DualProj(), TWO), [0.5, 0.5])
    # C^+ 1 = 3/2 (1, 1), along = (1, 1): w = 3/2 (1/2, 1/3) (2 + 3) / 3
    close(weigh(ConFIG(), TWO), [1.25, 2.5 / 3])


def test_two_orthogonal_tasks_by_hand() -> None:
    matrix = torch.diag(torch.tensor([4.0, 9.0], dtype=torch.float64))
    close(weigh(FairGrad(alpha=2.0), matrix), [4.0 ** (-2 / 3), 9.0 ** (-2 / 3)])
    close(weigh(FairGrad(alpha=1.0), matrix), [0.5, 1 / 3])
    close(weigh(Nash(), matrix), [0.5 / math.sqrt(2), 1 / 3 / math.sqrt(2)])
    close(weigh(AlignedMTL(), matrix), [0.5, 0.5 * 2 / 3])
    close(weigh(AlignedMTL(scale="rmse"), matrix), [math.sqrt(6.5) / 4, math.sqrt(6.5) / 6])
    close(weigh(GradVac(), matrix), [0.5, 0.5])


def test_mgda_normalisations_on_two_orthogonal_tasks() -> None:
    matrix, losses = torch.diag(torch.tensor([4.0, 9.0], dtype=torch.float64)), torch.tensor([1.0, 2.0])
    expected = {"none": (4.0, 9.0), "l2": (1.0, 1.0), "loss": (4.0, 9.0 / 4), "loss+": (1.0, 1.0 / 4)}
    for name, (a, b) in expected.items():
        found = weigh(MGDA(normalise=name), matrix, losses.double())  # type: ignore[arg-type]
        close(found, [b / (a + b), a / (a + b)])


# --- optimality ------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(n_tasks=sizes, seed=seeds, decades=spreads)
def test_mgda_satisfies_the_kkt_conditions(n_tasks: int, seed: int, decades: float) -> None:
    jacobian = rows(n_tasks, n_tasks + 3, seed, decades)
    matrix = jacobian @ jacobian.mT
    weights = weigh(MGDA(), matrix)
    gain, least = matrix @ weights, weights @ matrix @ weights
    assert (gain >= least * (1 - 1e-7)).all()
    assert (weights * (gain - least)).abs().max() <= 1e-7 * least


@settings(max_examples=25, deadline=None)
@example(n_tasks=3, seed=3, decades=2.0, alpha=0.5)  # a ridge that hides nearly opposing tasks costs 2e-8
@given(n_tasks=sizes, seed=seeds, decades=spreads, alpha=st.sampled_from([0.5, 1.0, 2.0, 5.0]))
def test_fairgrad_and_nash_solve_their_equation(n_tasks: int, seed: int, decades: float, alpha: float) -> None:
    jacobian = rows(n_tasks, 2 * n_tasks, seed, decades)
    matrix = jacobian @ jacobian.mT
    weights = weigh(FairGrad(alpha=alpha), matrix)
    assert (weights > 0).all()
    residual = (matrix @ weights) * weights ** (1 / alpha) - 1
    assert residual.abs().max() <= 1e-8


@pytest.mark.parametrize("n_tasks", [8, 40, 100])
def test_nash_residual_at_norms_over_four_decades(n_tasks: int) -> None:
    jacobian = rows(n_tasks, 3 * n_tasks, 0, decades=2.0)
    matrix = jacobian @ jacobian.mT
    weights = weigh(Nash(max_norm=None), matrix)
    assert ((matrix @ weights) * weights - 1).abs().max() <= 1e-10


@settings(max_examples=25, deadline=None)
@given(n_tasks=st.integers(2, 12), seed=seeds, decades=spreads, deficient=st.booleans())
def test_dual_cone_projections_satisfy_the_kkt_conditions(
    n_tasks: int, seed: int, decades: float, deficient: bool
) -> None:
    jacobian = rows(n_tasks, max(n_tasks // 2, 1) if deficient else n_tasks + 3, seed, decades)
    matrix = jacobian @ jacobian.mT
    extra = weigh(DualProj(), matrix) - 1 / n_tasks
    direction = (extra + 1 / n_tasks) @ jacobian
    norms = jacobian.norm(dim=1)
    mean = jacobian.mean(0)
    slack = jacobian @ direction
    assert (extra >= -1e-12).all()
    assert (slack >= -1e-7 * norms * mean.norm()).all()
    assert (extra * slack).abs().max() <= 1e-6 * mean.norm() ** 2
    up = weigh(UPGrad(), matrix)
    assert (matrix @ up >= -1e-7 * norms * norms.max()).all()


@pytest.mark.parametrize("n_tasks", [5, 40, 100])
@pytest.mark.parametrize("lean", [0.0, 0.5, 0.9, 0.999], ids=lambda lean: f"mean-{lean}")
def test_many_programs_of_one_matrix_satisfy_the_kkt_conditions(n_tasks: int, lean: float) -> None:
    # rows without (almost all of) their mean: the last step before a Pareto-stationary point
    stack = [rows(n_tasks, 3 * n_tasks, seed, 0.0) for seed in range(3)]
    stack.append(rows(n_tasks, n_tasks // 2, 3, 0.0))  # of half rank
    units = [r - lean * r.mean(0) for r in stack]
    cosine = torch.stack([u @ u.mT for u in (u / u.norm(dim=1, keepdim=True) for u in units)])
    x = nonnegative.solve(cosine, cosine)
    slack = x @ cosine + cosine
    tolerance = torch.tensor([1e-10] * 3 + [1e-8], dtype=torch.float64)
    assert (torch.minimum(x, slack).abs().amax((-2, -1)) <= tolerance).all()
    for one, alone in zip(cosine[:3], x, strict=False):
        torch.testing.assert_close(nonnegative.solve(one, one), alone, rtol=1e-7, atol=1e-8)


def test_upgrad_is_the_mean_of_exact_projections() -> None:
    jacobian = rows(6, 9, 3)
    matrix = jacobian @ jacobian.mT
    total = torch.zeros(6, dtype=torch.float64)
    for k in range(6):
        # one projection by exhaustion over the active sets
        best, value = None, math.inf
        for subset in range(2**6):
            part = [j for j in range(6) if subset >> j & 1]
            v = torch.zeros(6, dtype=torch.float64)
            v[k] = 1.0
            if part:
                v[part] += torch.linalg.solve(matrix[part][:, part], -(matrix[part] @ v))
            feasible = (v - torch.eye(6, dtype=torch.float64)[k] >= -1e-10).all() and ((matrix @ v >= -1e-9).all())
            if feasible and float(v @ matrix @ v) < value:
                best, value = v, float(v @ matrix @ v)
        assert best is not None
        total += best / 6
    torch.testing.assert_close(weigh(UPGrad(), matrix), total, rtol=1e-8, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(n_tasks=sizes, seed=seeds, decades=spreads, c=st.sampled_from([0.1, 0.4, 0.9]))
def test_cagrad_satisfies_the_kkt_conditions(n_tasks: int, seed: int, decades: float, c: float) -> None:
    jacobian = rows(n_tasks, n_tasks + 3, seed, decades)
    matrix = jacobian @ jacobian.mT
    extra = weigh(CAGrad(c=c), matrix) - 1 / n_tasks
    mean = jacobian.mean(0)
    length = (extra @ jacobian).norm()
    assert length.item() == pytest.approx(c * mean.norm().item(), rel=1e-7)
    gain = matrix @ (extra + 1 / n_tasks)
    worst = gain.min()
    slack = (gain - worst) / (jacobian.norm(dim=1) * mean.norm())
    assert (extra >= -1e-12).all()
    assert (extra / extra.sum() * slack).max() <= 1e-7


def test_cagrad_is_the_mean_at_zero_and_mgda_at_infinity() -> None:
    jacobian = rows(5, 8, 1)
    matrix = jacobian @ jacobian.mT
    close(weigh(CAGrad(c=0.0), matrix), [0.2] * 5)
    far = weigh(CAGrad(c=1e6), matrix)
    torch.testing.assert_close(far / far.sum(), weigh(MGDA(), matrix), rtol=1e-4, atol=1e-5)
    halved = weigh(CAGrad(c=1.0, rescale=True), matrix)
    torch.testing.assert_close(halved * 2, weigh(CAGrad(c=1.0), matrix))


@settings(max_examples=20, deadline=None)
@given(n_tasks=sizes, seed=seeds, decades=spreads)
def test_imtl_g_projects_equally_and_config_has_equal_cosines(n_tasks: int, seed: int, decades: float) -> None:
    jacobian = rows(n_tasks, n_tasks + 4, seed, decades)
    matrix = jacobian @ jacobian.mT
    units = jacobian / jacobian.norm(dim=1, keepdim=True)
    for method in (IMTLG(), ConFIG()):
        along = units @ (weigh(method, matrix) @ jacobian)
        assert (along > 0).all()
        torch.testing.assert_close(along, along.mean().expand(n_tasks), rtol=1e-6, atol=0.0)
    direction = weigh(ConFIG(), matrix) @ jacobian
    unit = direction / direction.norm()
    torch.testing.assert_close(direction.norm(), (jacobian @ unit).sum(), rtol=1e-6, atol=0.0)


@settings(max_examples=20, deadline=None)
@given(n_tasks=sizes, seed=seeds, decades=spreads)
def test_aligned_rows_are_orthogonal_and_equally_long(n_tasks: int, seed: int, decades: float) -> None:
    jacobian = rows(n_tasks, 2 * n_tasks + 4, seed, min(decades, 0.5))
    u, s, v = torch.linalg.svd(jacobian, full_matrices=False)
    expected = s.min() * (u @ v).mean(0)
    found = weigh(AlignedMTL(), jacobian @ jacobian.mT) @ jacobian
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6 * float(expected.norm()))


# --- surgery on the vectors themselves -------------------------------------------------------


def test_pcgrad_and_gradvac_equal_surgery_on_vectors() -> None:
    jacobian = rows(7, 9, 5, 0.5) - 0.3
    order_of = PCGrad().build(7)
    sequence = order_of.noise.pairs().argsort(-1).tolist()
    expected = torch.zeros(9, dtype=torch.float64)
    turned = torch.zeros(9, dtype=torch.float64)
    target = 0.3
    for i in range(7):
        g, v = jacobian[i].clone(), jacobian[i].clone()
        for j in sequence[i]:
            if j == i:
                continue
            if g @ jacobian[j] < 0:
                g = g - (g @ jacobian[j]) / jacobian[j].norm() ** 2 * jacobian[j]
            cosine = (v @ jacobian[j]) / (v.norm() * jacobian[j].norm())
            if cosine < target:
                up = target * (1 - cosine**2).sqrt() - cosine * math.sqrt(1 - target**2)
                v = v + v.norm() * up / (jacobian[j].norm() * math.sqrt(1 - target**2)) * jacobian[j]
                after = (v @ jacobian[j]) / (v.norm() * jacobian[j].norm())
                assert after.item() == pytest.approx(target)
        expected, turned = expected + g / 7, turned + v / 7
    matrix = jacobian @ jacobian.mT
    torch.testing.assert_close(weigh(PCGrad(), matrix) @ jacobian, expected, rtol=1e-9, atol=1e-10)
    vaccine = GradVac().build(7)
    vaccine.target.fill_(target)
    found = vaccine(matrix, torch.ones(7)) @ jacobian
    torch.testing.assert_close(found, turned, rtol=1e-9, atol=1e-10)
    assert ((vaccine.target != target).sum(-1) == 6).all()


# --- state, a primary task, errors -----------------------------------------------------------


def test_gradnorm_brings_norms_to_a_common_scale() -> None:
    matrix = torch.diag(torch.tensor([100.0, 1.0, 0.01], dtype=torch.float64))
    method = GradNorm(alpha=0.0, lr=0.05).build(3)
    for _ in range(500):
        weights = method(matrix, torch.ones(3, dtype=torch.float64))
    scaled = weights * torch.tensor([10.0, 1.0, 0.1])
    assert (scaled.max() / scaled.min()).item() < 2.0  # from 100


def test_smooth_is_an_average_of_its_inner_weights() -> None:
    inner, smooth = MGDA(), Smooth(of="mgda", decay=0.5).build(2)
    first, second = TWO, torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64))
    losses = torch.ones(2)
    torch.testing.assert_close(smooth(first, losses), inner(first, losses))
    expected = 0.5 * inner(first, losses) + 0.5 * inner(second, losses)
    torch.testing.assert_close(smooth(second, losses), expected)


@settings(max_examples=20, deadline=None)
@given(n_tasks=sizes, seed=seeds, decades=spreads)
def test_auxiliaries_never_oppose_the_primary(n_tasks: int, seed: int, decades: float) -> None:
    jacobian = rows(n_tasks, 3, seed, decades)
    matrix = jacobian @ jacobian.mT
    method = Primary(task=1)
    gain = (matrix @ weigh(method, matrix))[1]
    assert gain >= matrix[1, 1] / n_tasks * (1 - 1e-9)


def test_primary_by_name_and_declared() -> None:
    facts = TaskFacts(2, names=("main", "aux"), primary=0)
    close(Primary().build(facts)(TWO, torch.ones(2)), [0.5 + 0.5 * 2 / 4, 0.5])
    close(Primary(task="main", share=0.75).build(facts)(TWO, torch.ones(2)), [0.75 + 0.25 * 2 / 4, 0.25])
    with pytest.raises(ConfigError, match="Did you mean 'main'"):
        Primary(task="mein").build(facts)
    with pytest.raises(ConfigError, match="needs a primary task; however, none is declared"):
        Primary().build(2)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: FairGrad(alpha=0.0), "'alpha' must be positive; however, it is 0.0"),
        (lambda: CAGrad(c=-1.0), "'c' must not be negative"),
        (lambda: MGDA(normalise="l1"), "'normalise' must be one of none, l2, loss, loss\\+"),  # type: ignore[arg-type]
        (lambda: AlignedMTL(scale="max"), "'scale' must be one of min, median, rmse"),  # type: ignore[arg-type]
        (lambda: GradVac()(TWO, torch.ones(2)), "must be built for its tasks before its first step"),
        (lambda: Mean()(TWO, torch.ones(3)), "A Gramian must be"),
    ],
)
def test_bad_parameters_are_a_sentence(make, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=sentence):
        make()
