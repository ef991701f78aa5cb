"""RSO against its defining identities: the laws of P, the gradient of the subproblem (by autograd), and the rounds."""

import math

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import advance
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.parameter_scale import ParameterScale
from sandbox.optimizers.rso import RSO, basis
from sandbox.optimizers.weight_decay import WeightDecay

LAWS = ("haar", "gaussian", "coordinate")
D, R = 6, 2
each_side = pytest.mark.parametrize("side", [0, 1])


def loss(w: torch.Tensor) -> torch.Tensor:
    """Smooth and not quadratic, different in every entry."""
    scale = torch.arange(1, w.numel() + 1, dtype=torch.float64).reshape(w.shape) / w.numel()
    return torch.log1p((scale * (w - 1)) ** 2).sum()


def gradient_of(f, x: torch.Tensor) -> torch.Tensor:
    return torch.func.grad(f)(x)


@pytest.mark.parametrize("law", ["haar", "coordinate"])
@pytest.mark.parametrize("r", [1, 2, 6])
def test_columns_are_orthogonal_of_length_root_d_over_r(law, r):
    P = basis(normal((D, r), generator(1)), law)
    torch.testing.assert_close(P.T @ P, D / r * torch.eye(r, dtype=torch.float64), rtol=0, atol=1e-13)


def test_gaussian_bases_are_not_orthogonal():
    P = basis(normal((D, R), generator(1)), "gaussian")
    assert (P.T @ P - D / R * torch.eye(R)).abs().max() > 0.1


def test_coordinate_bases_pick_columns_of_the_identity():
    P = basis(normal((D, R), generator(1)), "coordinate") / math.sqrt(D / R)
    assert ((P == 0).sum(0) == D - 1).all() and (P.sum(0) == pytest.approx(1)) and (P.sum(1) <= 1 + 1e-12).all()


@pytest.mark.parametrize("law", LAWS)
def test_the_mean_of_p_p_transposed_is_the_identity(law):
    """2000 draws, 21 entries, each within 5 of its own standard errors (a correct law fails once in 10^5)."""
    draws = torch.stack([basis(normal((D, R), generator(7, i)), law) for i in range(2000)])
    products = draws @ draws.mT
    error = products.mean(0) - torch.eye(D, dtype=torch.float64)
    standard_error = products.std(0) / math.sqrt(2000)
    assert (error.abs() <= 5 * standard_error + 1e-12).all()
    assert standard_error.max() < 0.06  # so that a factor like sqrt(d/r) in place of d/r would be seen


@pytest.mark.parametrize(("law", "expected"), [("haar", D / R), ("coordinate", D / R), ("gaussian", (D + R + 1) / R)])
def test_energy_of_the_estimator(law, expected):
    """E |P P^T g|^2 = (d/r) |g|^2, and (d + r + 1)/r for the Gaussian law; 4000 draws, 5 standard errors."""
    g = normal((D,), generator(3))
    energies = torch.stack([(P @ (P.T @ g)).square().sum() for P in (basis(normal((D, R), generator(8, i)), law) for i in range(4000))])
    energies = energies / g.square().sum()
    assert abs(energies.mean().item() - expected) <= 5 * energies.std().item() / math.sqrt(4000)


def test_haar_in_one_dimension_is_a_fair_sign():
    """Without the sign rule a QR factorisation returns the same sign every time, which is no Haar law."""
    signs = {basis(torch.tensor([[x]], dtype=torch.float64), "haar").item() for x in (-2.0, 3.0)}
    assert signs == {-1.0, 1.0}


@pytest.mark.parametrize("law", LAWS)
@each_side
def test_inner_steps_follow_the_gradient_of_the_proximal_subproblem(law, side):
    """D = -lr grad of g(B) = f(W_0 + P B) + |B|^2 / (2 eta), by autograd, and W - W_0 = P B all the time."""
    eta, lr = 0.7, 0.05
    w0 = normal((5, 7), generator(0))
    rule = RSO(GradientDescent(lr), R, update_gap=100, eta=eta, law=law, side=side)
    w, state, draw = w0, rule.init(w0), rule.draw(generator(1), (5, 7))
    for k in range(6):
        before = state.B
        delta, state = advance(rule, gradient_of(loss, w), state, w, k, draw)
        lifted = (lambda B, P=state.P: B @ P.T) if side else (lambda B, P=state.P: P @ B)
        subproblem = lambda B: loss(w0 + lifted(B)) + B.square().sum() / (2 * eta)  # noqa: E731, B023
        torch.testing.assert_close(state.B - before, -lr * gradient_of(subproblem, before), rtol=1e-12, atol=1e-15)
        w = w + delta
        torch.testing.assert_close(w - w0, lifted(state.B), rtol=0, atol=1e-14)
    assert state.B.abs().max() > 1e-3


