"""Backprop against the closed form, noise against its stated law, clipping against torch.nn.utils.clip_grad_norm_."""

import pytest
import torch

from sandbox.draws import generator
from sandbox.oracles.backprop import Backprop
from sandbox.oracles.block_wise import BlocksInTurn
from sandbox.oracles.clipped import Clipped
from sandbox.oracles.noisy import Noisy, standard
from sandbox.problems.golore_counterexample import GoLoreCounterexample
from sandbox.problems.quadratic import Quadratic

PROBLEM = Quadratic((1.0, 4.0, 9.0), seed=1)


class TwoTensors:
    """1/2 |a|^2 + 2 |B|^2: a problem with two parameters, whose gradients are a and 4 B."""

    def loss(self, params, batch):
        return params["a"].square().sum() / 2 + 2 * params["B"].square().sum()


PARAMS = {"a": torch.tensor([3.0, 0.0]).double(), "B": torch.ones(2, 2, dtype=torch.float64)}


def test_backprop_is_H_x_and_the_loss_is_detached():
    params = PROBLEM.start(0)
    loss, grads = Backprop()(PROBLEM, params, None, None)
    torch.testing.assert_close(grads["x"], PROBLEM.hessian_dd @ params["x"], rtol=1e-13, atol=1e-14)
    assert loss.shape == () and not loss.requires_grad and float(loss) == float(PROBLEM.loss(params, None))


@pytest.mark.parametrize("wanted", [True, False], ids=["tape", "transformed"])
def test_what_the_loss_does_not_read_has_gradient_zero(wanted):
    params = {name: w.clone().requires_grad_(wanted) for name, w in (PARAMS | {"c": torch.ones(3)}).items()}
    _, grads = Backprop()(TwoTensors(), params, None, None)
    assert torch.equal(grads["c"], torch.zeros(3)) and torch.equal(grads["a"], params["a"].detach())


def test_backprop_uses_the_batch_it_is_given():
    problem = GoLoreCounterexample(n=4, rank=1)
    params, xi = problem.start(0), torch.tensor(1.0, dtype=torch.float64)
    _, plus = Backprop()(problem, params, xi, None)
    _, minus = Backprop()(problem, params, -xi, None)
    assert float((plus["X"] - minus["X"])[3, 3]) == 2.0


@pytest.mark.parametrize(
    ("law", "fourth", "largest"),
    [("gaussian", 3.0, 7.0), ("rademacher", 1.0, 1.0), ("uniform", 1.8, 3**0.5), ("student3", None, None)],
)
def test_each_law_has_mean_zero_variance_one_and_its_own_shape(law, fourth, largest):
    """N = 40000: 4 sigma of the mean is 0.02; of the variance at most 0.03, of the fourth moment at most 0.2.

    Student's T_3 / sqrt 3 has no fourth moment: its quartiles are at 0.7649 / sqrt 3 = 0.4416 instead, 4 sigma = 0.015.
    """
    Z = standard(law, (200, 200), generator(5))
    assert Z.dtype == torch.float64 and abs(Z.mean()) < 0.02
    if law == "student3":
        assert abs(Z.abs().median() - 0.4416) < 0.015
        return
    assert abs(Z.square().mean() - 1) < 0.03 and abs((Z**4).mean() - fourth) < 0.2
    assert float(Z.abs().max()) <= largest


def test_noise_is_added_entry_by_entry_with_the_stated_sigma():
    oracle = Noisy(sigma=0.5, law="rademacher")
    draw = oracle.draw(generator(0), PARAMS)
    loss, noisy = oracle(TwoTensors(), PARAMS, None, draw)
    exact_loss, exact = Backprop()(TwoTensors(), PARAMS, None, None)
    assert float(loss) == float(exact_loss)
    for name in PARAMS:
        torch.testing.assert_close(noisy[name] - exact[name], 0.5 * draw[1][name], rtol=1e-12, atol=1e-14)
        assert noisy[name].shape == PARAMS[name].shape
    assert sorted({float(v) for v in torch.cat([z.flatten() for z in draw[1].values()])}) == [-1.0, 1.0]


