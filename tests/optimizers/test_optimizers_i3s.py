"""I3S: the law of the drawn positions in closed form, and the singular vectors that they choose."""

import itertools

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import advance
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.i3s import I3S, drawn

WEIGHTS = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64)
SHAPES = [(5, 8), (8, 5), (6, 6)]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def probability(chosen: set[int]) -> float:
    """Of this set, when its members are drawn one after the other in proportion to what is left."""
    total = 0.0
    for order in itertools.permutations(chosen):
        left, p = WEIGHTS.sum().item(), 1.0
        for i in order:
            p, left = p * WEIGHTS[i].item() / left, left - WEIGHTS[i].item()
        total += p
    return total


@pytest.mark.parametrize("count", [1, 2, 3])
def test_positions_are_drawn_without_replacement_in_proportion_to_the_weights(count):
    """3000 draws; each set within 5 standard errors of its probability, which is no rounding of the equal one."""
    seen = [tuple(drawn(WEIGHTS, normal((2, 4), generator(count, i)), count).tolist()) for i in range(3000)]
    for chosen in itertools.combinations(range(4), count):
        p = probability(set(chosen))
        assert abs(seen.count(chosen) / 3000 - p) <= 5 * (p * (1 - p) / 3000) ** 0.5
    assert len(set(seen)) == len(list(itertools.combinations(range(4), count)))  # sorted, no position twice


def test_directions_without_weight_come_last():
    weights = torch.tensor([0.0, 1.0, 0.0, 1e-6], dtype=torch.float64)
    for i in range(20):
        assert drawn(weights, normal((2, 4), generator(7, i)), 2).tolist() == [1, 3]
    assert drawn(torch.zeros(4, dtype=torch.float64), normal((2, 4), generator(7)), 2).tolist() == [0, 1]


@each_shape
@pytest.mark.parametrize("side", [0, 1, "short", "long"])
def test_the_basis_holds_the_drawn_singular_vectors_in_order(shape, side):
    w, g = normal(shape, generator(0)), normal(shape, generator(1))
    rule = I3S(GradientDescent(lr=1.0), rank=3, scale=1.0, side=side)
    draw = rule.draw(generator(2), shape)
    delta, state = advance(rule, g, rule.init(w), w, 0, draw)
    s = torch.linalg.svdvals(g)
    chosen = drawn(s, draw, 3)
    assert chosen.tolist() != [0, 1, 2]  # otherwise this were a test of GaLore
    compressed_rows = state.P.shape[0] == shape[0] if shape[0] != shape[1] else side in (0, "short")
    lengths = (state.P.T @ g).norm(dim=1) if compressed_rows else (g @ state.P).norm(dim=0)
    torch.testing.assert_close(lengths, s[chosen], rtol=1e-12, atol=0)  # |u_i^T G| = s_i
    torch.testing.assert_close(delta.square().sum(), s[chosen].square().sum(), rtol=1e-12, atol=0)


@each_shape
def test_with_every_direction_it_is_galore(shape):
    w, rule, galore = normal(shape, generator(0)), *(kind(Adam(lr=0.1), rank=min(shape), update_gap=3) for kind in (I3S, GaLore))
    state, other = rule.init(w), galore.init(w)
    for k in range(3):
        g = normal(shape, generator(4, k))
        delta, state = advance(rule, g, state, w, k, rule.draw(generator(5, k), shape))
        expected, other = advance(galore, g, other, w, k)
        torch.testing.assert_close(delta, expected, rtol=0, atol=1e-13)  # the same basis, laid out otherwise in memory


def test_the_moment_is_turned_and_kept():
    """The buffer after a refresh and a step: mu P_new^T P_old b + P_new^T g, also at the step after."""
    gradients, w = [normal((5, 8), generator(4, k)) for k in range(4)], torch.zeros(5, 8, dtype=torch.float64)
    rule = I3S(GradientDescent(lr=1.0, momentum=0.9), rank=2, update_gap=2)
    state, b, P = rule.init(w), torch.zeros(2, 8, dtype=torch.float64), None
    for k, g in enumerate(gradients):
        _, state = advance(rule, g, state, w, k, rule.draw(generator(6, k), (5, 8)))
        b = 0.9 * (b if P is None else state.P.T @ P @ b) + state.P.T @ g
        P = state.P
        torch.testing.assert_close(state.inner.b, b, rtol=1e-12, atol=1e-15)


def test_a_gradient_of_zeros_gives_a_basis_and_no_step():
    w = normal((5, 8), generator(0))
    rule = I3S(Adam(lr=0.1), rank=2)
    delta, state = advance(rule, torch.zeros_like(w), rule.init(w), w, 0, rule.draw(generator(1), (5, 8)))
    assert not delta.any()
    torch.testing.assert_close(state.P.T @ state.P, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-13)


def test_a_gradient_that_is_not_finite_reaches_the_weights_and_raises_nothing():
    w, g = normal((5, 8), generator(0)), normal((5, 8), generator(1))
    g[1, 2] = float("nan")
    rule = I3S(GradientDescent(lr=0.1), rank=2)
    delta, state = advance(rule, g, rule.init(w), w, 0, rule.draw(generator(1), (5, 8)))
    assert state.P.isfinite().all() and delta.isnan().any()


@pytest.mark.parametrize("shape", [(4, 512), (512, 4), (512,), (8, 8, 8)])
def test_a_tensor_that_is_too_small_is_refused(shape):
    with pytest.raises(ValueError, match=r"rank 8 needs a 2-D weight with both sides >= rank, got shape \(.*\); give this block"):
        I3S(Adam(lr=0.1), rank=8).init(torch.ones(shape))