def test_many_inner_steps_reach_the_exact_subproblem():
    """f = h/2 |W|^2: grad g = h (W P + (d/r) B) + B/eta = 0 at B = -h W P / (h d/r + 1/eta)."""
    h, eta, w = 1.5, 0.4, normal((5, D), generator(0))
    rule = RSO(GradientDescent(lr=0.1), R, update_gap=1000, eta=eta)
    state, start = rule.init(w), w
    for k in range(200):  # contracts by 1 - 0.1 (1.5 * 3 + 2.5) = 0.3 a step
        delta, state = advance(rule, h * w, state, w, k, rule.draw(generator(1), (5, D)))
        w = w + delta
    exact = -h * start @ state.P / (h * D / R + 1 / eta)
    torch.testing.assert_close(state.B, exact, rtol=1e-12, atol=1e-14)


def test_without_eta_there_is_no_proximal_pull():
    """One basis and h = 0: only the proximal term could move B."""
    w, zero = normal((5, D), generator(0)), torch.zeros(5, D, dtype=torch.float64)
    moved = {}
    for eta in (None, 0.5):
        rule = RSO(GradientDescent(lr=0.1), R, update_gap=10, eta=eta)
        state = rule.refresh(zero, rule.init(w), w, rule.draw(generator(1), (5, D)))._replace(B=torch.ones(5, R, dtype=w.dtype))
        moved[eta] = rule.step(zero, state, w)[1].B.mean().item()
    assert moved[None] == 1.0
    assert moved[0.5] == pytest.approx(1 - 0.1 / 0.5)


def test_every_round_starts_afresh():
    """The second round of a run is the first round of a new run that starts at its weight, inner moments included."""
    rule, w = RSO(Adam(lr=0.1), R, update_gap=4, eta=1.0), normal((5, D), generator(0))
    draws = {0: rule.draw(generator(1), (5, D)), 4: rule.draw(generator(2), (5, D))}
    state = rule.init(w)
    for k in range(8):
        if k == 4:
            fresh, again = w, rule.init(w)
        delta, state = advance(rule, gradient_of(loss, w), state, w, k, draws.get(k))
        w = w + delta
    for k in range(4):
        delta, again = advance(rule, gradient_of(loss, fresh), again, fresh, k, draws[4])
        fresh = fresh + delta
    assert torch.equal(w, fresh)


def test_full_rank_coordinates_are_gradient_descent():
    """r = d: P is a permutation, P P^T = I."""
    w, g = normal((5, D), generator(0)), normal((5, D), generator(1))
    rule = RSO(GradientDescent(lr=0.1), D, update_gap=5, law="coordinate")
    delta, _ = advance(rule, g, rule.init(w), w, 0, rule.draw(generator(1), (5, D)))
    torch.testing.assert_close(delta, -0.1 * g, rtol=1e-14, atol=0)


@pytest.mark.parametrize("inner", [AdaLomo(lr=0.1), Adafactor(lr=0.1), WeightDecay(AdaLomo(lr=0.1), 0.1)])
def test_a_rule_that_scales_by_its_weight_is_refused(inner):
    with pytest.raises(ValueError, match=r"must not scale its step by its weight, which is B and starts at 0.*write ParameterScale\(RSO"):
        RSO(inner, R, update_gap=5)


def test_parameter_scale_goes_around_the_frame():
    """Why it is refused inside: AdaLomo takes B for its weight, so RMS(dB) <= lr * eps2, whatever the gradient. Around it moves
    W by lr * RMS(W) * |dB P^T|."""
    w, g = normal((5, D), generator(0)), 1e6 * normal((5, D), generator(1))
    inside, plain = AdaLomo(lr=0.1), AdaLomo(lr=0.1, parameter_scale="off")
    assert inside.step(g[:, :R], inside.init(g[:, :R]), 0 * w[:, :R])[0].square().mean().sqrt() <= 0.1 * 1e-3 * (1 + 1e-12)
    draw = normal((D, R), generator(1))
    scaled, bare = ParameterScale(RSO(plain, R, update_gap=5)), RSO(plain, R, update_gap=5)
    delta, expected = (advance(rule, g, rule.init(w), w, 0, draw)[0] for rule in (scaled, bare))
    torch.testing.assert_close(delta, expected * w.square().mean().sqrt(), rtol=1e-12, atol=0)


