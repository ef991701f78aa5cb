"""CAME against the authors' package and pytorch_optimizer's (independent codes), and the closed form of its unbounded step.

CAME divides by a root of (u - m)^2 + 1e-16, which is small where the gradient is steady: there it amplifies rounding. So two
trainings may differ by as much as one rounding of the start moves a training, once for each of the 50 steps.
"""

import pytest
import torch
from torch import Tensor, nn

from sandbox.draws import generator, normal
from sandbox.optimizers.came import CAME, CAMEVectorState
from sandbox.shells.stepwise import Stepwise

PEERS = {"the authors'": "came_pytorch", "pytorch_optimizer's": "pytorch_optimizer"}
each_peer = pytest.mark.parametrize("peer", PEERS)
SHAPES = {"matrix": (7, 5), "vector": (7,), "scalar": (), "3-D": (2, 4, 3), "convolution": (3, 2, 3, 3)}
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
each_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
SETTINGS = {
    "the paper's": {},
    "quick averages, decay": {"betas": (0.8, 0.99, 0.95), "weight_decay": 0.3},
    "large eps, low threshold": {"eps": (1e-3, 0.1), "clip_threshold": 0.6},
}
each_setting = pytest.mark.parametrize("setting", SETTINGS)


def made(peer: str, leaves, **settings) -> torch.optim.Optimizer:
    """pytorch_optimizer has eps1 and eps2, and takes an `eps` without using it."""
    module = pytest.importorskip(PEERS[peer], reason=f"a cross-check against {peer} CAME, which is not installed")
    if peer == "pytorch_optimizer's" and "eps" in settings:
        settings["eps1"], settings["eps2"] = settings.pop("eps")
    return module.CAME(list(leaves), **settings)


@each_peer
@each_shape
@each_setting
@each_dtype
def test_is_the_came_of_its_peers_on_given_gradients(peer, shape, setting, dtype, both_moved):
    settings = {"lr": 0.01} | SETTINGS[setting]
    ours, theirs = both_moved(CAME(**settings), lambda w: made(peer, [w], **settings), shape, dtype)
    # some twenty roundings per step, none of them fed back
    tolerance = 50 * 20 * torch.finfo(dtype).eps
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@each_peer
@each_setting
@each_dtype
def test_trains_a_network_as_its_peers_do(peer, setting, dtype, assert_same_training):
    settings = {"lr": 1e-3} | SETTINGS[setting]
    assert_same_training(
        lambda named: Stepwise(named, CAME(**settings)), lambda named: made(peer, [w for _, w in named], **settings), dtype
    )


def test_a_large_learning_rate_amplifies_rounding_a_hundredfold(trained):
    """So two CAMEs that differ by 1e-5 and more in float32 may still be the same rule; the weights here are of order 1."""
    ours = lambda named: Stepwise(named, CAME(1e-2))  # noqa: E731
    eps = torch.finfo(torch.float32).eps
    moved = (trained(ours, dtype=torch.float32, nudge=eps) - trained(ours, dtype=torch.float32)).abs().max()
    assert 1e2 * eps < moved < 0.1


def signs(shape: tuple[int, ...]) -> Tensor:
    """A gradient whose magnitudes a_i b_j have rank one."""
    a, b = normal((shape[0], 1), generator(0)).abs() + 0.5, normal((1, shape[1]), generator(1)).abs() + 0.5
    return a * b * normal(shape, generator(2)).sign()


def test_the_first_step_is_eleven_times_the_learning_rate():
    """No average is corrected for its zero start: (1 - b1) / (b1 sqrt(1 - b3)) = 11.1, which d = 1 does not bound."""
    w, g = torch.zeros(6, 5, dtype=torch.float64), signs((6, 5))
    rule = CAME(lr=1.0)
    delta, _ = rule.step(g, rule.init(w), w)
    # p = b1^2 u^2 and eps2 = 1e-16 beside it: 1e-16 relative; a few roundings
    torch.testing.assert_close(delta, -(0.1 / (0.9 * 0.01)) * g.sign(), rtol=1e-12, atol=0)