def test_the_same_generator_key_gives_the_same_noise_and_another_gives_another():
    oracle = Noisy(sigma=1.0)
    first, again, other = (oracle.draw(generator(k), PARAMS)[1] for k in (1, 1, 2))
    assert torch.equal(first["B"], again["B"]) and not torch.equal(first["B"], other["B"])
    assert not torch.equal(first["a"], first["B"][0])  # the tensors do not share their numbers


def test_an_unknown_law_is_named():
    with pytest.raises(ValueError, match="got 'normal'"):
        Noisy(sigma=1.0, law="normal")


@pytest.mark.parametrize("max_norm", [0.1, 5.0, 100.0])
def test_clipping_equals_torch(max_norm):
    """|g| = sqrt(9 + 64) = 8.54: two values of max_norm clip, one does not."""
    leaves = {name: torch.nn.Parameter(w.clone()) for name, w in PARAMS.items()}
    TwoTensors().loss(leaves, None).backward()
    torch.nn.utils.clip_grad_norm_(leaves.values(), max_norm)
    _, grads = Clipped(max_norm)(TwoTensors(), PARAMS, None, None)
    for name in PARAMS:
        torch.testing.assert_close(grads[name], leaves[name].grad, rtol=1e-14, atol=0)


def test_clipping_acts_on_the_noisy_gradient_it_wraps():
    oracle = Clipped(1.0, inner=Noisy(sigma=10.0))
    draw = oracle.draw(generator(3), PARAMS)
    _, grads = oracle(TwoTensors(), PARAMS, None, draw)
    norm = sum(g.square().sum() for g in grads.values()).sqrt()
    assert 1 - 1e-6 < float(norm) <= 1.0
    _, unclipped = oracle.inner(TwoTensors(), PARAMS, None, draw)
    for name in PARAMS:
        direction = unclipped[name] * (grads["a"][0] / unclipped["a"][0])
        torch.testing.assert_close(grads[name], direction, rtol=1e-12, atol=0)


def test_noise_and_clipping_under_vmap_equal_a_loop_with_one_sigma_per_member():
    sigmas = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    starts = [PROBLEM.start(seed) for seed in range(3)]
    draws = [Noisy(sigma=1.0).draw(generator(seed), starts[0])[1] for seed in range(3)]

    def one(sigma, x, z):
        return Clipped(2.0, inner=Noisy(sigma=sigma))(PROBLEM, {"x": x}, None, (None, {"x": z}))[1]["x"]

    together = torch.func.vmap(one)(sigmas, torch.stack([s["x"] for s in starts]), torch.stack([d["x"] for d in draws]))
    for i in range(3):
        alone = one(float(sigmas[i]), starts[i]["x"], draws[i]["x"])
        torch.testing.assert_close(together[i], alone, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("wrapped", [lambda inner: Clipped(1.0, inner), lambda inner: Noisy(0.0, inner=inner)])
def test_wrappers_tell_the_step_to_what_they_wrap(wrapped):
    """Blocks in turn must know the step, and at step 1 the second block alone has a gradient."""
    oracle = wrapped(BlocksInTurn((("a",), ("B",)))).at(1)
    _, grads = oracle(TwoTensors(), PARAMS, None, oracle.draw(generator(3), PARAMS))
    assert not grads["a"].any() and grads["B"].all()
    assert wrapped(Backprop()).at(1) == wrapped(Backprop())


@pytest.mark.parametrize("max_norm", [-1.0, 0.0, float("nan")])
def test_a_norm_that_is_not_positive_is_refused(max_norm):
    """A negative one would turn the gradient round."""
    with pytest.raises(ValueError, match="max_norm of Clipped must be > 0, got"):
        Clipped(max_norm)