def two_rounds(on_refresh: str, law: str, side: int, draws: list) -> tuple:
    """The states before and after the second refresh."""
    rule, w = (
        RSO(Adam(lr=0.1), R, update_gap=3, law=law, side=side, on_refresh=on_refresh),
        normal((7, D) if side else (D, 7), generator(0)),
    )
    state = rule.refresh(w, rule.init(w), w, draws[0])
    for k in range(3):
        state = rule.step(normal(tuple(w.shape), generator(4, k)), state, w)[1]
    return state, rule.refresh(w, state, w, draws[1])


@pytest.mark.parametrize("law", LAWS)
@each_side
def test_the_inner_state_at_a_new_round(law, side):
    """B starts at 0 in every case. A turned moment holds the coordinates, in the new basis, of what the old one saw of G."""
    draws = [normal((D, R), generator(6, i)) for i in range(2)]
    before, kept = two_rounds("keep", law, side, draws)
    assert before.B.any() and not kept.B.any()
    assert torch.equal(kept.inner.m, before.inner.m) and kept.inner.b1_t == before.inner.b1_t
    _, fresh = two_rounds("reset", law, side, draws)
    assert not fresh.B.any() and not fresh.inner.m.any() and not fresh.inner.v.any() and fresh.inner.b1_t == 1.0
    _, rotated = two_rounds("rotate", law, side, draws)
    turning = R / D * rotated.P.T @ before.P
    torch.testing.assert_close(rotated.inner.m, before.inner.m @ turning.T if side else turning @ before.inner.m, rtol=1e-12, atol=1e-16)
    assert torch.equal(rotated.inner.v, before.inner.v) and not rotated.B.any()


@pytest.mark.parametrize("law", ["haar", "coordinate"])
def test_a_turn_to_the_same_basis_changes_nothing(law):
    """The factor r/d: P^T P = (d/r) I."""
    draw = normal((D, R), generator(6))
    before, after = two_rounds("rotate", law, 1, [draw, draw])
    torch.testing.assert_close(after.inner.m, before.inner.m, rtol=1e-12, atol=1e-16)


def test_a_turn_between_independent_bases_keeps_r_over_d_of_the_energy():
    """E |(r/d) P_new^T P_old m|^2 = (r/d) |m|^2, because E[P P^T] = I. 1000 draws, 5 standard errors."""
    m, old = normal((1, R), generator(9)), basis(normal((D, R), generator(8)), "haar")
    new = (basis(normal((D, R), generator(7, i)), "haar") for i in range(1000))
    shares = torch.stack([(m @ old.T @ P * (R / D)).square().sum() / m.square().sum() for P in new])
    assert abs(shares.mean().item() - R / D) <= 5 * shares.std().item() / math.sqrt(1000)


def test_the_haar_law_has_the_bits_it_always_had():
    """Records hold runs with it: Q times sign and length, in one product."""
    draw = normal((D, R), generator(1))
    Q, upper = torch.linalg.qr(draw)
    assert torch.equal(basis(draw, "haar"), Q * (upper.diagonal().sign() * (D / R) ** 0.5))


def test_the_draw_is_named_by_its_generator_alone():
    rule = RSO(Adam(lr=0.1), R, update_gap=5)
    first, same, other = (rule.draw(generator(*key), (5, D)) for key in ((1, 0, 0), (1, 0, 0), (1, 0, 5)))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert first.shape == (D, R) and first.dtype == torch.float64


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"eta": 0.0}, "eta of RSO must be > 0, got 0.0; None leaves the proximal term out"),
        ({"law": "uniform"}, "law of haar, gaussian, coordinate and side 0 or 1, got law 'uniform' and side 1"),
        ({"side": 2}, "got law 'haar' and side 2"),
        ({"update_gap": 0}, "update_gap of RSO must be an int >= 1, got 0"),
        ({"on_refresh": "forget"}, "on_refresh of RSO must be one of keep, reset, rotate, got 'forget'"),
        ({"inner": RSO(Adam(lr=0.1), rank=2, update_gap=4)}, "RSO cannot hold RSO, which refreshes every 4 steps"),
    ],
)
def test_bad_settings_are_refused(bad, sentence):
    with pytest.raises(ValueError, match=sentence):
        RSO(**{"inner": Adam(lr=0.1), "rank": 2, "update_gap": 5, **bad})