def test_the_step_grows_while_the_gradient_stays_the_same():
    """u = sign(g), m = (1 - b1^t) u, so p = b1^(2t) and its average is a geometric sum; 48.7 lr at t = 100."""
    (b1, _, b3), rule = CAME(1.0).betas, CAME(lr=1.0)
    w, g = torch.zeros(6, 5, dtype=torch.float64), signs((6, 5))
    state = rule.init(w)
    for t in range(1, 101):
        delta, state = rule.step(g, state, w)
        average = (1 - b3) * b1**2 * (b3**t - b1 ** (2 * t)) / (b3 - b1**2)
        # (u - m)^2 loses digits as m nears u: an error of 1e-16 beside b1^t, in a sum whose terms near t = 1 dominate
        torch.testing.assert_close(-delta, (1 - b1**t) / average**0.5 * g.sign(), rtol=1e-10, atol=0)
    assert delta.abs().max() == pytest.approx(48.7, abs=0.05)


def test_vectors_have_no_instability_so_the_threshold_bounds_their_step():
    """Without b1 the step is lr u, and RMS(u) <= d; the zero start of v makes u too large at first, which the clip undoes."""
    w, g = normal((9,), generator(0)), normal((9,), generator(1))
    rule = CAME(lr=0.1, betas=(0.0, 0.999, 0.9999), clip_threshold=0.5)
    delta, state = rule.step(g, rule.init(w), w)
    torch.testing.assert_close(delta, -0.1 * 0.5 * g.sign(), rtol=1e-12, atol=0)
    assert isinstance(state, CAMEVectorState)


def test_more_than_two_dimensions_are_factored_over_the_last_two():
    w, g = normal((2, 4, 3), generator(0)), normal((2, 4, 3), generator(1))
    rule = CAME(0.1, clip_threshold=1e9)
    delta, state = rule.step(g, rule.init(w), w)
    assert [tuple(x.shape) for x in state] == [(2, 4, 3), (2, 4), (2, 3), (2, 4), (2, 3)]
    for i in range(2):
        torch.testing.assert_close(delta[i], rule.step(g[i], rule.init(w[i]), w[i])[0], rtol=1e-12, atol=0)


def test_decay_is_decoupled_and_by_the_learning_rate_alone():
    w, rule = 5.0 * normal((6, 5), generator(0)), CAME(lr=0.1, weight_decay=0.3)
    delta, _ = rule.step(torch.zeros_like(w), rule.init(w), w)
    torch.testing.assert_close(delta, -0.1 * 0.3 * w, rtol=1e-14, atol=0)


@each_shape
@each_dtype
def test_zero_gradients_move_nothing_and_what_follows_is_finite(shape, dtype):
    """q and p are then eps1 and eps2: (1 - b2) 1e-30 is a normal float32."""
    w, rule = normal(shape, generator(0)).to(dtype), CAME(0.1)
    state = rule.init(w)
    for _ in range(3):
        delta, state = rule.step(torch.zeros_like(w), state, w)
        assert not delta.any()
    delta, _ = rule.step(torch.ones_like(w), state, w)
    assert delta.isfinite().all() and (delta < 0).all()


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)], ids=str)
def test_an_empty_tensor_has_an_empty_step(shape):
    w, rule = torch.zeros(shape), CAME(0.1)
    assert rule.step(w, rule.init(w), w)[0].shape == shape


def test_state_of_a_bfloat16_weight_is_float32():
    rule = CAME(0.1)
    for w in (torch.ones(4, 3, dtype=torch.bfloat16), torch.ones(4, dtype=torch.bfloat16)):
        delta, state = rule.step(w, rule.init(w), w)
        assert {x.dtype for x in (delta, *state)} == {torch.float32}


def test_defaults_are_those_of_the_authors():
    theirs = made("the authors'", [nn.Parameter(torch.ones(2))], lr=0.1).defaults
    assert {name: getattr(CAME(lr=0.1), name) for name in theirs} == theirs


REFUSED = [
    ({"lr": -0.1}, "lr of CAME must be >= 0, got -0.1"),
    ({"lr": 0.1, "weight_decay": -1.0}, "weight_decay of CAME must be >= 0, got -1.0"),
    ({"lr": 0.1, "betas": (0.9, 0.999)}, r"CAME needs three betas in \[0, 1\), got \(0.9, 0.999\)"),
    ({"lr": 0.1, "betas": (0.9, 0.999, 1.0)}, r"CAME needs three betas in \[0, 1\), got \(0.9, 0.999, 1.0\)"),
    ({"lr": 0.1, "eps": (1e-30, -1.0)}, r"CAME needs two eps >= 0 and clip_threshold > 0, got eps \(1e-30, -1.0\)"),
    ({"lr": 0.1, "clip_threshold": 0.0}, "CAME needs .* and clip_threshold 0.0"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CAME(**settings)
