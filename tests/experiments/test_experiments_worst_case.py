"""The parts of the experiments on worst cases, inner solvers, gradient counts and single steps, at sizes of their own."""

import math
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from sandbox.theory.worst_case_space import NEEDED

needs_solver = pytest.mark.skipif(
    any(find_spec(name) is None for name in NEEDED), reason=f"semidefinite worst cases need {', '.join(NEEDED)}: pip install -e .[dev]"
)


@pytest.fixture
def worst(module):
    return module["worst_case_of_rules"]


@pytest.fixture
def solvers(module):
    return module["rso_inner_solvers"]


@pytest.fixture
def count(module, monkeypatch):
    """With 8 rows, and one column."""
    monkeypatch.setattr(module["rso_gradient_count"], "ROWS", 8)
    monkeypatch.setattr(module["rso_gradient_count"], "COLUMNS", 1)
    return module["rso_gradient_count"]


@needs_solver
def test_a_row_holds_the_worst_case_and_runs_below_it(worst):
    setting = worst.Setting("gradient descent", 0.7, 2)
    (row,) = worst.measure(setting, (77,))
    assert row["semidefinite"] == pytest.approx(2 * (1 - 0.3**4) / (1 - 0.3**2), rel=1e-6)
    assert row["isotropic"] == pytest.approx(row["semidefinite"], rel=1e-6) and row["isotropic share"] == pytest.approx(1, rel=1e-6)
    assert row["nonconvex"] < row["ill-conditioned"] < row["semidefinite"]


@needs_solver
def test_without_the_solver_the_claim_says_what_to_install(worst, monkeypatch):
    monkeypatch.setattr("sandbox.theory.worst_case_space.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="needs PEPit, cvxpy, clarabel: pip install"):
        worst.measure(worst.Setting("gradient descent", 0.7, 2), (77,))


def test_adam_alone_is_out_of_scope(worst):
    assert worst.scope(worst.Setting("adam", 0.5, 2)).startswith("no semidefinite worst case of Adam")
    assert worst.scope(worst.Setting("gradient descent", 0.5, 2)) is None and worst.scope(worst.Setting("rso", 0.5, 2)) is None


@pytest.mark.parametrize("solver", ["gradient descent", "heavy ball", "nesterov"])
def test_what_a_rule_leaves_of_a_number(solvers, solver):
    """Against the recursion of the textbook, three steps of 0.2."""
    setting = solvers.Setting(solver, interval=3, step=0.2)
    b, buffer = 1.0, 0.0
    for _ in range(3):
        buffer = b + (0.0 if solver == "gradient descent" else 0.5) * buffer
        b -= 0.2 * (b + 0.5 * buffer if solver == "nesterov" else buffer)
    assert solvers.left_after(setting) == pytest.approx(b, rel=1e-12)
    assert solvers.linear_share(setting) == pytest.approx(setting.rank / setting.rows * (1 - b**2), rel=1e-12)


def test_a_full_basis_takes_exactly_the_share(solvers):
    """r = m with Haar columns: P P^T = I, so nothing is random and one seed decides."""
    setting = solvers.Setting("heavy ball", rows=4, rank=4, interval=3, step=0.2, rounds=2)
    (row,) = solvers.measure_rounds(setting, (77,))
    assert row["taken"] / row["before"] == pytest.approx(solvers.linear_share(setting), rel=1e-9)
    prox = solvers.Setting(rows=4, rank=4, interval=3, t=0.7, rounds=2)
    (row,) = solvers.measure_rounds(prox, (77,))
    assert row["taken"] / row["before"] == pytest.approx(solvers.prox_share(prox), rel=1e-9)


def test_the_prox_weight_is_t_over_the_smoothness_of_the_subspace(solvers):
    rule = solvers.frame(solvers.Setting(rows=8, rank=2, t=0.7))
    assert rule.eta == pytest.approx(0.7 / 4) and rule.inner.lr == pytest.approx(1 / (4 + 4 / 0.7))
    assert solvers.frame(solvers.Setting(rows=8, rank=2)).eta is None


def test_the_noise_of_a_setting_is_its_variance(solvers):
    setting = solvers.Setting("sgd", rows=4, columns=3, noise=0.6)
    assert 12 * solvers.oracle_of(setting).sigma ** 2 == pytest.approx(0.6)
    assert solvers.oracle_of(replace(setting, solver="adam")) is None


def test_gradients_are_counted_to_the_first_loss_at_the_target(count):
    assert count.first_below(np.array([4.0, 2.0, 1.0, 3.0, 0.5]), 1.0) == 2
    assert count.first_below(np.array([4.0, 2.0]), 1.0) == math.inf


@pytest.mark.parametrize(
    "fields", [{"rank": 1}, {"rank": 8, "law": "gaussian"}, {"rank": 2, "interval": 8}, {"rank": 2, "interval": 2, "t": 0.2}], ids=str
)
def test_the_budget_is_enough_at_other_seeds(count, fields):
    run = count.Run(**fields)
    found = count.counts(run, (770, 771))
    assert (found < count.budget(run)).all() and (found > 3).all()


def test_the_slope_of_a_sweep_is_that_of_its_curve(count):
    rows = count.measure_sweep(count.Sweep("rank", (1, 4)), (770,))
    (x0, y0), (x1, y1) = rows[0]["curve"]
    assert rows[0]["slope"] == pytest.approx(math.log(y1 / y0) / math.log(x1 / x0))
    assert count.rank_slope(count.Sweep("rank", (1, 4))) == pytest.approx(-1)
    assert count.rank_slope(count.Sweep("rank", (1, 4), "gaussian")) == pytest.approx(math.log(13 / 4 / 10) / math.log(4))
