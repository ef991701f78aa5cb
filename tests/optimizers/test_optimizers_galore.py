"""GaLore against a run put together from numpy's SVD and torch.optim.Adam (independent code), and its defining identities."""

import numpy as np
import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import advance
from sandbox.optimizers.galore import GaLore, top_singular
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO

SHAPES = [(5, 8), (8, 5), (6, 6)]  # wide, tall, square
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@each_shape
def test_full_rank_gradient_descent_is_plain_gradient_descent(shape):
    """P is square and orthogonal, so P P^T G = G."""
    w, g = normal(shape, generator(0)), normal(shape, generator(1))
    rule = GaLore(GradientDescent(lr=0.1), rank=min(shape), scale=0.5)
    delta, _ = advance(rule, g, rule.init(w), w, 0)
    torch.testing.assert_close(delta, -0.05 * g, rtol=1e-12, atol=1e-14)


@each_shape
def test_basis_keeps_the_most_energy_that_any_basis_can(shape):
    """Eckart-Young: the coefficients hold the sum of the r largest squared singular values, and P^T P = I."""
    w, g = normal(shape, generator(0)), normal(shape, generator(1))
    rule = GaLore(GradientDescent(lr=1.0), rank=2, scale=1.0)
    delta, state = advance(rule, g, rule.init(w), w, 0)
    best = torch.linalg.svdvals(g)[:2].square().sum()
    torch.testing.assert_close(delta.square().sum(), best, rtol=1e-12, atol=0)
    torch.testing.assert_close(state.P.T @ state.P, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-13)


@each_shape
def test_the_short_side_is_compressed(shape):
    w = torch.ones(shape)
    state = GaLore(Adam(lr=0.1), rank=2).init(w)
    assert state.P.shape == (min(shape), 2)
    assert state.inner.m.shape == {(5, 8): (2, 8), (8, 5): (8, 2), (6, 6): (2, 6)}[shape]


def test_each_vector_has_its_largest_entry_positive():
    P = top_singular(normal((20, 30), generator(2)), 10)
    assert (P.gather(0, P.abs().argmax(0, keepdim=True)) > 0).all()
    torch.testing.assert_close(top_singular(-normal((20, 30), generator(2)), 10), P, rtol=0, atol=1e-13)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@each_shape
def test_a_gradient_that_is_not_finite_reaches_the_weights_and_raises_nothing(shape, bad):
    w, g = normal(shape, generator(0)), normal(shape, generator(1))
    g[1, 2] = bad
    rule = GaLore(GradientDescent(lr=0.1), rank=2)
    delta, state = advance(rule, g, rule.init(w), w, 0)
    assert state.P.isfinite().all() and not delta.isfinite().all()


def test_stacked_gradients_do_not_feel_the_one_that_is_not_finite():
    """Under vmap, as in an ensemble; LAPACK takes the whole stack in one call."""
    g = normal((3, 5, 8), generator(2))
    broken = g.clone()
    broken[1] = float("nan")
    whole, rest = (torch.func.vmap(lambda x: top_singular(x, 2))(x) for x in (g, broken))
    torch.testing.assert_close(rest[[0, 2]], whole[[0, 2]], rtol=0, atol=0)
    assert rest.isfinite().all()


def independent_run(start: np.ndarray, gradient, *, rank: int, gap: int, scale: float, n: int) -> np.ndarray:
    """GaLore on a wide weight: numpy's SVD, torch's Adam on one small parameter whose moments outlive the basis."""
    w, small = start.copy(), torch.nn.Parameter(torch.zeros(rank, start.shape[1], dtype=torch.float64))
    adam = torch.optim.Adam([small], lr=0.1)
    for k in range(n):
        g = gradient(w, k)
        if k % gap == 0:
            u = np.linalg.svd(g)[0][:, :rank]
            P = u * np.sign(u[np.abs(u).argmax(0), range(rank)])
        small.grad, before = torch.from_numpy(P.T @ g), small.detach().clone()
        adam.step()
        w = w + scale * P @ (small.detach() - before).numpy()
    return w


@pytest.mark.parametrize("tall", [False, True])
def test_matches_a_run_put_together_by_hand(tall):
    """Twelve steps with refreshes at 0, 5 and 10, so both the refresh step and the kept moments matter."""
    start, pull = normal((5, 8), generator(3)), normal((5, 5), generator(4)).numpy()
    gradient = lambda w, k: pull @ pull.T @ w + normal((5, 8), generator(5, k)).numpy()  # noqa: E731
    expected = independent_run(start.numpy(), gradient, rank=2, gap=5, scale=0.3, n=12)
    flip = (lambda x: x.T) if tall else (lambda x: x)
    w, rule = flip(start), GaLore(Adam(lr=0.1), rank=2, update_gap=5, scale=0.3)
    state = rule.init(w)
    for k in range(12):
        delta, state = advance(rule, flip(torch.from_numpy(gradient(flip(w).numpy(), k))), state, w, k)
        w = w + delta
    # two SVDs agree to 1e-15 over the gap of singular values, and Adam's step is Lipschitz in them
    torch.testing.assert_close(flip(w), torch.from_numpy(expected), rtol=0, atol=1e-11)


def test_inner_rule_sees_the_projected_weight():
    """An inner rule that only decays moves W by -lr wd scale P P^T W."""
    from sandbox.optimizers.adamw import AdamW

    w, g = normal((5, 8), generator(0)), normal((5, 8), generator(1))
    rule = GaLore(AdamW(lr=0.1, weight_decay=0.5), rank=2, scale=0.3)
    state = rule.refresh(g, rule.init(w), w, None)
    delta, _ = rule.step(torch.zeros_like(g), state, w)
    torch.testing.assert_close(delta, -0.1 * 0.5 * 0.3 * state.P @ state.P.T @ w, rtol=1e-12, atol=1e-14)


def test_defaults_are_those_of_the_paper():
    rule = GaLore(Adam(lr=0.01), rank=128)
    assert (rule.update_gap, rule.period, rule.scale) == (200, 200, 0.25)


@pytest.mark.parametrize("shape", [(64, 512), (512, 64), (512,)])
def test_a_tensor_that_is_too_small_is_refused(shape):
    message = r"rank 128 needs a 2-D weight with both sides >= rank, got shape \(.*\); give this block an unprojected rule"
    with pytest.raises(ValueError, match=message):
        GaLore(Adam(lr=0.1), rank=128).init(torch.ones(shape))


def test_rso_needs_only_the_compressed_side():
    assert RSO(Adam(lr=0.1), rank=4, update_gap=5, side=1).init(torch.ones(2, 8)).B.shape == (2, 4)
    with pytest.raises(ValueError, match=r"rank 4 needs a 2-D weight with side 0 >= rank, got shape \(2, 8\)"):
        RSO(Adam(lr=0.1), rank=4, update_gap=5, side=0).init(torch.ones(2, 8))


@pytest.mark.parametrize("bad", [{"rank": 0}, {"rank": 2, "update_gap": 0}, {"rank": 2, "scale": -1.0}])
def test_bad_settings_are_refused(bad):
    name = list(bad)[-1]
    with pytest.raises(ValueError, match=rf"^{name} of GaLore must be .* got {bad[name]}"):
        GaLore(Adam(lr=0.1), **bad)
