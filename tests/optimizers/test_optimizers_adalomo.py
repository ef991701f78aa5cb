"""AdaLomo against torch.optim.Adafactor (independent code), and the theorems about one of its steps."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.factored import FullState


def rms(x: torch.Tensor) -> float:
    return x.square().mean().sqrt().item()


@pytest.mark.parametrize("shape", [(7, 5), (7,), (2, 4, 3)])
@pytest.mark.parametrize(("d", "decay_rate", "eps2"), [(1.0, -0.8, 1e-3), (1.1, -0.5, 2.0)])
def test_is_adafactor_with_an_outside_learning_rate(shape, d, decay_rate, eps2, both_moved):
    """torch takes min(lr, 1/sqrt(t)), which is lr for t <= 10^4, and uses eps1 as a clamp, which 1e-30 makes idle."""
    rule = AdaLomo(lr=0.01, eps=(1e-30, eps2), clip_threshold=d, decay_rate=decay_rate)
    settings = {"lr": 0.01, "eps": (1e-30, eps2), "d": d, "beta2_decay": decay_rate}
    ours, theirs = both_moved(rule, lambda w: torch.optim.Adafactor([w], **settings), shape)
    # some twenty roundings of 1e-16 per step
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)


def test_a_rank_one_second_moment_is_factored_exactly():
    """If |g| = a b^T the factored rule and the full one, which sees the flat vector, make the same step."""
    a, b = normal((4, 1), generator(0)).abs() + 0.1, normal((1, 6), generator(1)).abs() + 0.1
    w, rule = normal((4, 6), generator(2)), AdaLomo(lr=0.1)
    g = a * b * normal((4, 6), generator(3)).sign()
    matrix, _ = rule.step(g, rule.init(w), w)
    vector, _ = rule.step(g.flatten(), rule.init(w.flatten()), w.flatten())
    torch.testing.assert_close(matrix.flatten(), vector, rtol=1e-12, atol=0)


def test_first_step_of_a_vector_is_a_sign_step_relative_to_its_size():
    w, g = normal((9,), generator(0)), normal((9,), generator(1))
    rule = AdaLomo(lr=0.1)
    delta, state = rule.step(g, rule.init(w), w)
    torch.testing.assert_close(delta, -0.1 * rms(w) * g.sign(), rtol=1e-12, atol=0)
    assert isinstance(state, FullState)


def test_the_threshold_bounds_the_rms_of_the_direction():
    """u of a first vector step has RMS 1, so a threshold of 1/2 halves the step."""
    w, g = normal((9,), generator(0)), normal((9,), generator(1))
    rule = AdaLomo(lr=0.1, clip_threshold=0.5)
    torch.testing.assert_close(rms(rule.step(g, rule.init(w), w)[0]), 0.05 * rms(w), rtol=1e-13, atol=0)


def test_the_smallest_entry_of_a_permutation_gradient_moves_most():
    """Theorem of the inverse-magnitude freeze: g = diag(gamma) gives steps in proportion to 1 / gamma_k."""
    gamma = torch.tensor([1e-3, 1e-2, 1e-1, 1.0], dtype=torch.float64)
    w, rule = torch.ones(4, 4, dtype=torch.float64), AdaLomo(lr=0.1)
    delta, _ = rule.step(torch.diag(gamma), rule.init(w), w)
    moved = delta.diagonal() / delta[0, 0]
    torch.testing.assert_close(moved, gamma[0] / gamma, rtol=1e-10, atol=0)  # eps1 = 1e-30 against squares of 1e-6


def one_entry(k: int) -> torch.Tensor:
    g = torch.zeros(6, 5, dtype=torch.float64)
    g[k % 6, k % 5] = 1e3
    return g


ADVERSARIES = {
    "gaussian": lambda k: normal((6, 5), generator(k)),
    "heavy tails": lambda k: normal((6, 5), generator(k)) ** 7,
    "growing": lambda k: 10.0**k * normal((6, 5), generator(k)),
    "one entry": one_entry,
    "constant": lambda k: torch.ones(6, 5, dtype=torch.float64),
}


@pytest.mark.parametrize("adversary", ADVERSARIES)
@pytest.mark.parametrize("size", [1.0, 1e-6])
def test_rms_of_a_step_is_at_most_lr_times_the_larger_of_eps2_and_rms_of_the_weight(adversary, size):
    w, rule, ratios = size * normal((6, 5), generator(99)), AdaLomo(lr=0.05), []
    state = rule.init(w)
    for k in range(25):
        delta, state = rule.step(ADVERSARIES[adversary](k), state, w)
        ratios.append(rms(delta) / (0.05 * max(1e-3, rms(w))))
        w = w + delta
    assert max(ratios) <= 1 + 1e-12  # rounding of a mean of 30 squares
    if adversary in ("growing", "constant"):
        assert max(ratios) >= 1 - 1e-12  # the bound is attained where the clip is at work, or u is a sign


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_scale_of_the_loss_drops_out(factor):
    """Exact while |g| is far above sqrt(eps1) = 1e-15: here eps1 / g^2 <= 1e-30 / 1e-16 at the smallest entry of 1e-2."""
    w, rule = normal((6, 5), generator(0)), AdaLomo(lr=0.1)
    plain, scaled = rule.init(w), rule.init(w)
    for k in range(5):
        g = normal((6, 5), generator(1, k))
        one, plain = rule.step(g, plain, w)
        other, scaled = rule.step(factor * g, scaled, w)
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_steps_scale_with_the_weight_above_eps2_and_not_below():
    w, g, rule = normal((6, 5), generator(0)), normal((6, 5), generator(1)), AdaLomo(lr=0.1)
    delta, large, tiny = (rule.step(g, rule.init(w), c * w)[0] for c in (1.0, 100.0, 1e-6))
    torch.testing.assert_close(large, 100 * delta, rtol=1e-13, atol=0)
    torch.testing.assert_close(tiny, delta * 1e-3 / rms(w), rtol=1e-13, atol=0)


def test_decay_is_scaled_by_the_size_of_the_weight():
    w, rule = normal((6, 5), generator(0)), AdaLomo(lr=0.1, weight_decay=0.3)
    delta, _ = rule.step(torch.zeros_like(w), rule.init(w), w)
    torch.testing.assert_close(delta, -0.1 * rms(w) * 0.3 * w, rtol=1e-13, atol=0)


def test_decay_keeps_the_rms_below_its_inverse():
    """Theorem: with lr <= 1, RMS(w) <= 1 / wd stays true; the gradient -w pushes outwards all the time."""
    w, rule = torch.full((4, 4), 0.05, dtype=torch.float64), AdaLomo(lr=0.5, weight_decay=2.0)
    state, sizes = rule.init(w), []
    for _ in range(40):
        delta, state = rule.step(-w, state, w)
        w = w + delta
        sizes.append(rms(w))
    assert max(sizes) <= 0.5 * (1 + 1e-12)
    assert sizes[-1] >= 0.49  # and it gets there, so the bound was tried


def test_state_of_a_bfloat16_weight_is_float32():
    w = torch.ones(4, 3, dtype=torch.bfloat16)
    rule = AdaLomo(lr=0.1)
    delta, state = rule.step(w, rule.init(w), w)
    assert (state.r.dtype, state.c.dtype, delta.dtype) == (torch.float32,) * 3


@pytest.mark.parametrize("bad", [{"eps": (-1e-30, 1e-3)}, {"clip_threshold": 0.0}, {"decay_rate": 0.1}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match=r"AdaLomo needs eps >= 0, clip_threshold > 0 and decay_rate <= 0, got eps"):
        AdaLomo(lr=0.1, **bad)
