"""Hybrid gradients against their two halves, their moments, and what a deep net keeps for backward."""

import pytest
import torch
import torch.nn.functional as F

from sandbox.draws import generator, normal
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.oracles.backprop import Backprop
from sandbox.oracles.hybrid import Hybrid
from sandbox.oracles.two_point import TwoPoint
from sandbox.problems.base import Facts
from sandbox.run import run

DEPTH = 4
BATCH = normal((6, 5), generator(20)), normal((6, 5), generator(21))


class Deep:
    """A stack of DEPTH layers of width 5 with a square loss."""

    facts = Facts()

    def start(self, seed):
        return {f"layer{i}": normal((5, 5), generator(seed, i)) for i in range(DEPTH)}

    def batch(self, seed, step):
        return BATCH

    def loss(self, params, batch):
        x, y = batch
        for i in range(DEPTH):
            x = torch.tanh(F.linear(x, params[f"layer{i}"]))
        return (x - y).square().mean()


class TwoParts:
    """1/2 |a|^2 + |b|^2 + a^T b, for moments."""

    def loss(self, params, batch):
        a, b = params["a"], params["b"]
        return a @ a / 2 + b @ b + a @ b


def late(n: int) -> frozenset[str]:
    return frozenset(f"layer{i}" for i in range(DEPTH - n, DEPTH))


def test_late_parts_have_the_exact_gradient_and_early_ones_the_two_point_one():
    params = Deep().start(0)
    oracle = Hybrid(late(2), TwoPoint(n=2))
    draw = oracle.draw(generator(5), params)
    loss, grads = oracle(Deep(), params, BATCH, draw)
    exact_loss, exact = Backprop()(Deep(), params, BATCH, None)
    assert list(grads) == list(params) and float(loss) == float(exact_loss)
    for name in late(2):
        torch.testing.assert_close(grads[name], exact[name], rtol=1e-12, atol=1e-15)
    for name in params.keys() - late(2):
        z = [direction[name] for direction in draw[0]]
        slopes = [sum((exact[n] * d[n]).sum() for n in d) for d in draw[0]]
        torch.testing.assert_close(grads[name], (slopes[0] * z[0] + slopes[1] * z[1]) / 2, rtol=1e-4, atol=1e-6)  # eps^2 = 1e-6


def test_only_the_early_part_is_noisy(gaussian, expectation):
    """E |ghat|^2 = (d_early + 2) |g_early|^2 + |g_late|^2."""
    params = {"a": normal((3,), generator(1)), "b": normal((3,), generator(2))}
    oracle = Hybrid(frozenset({"b"}), TwoPoint(0.5))

    def square(z):
        _, grads = oracle(TwoParts(), params, None, (({"a": z},), None))
        return sum(g @ g for g in grads.values())

    g_a, g_b = params["a"] + params["b"], 2 * params["b"] + params["a"]
    torch.testing.assert_close(expectation(square, gaussian(3)), 5 * g_a @ g_a + g_b @ g_b, rtol=1e-12, atol=0)


def kept(n_late: int) -> int:
    """Bytes of activations that one call keeps for backward, weights excepted."""
    leaves = {name: torch.nn.Parameter(w) for name, w in Deep().start(0).items()}
    oracle, sizes = Hybrid(late(n_late)), {}
    draw = oracle.draw(generator(0), leaves)

    def pack(x):
        if not any(x.untyped_storage().data_ptr() == w.untyped_storage().data_ptr() for w in leaves.values()):
            sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        oracle(Deep(), leaves, BATCH, draw)
    return sum(sizes.values())


def test_what_is_kept_grows_by_one_activation_per_late_layer():
    """Each late layer keeps its output for tanh, which is the next one's input: 6 x 5 numbers of 8 bytes more."""
    sizes = [kept(n) for n in (1, 2, 3)]
    assert [b - a for a, b in zip(sizes, sizes[1:], strict=False)] == [240, 240]


def test_the_loop_trains_with_it():
    trace = run(Deep(), GradientDescent(0.05), steps=40, seed=0, oracle=Hybrid(late(2)))
    assert trace.loss[-1] < 0.9 * trace.loss[0]


def test_a_list_of_names_is_as_good_as_a_set():
    assert Hybrid(sorted(late(2))) == Hybrid(late(2))


@pytest.mark.parametrize("names", [frozenset(), late(DEPTH), frozenset({"layer9"})])
def test_both_parts_must_exist(names):
    with pytest.raises(ValueError, match="late must name some and not all of the 4 parameters"):
        Hybrid(names).draw(generator(0), Deep().start(0))
