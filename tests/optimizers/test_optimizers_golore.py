"""GoLore: the basis is the draw and nothing else, GaLore before the switch, and the moment that is turned and kept, against a run
put together from numpy (the defect of the public code beside it)."""

import numpy as np
import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import advance, as_tensors
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.projection import orthonormal

SHAPES = [(5, 8), (8, 5), (6, 6)]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@each_shape
@pytest.mark.parametrize("side", [0, 1, "short", "long"])
def test_a_step_is_that_of_the_drawn_subspace(shape, side):
    """-lr scale Q Q^T G with Q from numpy's QR of the draw: the product does not feel signs, and no gradient enters Q."""
    w, g = normal(shape, generator(0)), normal(shape, generator(1))
    rule = GoLore(GradientDescent(lr=0.1), rank=2, scale=0.5, side=side)
    draw = rule.draw(generator(2), shape)
    delta, state = advance(rule, g, rule.init(w), w, 0, draw)
    Q = torch.from_numpy(np.linalg.qr(draw.numpy())[0])
    tall = Q.shape[0] == shape[1] if shape[0] != shape[1] else side in (1, "long")
    torch.testing.assert_close(delta, -0.05 * (g @ Q @ Q.T if tall else Q @ Q.T @ g), rtol=0, atol=1e-14)
    torch.testing.assert_close(state.P.T @ state.P, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-14)


@each_shape
def test_the_mean_projection_is_r_over_d(shape):
    """E[Q Q^T] = (r/d) I, the unbiasedness that GaLore lacks: 1000 draws, 5 standard errors."""
    rule, d = GoLore(GradientDescent(lr=1.0), rank=2), min(shape)
    bases = torch.stack([orthonormal(rule.draw(generator(3, i), shape)) for i in range(1000)])
    products = bases @ bases.mT
    error = products.mean(0) - 2 / d * torch.eye(d, dtype=torch.float64)
    assert (error.abs() <= 5 * products.std(0) / 1000**0.5 + 1e-12).all()


@each_shape
@pytest.mark.parametrize("counted", ["number", "tensor"])
def test_galore_before_the_switch_and_random_bases_after_it(shape, counted):
    """random_from 4 with refreshes at 0, 3, 6, 9: step 4 lies between two, so the refresh at 6 is the first random one."""
    w, rule = normal(shape, generator(0)), GoLore(Adam(lr=0.1), rank=2, update_gap=3, random_from=4)
    galore = GaLore(Adam(lr=0.1), rank=2, update_gap=3, on_refresh="rotate")
    state, before = rule.init(w), galore.init(w)
    for k in range(11):
        g, draw = normal(shape, generator(4, k)), normal((min(shape), 2), generator(5, k))
        state = as_tensors(state) if counted == "tensor" else state
        delta, state = advance(rule, g, state, w, k, draw)
        expected, before = advance(galore, g, before, w, k)
        if k < 6:
            torch.testing.assert_close(delta, expected, rtol=1e-13, atol=0)
        else:
            drawn = orthonormal(normal((min(shape), 2), generator(5, k - k % 3)))
            assert torch.equal(state.P, drawn)


def test_random_bases_see_what_noise_hides_from_singular_vectors():
    """Gradient blockdiag(I/2, I) of which the second block is noise: GaLore leaves the first block where it is, GoLore moves it."""
    g, w = torch.diag(torch.tensor([0.5, 0.5, 0.5, 1.0, 1.0], dtype=torch.float64)), torch.zeros(5, 5, dtype=torch.float64)
    galore, golore = (kind(GradientDescent(lr=1.0), rank=2) for kind in (GaLore, GoLore))
    assert not advance(galore, g, galore.init(w), w, 0)[0][:3, :3].any()
    moved = advance(golore, g, golore.init(w), w, 0, golore.draw(generator(1), (5, 5)))[0]
    assert (moved.diagonal()[:3] < -1e-3).all()


def by_hand(gradients: np.ndarray, draws: list, *, gap: int, writes_back: bool) -> list[np.ndarray]:
    """Steps of Adam in random bases of side 0, lr 1, scale 1, eps 1e-8. In the public code the moment of a refreshing step is a copy,
    which the step moves and uses, and which the state never sees."""
    m = v = P = None
    steps = []
    for k, g in enumerate(gradients):
        old = m
        if k % gap == 0:
            Q, R = np.linalg.qr(draws[k])
            new = Q * np.sign(np.diag(R))
            old = m if P is None else new.T @ (P @ m)
            P = new
        r = P.T @ g
        used = 0.1 * r if old is None else 0.9 * old + 0.1 * r
        v = 0.001 * r**2 if v is None else 0.999 * v + 0.001 * r**2
        m = used if writes_back or k % gap or k == 0 else m
        steps.append(-P @ (used / (1 - 0.9 ** (k + 1)) / (np.sqrt(v / (1 - 0.999 ** (k + 1))) + 1e-8)))
    return steps


def test_the_turned_moment_is_kept_where_the_public_code_drops_it():
    """Refreshes at 0, 4 and 8. Alike until and at the first turn; from the next step on the code's moment is the one of the old basis."""
    gradients = [normal((5, 8), generator(4, k)).numpy() for k in range(10)]
    rule, w = GoLore(Adam(lr=1.0), rank=2, update_gap=4, scale=1.0), torch.zeros(5, 8, dtype=torch.float64)
    draws = [rule.draw(generator(6, k), (5, 8)) for k in range(10)]
    state, ours = rule.init(w), []
    for k, g in enumerate(gradients):
        delta, state = advance(rule, torch.from_numpy(g), state, w, k, draws[k])
        ours.append(delta.numpy())
    kept, dropped = (by_hand(gradients, [d.numpy() for d in draws], gap=4, writes_back=x) for x in (True, False))
    np.testing.assert_allclose(ours, kept, rtol=0, atol=1e-13)  # the same sums in another order
    np.testing.assert_allclose(ours[:5], dropped[:5], rtol=0, atol=1e-13)
    assert all(np.abs(a - b).max() > 0.05 for a, b in zip(ours[5:], dropped[5:], strict=True))


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"side": "both"}, "side of GoLore must be one of 0, 1, 'short', 'long', got 'both'"),
        ({"random_from": -1}, "random_from of GoLore must be >= 0, got -1"),
        ({"random_from": 0.8}, "random_from of GoLore counts steps and must be an int, got 0.8; a share times the steps"),
        ({"on_refresh": None}, "on_refresh of GoLore must be one of keep, reset, rotate, got None"),
        ({"inner": GaLore(Adam(lr=0.1), rank=2)}, "GoLore cannot hold GaLore, which refreshes every 200 steps"),
    ],
)
def test_bad_settings_are_refused(bad, sentence):
    with pytest.raises(ValueError, match=sentence):
        GoLore(**{"inner": Adam(lr=0.1), "rank": 2, **bad})


@pytest.mark.parametrize("shape", [(4, 512), (512, 4), (512,), (8, 8, 8)])
def test_a_tensor_that_is_too_small_is_refused(shape):
    with pytest.raises(ValueError, match=r"rank 8 needs a 2-D weight with both sides >= rank, got shape \(.*\); give this block"):
        GoLore(Adam(lr=0.1), rank=8).init(torch.ones(shape))
