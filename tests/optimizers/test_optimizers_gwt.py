"""GWT against a run put together from numpy (the authors' equations, in our words), and what follows from them in closed form."""

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

from sandbox.draws import generator, normal
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.base import Empty
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.haar import coefficients

SHAPES = [(3, 8), (8, 5), (4, 11), (2, 3, 9)]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def run(rule, gradients, w):
    """The steps, at a weight that stays where it is."""
    state, deltas = rule.init(w), []
    for g in gradients:
        delta, state = rule.step(g, state, w)
        deltas.append(delta)
    return deltas, state


@each_shape
@pytest.mark.parametrize("level", [1, 2])
def test_gradient_descent_does_not_feel_the_transform(shape, level):
    """It is orthonormal, and what is filled up is cut off again."""
    w, g = normal(shape, generator(0)), normal(shape, generator(1))
    rule = GWT(GradientDescent(lr=0.1), level=level, scale=0.5, growth_limit=None)
    torch.testing.assert_close(rule.step(g, rule.init(w), w)[0], -0.05 * g, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_momentum_acts_on_the_approximation_alone(level):
    w, (g, h) = normal((3, 8), generator(0)), (normal((3, 8), generator(i)) for i in (1, 2))
    (_, second), _ = run(GWT(GradientDescent(lr=1.0, momentum=0.9), level=level, scale=1.0, growth_limit=None), [g, h], w)
    first, *_ = coefficients(g, level)
    for i, (moved, part) in enumerate(zip(coefficients(second, level), coefficients(h, level), strict=True)):
        torch.testing.assert_close(moved, -part - (0.9 * first if i == 0 else 0), rtol=1e-12, atol=1e-14)


def authors(gradients: list[np.ndarray], *, level: int, scale: float, lr: float) -> tuple[list[np.ndarray], list[float]]:
    """Their equations for eps = 0, level by level, with the root of v stretched to each level of details; also the limiters."""
    m = v = before = None
    steps, limiters = [], []
    for t, g in enumerate(gradients, start=1):
        a, details = np.pad(g, ((0, 0), (0, -g.shape[1] % 2**level))), []
        for _ in range(level):
            details.append((a[:, 0::2] - a[:, 1::2]) / np.sqrt(2))
            a = (a[:, 0::2] + a[:, 1::2]) / np.sqrt(2)
        m = 0.1 * a if m is None else 0.9 * m + 0.1 * a
        v = 0.001 * a**2 if v is None else 0.999 * v + 0.001 * a**2
        normalised, root = m / np.sqrt(v), np.sqrt(v)
        size = np.linalg.norm(normalised)
        limiter = 1.0 if before is None else max(size / (before + 1e-8), 1.01) / 1.01
        before, x = size / limiter, normalised / limiter
        for d in reversed(details):
            d, root = d / (root * limiter), np.repeat(root, 2, axis=1)
            both = np.empty((d.shape[0], 2 * d.shape[1]))
            both[:, 0::2], both[:, 1::2] = (x + d) / np.sqrt(2), (x - d) / np.sqrt(2)
            x = both
        steps.append(-lr * scale * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * x[:, : g.shape[1]])
        limiters.append(limiter)
    return steps, limiters


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("n", [16, 13])
def test_matches_a_run_put_together_by_hand(level, n):
    """Twenty steps of noise that is ten times larger at steps 3, 10 and 17, so that the limiter acts at some steps and rests at others."""
    gradients = [normal((4, n), generator(3, k)) * (1 + 9 * (k % 7 == 3)) for k in range(20)]
    expected, limiters = authors([g.numpy() for g in gradients], level=level, scale=0.25, lr=0.1)
    assert 2 < sum(x > 1 for x in limiters) < 18
    deltas, _ = run(GWT(Adam(lr=0.1, eps=0.0), level=level), gradients, torch.zeros(4, n, dtype=torch.float64))
    for ours, theirs in zip(deltas, expected, strict=True):
        torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-10, atol=1e-13)  # sums in another order, divided by small roots


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("n", [16, 13])
def test_the_state_has_two_m_n_over_two_to_the_level_numbers(level, n):
    """Claim W2, and one number for the limiter."""
    state = GWT(Adam(lr=0.1), level=level).init(torch.zeros(5, n))
    assert sum(x.numel() for x in tree_leaves(state) if isinstance(x, torch.Tensor)) == 2 * 5 * -(-n // 2**level) + 1


def test_pure_noise_moves_as_far_as_the_theory_says():
    """Claim W3 (the dossier's tolerance, 10 %): RMS sqrt((1 - b1) / (1 + b1)) = .229 of the approximation, 1 of the details."""
    gradients = [normal((32, 64), generator(4, k)) for k in range(300)]
    deltas, _ = run(GWT(Adam(lr=1.0), scale=1.0, growth_limit=None), gradients, torch.zeros(32, 64, dtype=torch.float64))
    parts = [torch.stack(x) for x in zip(*(coefficients(d, 2) for d in deltas[-30:]), strict=True)]
    smooth, rough = parts[0].square().mean().sqrt(), torch.stack(parts[1:]).square().mean().sqrt()
    assert smooth.item() == pytest.approx((0.1 / 1.9) ** 0.5, rel=0.1)
    assert rough.item() == pytest.approx(1.0, rel=0.1)
    whole = torch.stack(deltas[-30:]).square().mean().sqrt().item()
    assert whole == pytest.approx((0.25 * 0.1 / 1.9 + 0.75) ** 0.5, rel=0.1)
    assert (0.1 / 1.9) ** 0.5 / whole == pytest.approx(0.263, rel=0.1)  # the scale that gives Adam's own size: the published 0.25


@pytest.mark.parametrize("delta", [0.1, 0.01, 0.001])
def test_neighbours_of_opposite_sign_make_details_as_large_as_one_over_their_sum(delta):
    """Claim W6: gradient (1 + delta, -1 + delta, ...) has A = sqrt2 delta, D = sqrt2; D moves by (1 / delta) / (1 - b1) at first."""
    g = torch.tensor([[1 + delta, -1 + delta] * 4], dtype=torch.float64)
    (moved,), _ = run(GWT(Adam(lr=1.0, eps=0.0), level=1, scale=1.0), [g], torch.zeros_like(g))
    a, d = coefficients(moved, 1)
    torch.testing.assert_close(a, torch.full_like(a, -1.0), rtol=1e-9, atol=0)
    torch.testing.assert_close(d, torch.full_like(d, -10 / delta), rtol=1e-9, atol=0)  # 1e-16 over delta^2


def test_details_are_enlarged_at_the_start_by_the_correction_of_the_moment():
    """Claim W7: under one gradient for ever sqrt(v / (1 - b2^t)) = |A|, and D moves by D / |A| / (1 - b1^t): ten times at t = 1."""
    g = normal((4, 8), generator(5))
    a, *details = coefficients(g, 2)
    deltas, _ = run(GWT(Adam(lr=1.0, eps=0.0), scale=1.0, growth_limit=None), [g] * 30, torch.zeros(4, 8, dtype=torch.float64))
    factors = [(coefficients(delta, 2)[1] / (-details[0] / a.abs())).mean().item() for delta in deltas]
    assert factors == pytest.approx([1 / (1 - 0.9**t) for t in range(1, 31)], rel=1e-9)
    assert factors[0] == pytest.approx(10) and factors[29] < 1.05


def test_a_step_that_grows_is_limited_and_then_grows_by_one_percent():
    """Momentum makes the spike at step 3; afterwards |N| may grow by growth_limit, and the details are divided by the same number."""
    small, large = normal((4, 8), generator(6)), 100 * normal((4, 8), generator(7))
    rule, free = (GWT(GradientDescent(lr=1.0), scale=1.0, growth_limit=limit) for limit in (1.01, None))
    deltas, state = run(rule, [small, large, large], torch.zeros(4, 8, dtype=torch.float64))
    sizes = [coefficients(delta, 2)[0].norm().item() for delta in deltas]
    assert sizes[1] / sizes[0] == pytest.approx(1.01, rel=1e-7) and sizes[2] / sizes[1] == pytest.approx(
        1.01, rel=1e-7
    )  # 1e-8 in the quotient
    assert state.before.item() == pytest.approx(sizes[2])
    torch.testing.assert_close(deltas[1] / deltas[1].norm(), -large / large.norm(), rtol=1e-12, atol=0)
    torch.testing.assert_close(run(free, [small, large], large)[0][1], -large, rtol=1e-12, atol=1e-14)


def test_the_limiter_does_not_look_at_details():
    """A spike that cancels between neighbours passes whole."""
    small, spike = normal((4, 8), generator(6)), 1e4 * torch.tensor([1.0, -1.0] * 4, dtype=torch.float64).expand(4, 8)
    deltas, _ = run(GWT(GradientDescent(lr=1.0), scale=1.0), [small, 0.5 * small + spike], torch.zeros(4, 8, dtype=torch.float64))
    torch.testing.assert_close(deltas[1], -0.5 * small - spike, rtol=1e-12, atol=1e-10)


def test_the_limiter_measures_the_step_without_its_correction_for_the_start():
    """Adam's c falls from .316 to .154 in ten steps of one gradient, in which m / sqrt(v) grows: the limiter sees the second."""
    g = normal((4, 8), generator(5))
    _, state = run(GWT(Adam(lr=1.0, eps=0.0), growth_limit=100.0), [g] * 3, torch.zeros(4, 8, dtype=torch.float64))
    expected = 8**0.5 * (1 - 0.9**3) / (1 - 0.999**3) ** 0.5  # 8 entries of size m / sqrt(v)
    assert state.before.item() == pytest.approx(expected, rel=1e-12)


def test_the_limiter_halves_the_tenth_step_of_adam_under_one_gradient():
    """m / sqrt(v) grows from 3.16 to 6.53 by itself, and may grow to 3.16 * 1.01^9 = 3.46; Adam's own step has size 1 all the time."""
    g = normal((4, 8), generator(5))
    deltas, _ = run(GWT(Adam(lr=1.0, eps=0.0), scale=1.0), [g] * 10, torch.zeros(4, 8, dtype=torch.float64))
    sizes = [coefficients(delta, 2)[0].abs().mean().item() for delta in deltas]
    natural = [(1 - 0.9**t) / (1 - 0.999**t) ** 0.5 for t in range(1, 11)]
    assert sizes == pytest.approx([natural[0] * 1.01**i / x for i, x in enumerate(natural)], rel=1e-6)  # ten times 1e-8 / |N|
    assert sizes[0] == pytest.approx(1.0) and sizes[9] == pytest.approx(0.53, abs=0.005)


def test_a_first_gradient_of_zero_does_not_hold_the_later_ones():
    """The authors' quotient would be |N| / (0 + 1e-8): their second step has size 1e-8."""
    g = normal((4, 8), generator(5))
    zero = torch.zeros_like(g)
    deltas, _ = run(GWT(GradientDescent(lr=1.0), scale=1.0), [zero, g], zero)
    assert not deltas[0].any()
    torch.testing.assert_close(deltas[1], -g, rtol=1e-12, atol=1e-14)


def test_the_learning_rate_does_not_reach_the_limiter():
    """A warm-up, ten times from step to step, goes through."""
    g, w = normal((4, 8), generator(5)), torch.zeros(4, 8, dtype=torch.float64)
    state = GWT(GradientDescent(lr=1.0)).init(w)
    for lr in (0.0, 0.01, 0.1, 1.0):
        delta, state = GWT(GradientDescent(lr=lr), scale=1.0).step(g, state, w)
        torch.testing.assert_close(delta, -lr * g, rtol=1e-12, atol=1e-15)


def test_details_may_be_dropped():
    g = normal((4, 12), generator(5))
    (moved,), _ = run(GWT(Adam(lr=0.1), details="dropped"), [g], torch.zeros_like(g))
    blocks = moved.reshape(4, 3, 4)
    torch.testing.assert_close(blocks, blocks[..., :1].expand(4, 3, 4), rtol=1e-13, atol=0)
    assert moved.abs().min() > 0


@pytest.mark.parametrize("inner", [AdaLomo(lr=0.1), Adafactor(lr=0.1, parameter_scale="off"), Adam(lr=0.1)])
@pytest.mark.parametrize("size", [0.01, 100.0])
def test_details_may_be_clipped(inner, size):
    """To an RMS of 1, each of the 2^level - 1 tensors of details by its own; small ones pass as they are."""
    g, w = size * normal((4, 8), generator(5)), normal((4, 8), generator(0))
    (moved,), _ = run(GWT(inner, scale=1.0, details="clipped"), [g], w)
    for ours, d in zip(coefficients(moved, 2)[1:], coefficients(g, 2)[1:], strict=True):
        torch.testing.assert_close(ours, -0.1 * d / max(1.0, d.square().mean().sqrt().item()), rtol=1e-12, atol=1e-15)


def test_adam_mini_divides_details_by_the_mean_of_its_block():
    """First step, eps 0: A and D of a row over the root mean square of its A, D ten times larger."""
    g = normal((4, 8), generator(5))
    (moved,), _ = run(GWT(AdamMini(lr=1.0, eps=0.0, n_blocks=4), scale=1.0), [g], torch.zeros_like(g))
    a, *details = coefficients(g, 2)
    root = a.square().mean(1, keepdim=True).sqrt()
    for ours, expected in zip(coefficients(moved, 2), [-a / root, *(-10 * d / root for d in details)], strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-11, atol=0)


def test_the_inner_rule_sees_the_approximation_of_the_weight():
    """AdaLomo's step of A has RMS lr * RMS(A(W)), which is not RMS(W)."""
    g, w = normal((4, 8), generator(5)), normal((4, 8), generator(0)) + 3
    (moved,), _ = run(GWT(AdaLomo(lr=0.1), scale=1.0), [g], w)
    rms = coefficients(w, 2)[0].square().mean().sqrt().item()
    ours = coefficients(moved, 2)[0].square().mean().sqrt().item()
    plain = AdaLomo(lr=0.1).step(*((a := coefficients(g, 2)[0]), AdaLomo(lr=0.1).init(a)), coefficients(w, 2)[0])[0]
    assert ours == pytest.approx(plain.square().mean().sqrt().item(), rel=1e-12) and 0.05 * rms < ours <= 0.1 * rms * (1 + 1e-12)


class Unknown:
    """A rule that the table of frozen steps does not know."""

    lr = 0.1

    def init(self, w):
        return Empty()

    def step(self, g, state, w):
        return -self.lr * g, state


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"level": 0}, "level of GWT must be an int >= 1, got 0"),
        ({"scale": -1.0}, "scale of GWT must be >= 0, got -1.0"),
        ({"growth_limit": 0.5}, "growth_limit of GWT must be >= 1, got 0.5; None leaves the limiter out"),
        ({"details": "kept"}, "details of GWT must be one of inner, clipped, dropped, got 'kept'"),
        ({"inner": GaLore(Adam(lr=0.1), rank=2)}, "GWT cannot hold GaLore, which refreshes every 200 steps"),
        ({"inner": GWT(Adam(lr=0.1))}, 'GWT with details "inner" cannot hold GWT\\(.*; use one GWT with the sum of the levels'),
        ({"inner": Unknown()}, 'the table of frozen steps has no row for Unknown, .* choose details "clipped" or "dropped"'),
    ],
)
def test_bad_settings_are_refused(bad, sentence):
    with pytest.raises(ValueError, match=sentence):
        GWT(**{"inner": Adam(lr=0.1), **bad})


@pytest.mark.parametrize("shape", [(8,), (), (8, 3)])
def test_a_tensor_that_is_too_small_is_refused(shape):
    with pytest.raises(ValueError, match=r"GWT of level 2 needs a weight of at least 2 dimensions with a last side >= 4, got shape \("):
        GWT(Adam(lr=0.1)).init(torch.ones(shape))


def test_defaults_are_those_of_the_authors_scripts():
    rule = GWT(Adam(lr=0.01))
    assert (rule.level, rule.scale, rule.growth_limit, rule.details) == (2, 0.25, 1.01, "inner")
