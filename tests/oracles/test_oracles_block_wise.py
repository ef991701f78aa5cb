"""Block-wise moments against their formulas, over all signs or a Gauss-Hermite grid: no sampling anywhere."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.oracles.block_wise import BlocksAtOnce, BlocksInTurn
from sandbox.oracles.two_point import TwoPoint
from sandbox.problems.base import Facts
from sandbox.run import run

BLOCKS = (("a",), ("b",))
ROOT = normal((4, 4), generator(7))
H = ROOT @ ROOT.T  # couples the two blocks of two entries
X = normal((4,), generator(8))
G = H @ X


class Coupled:
    """1/2 x^T H x with x = (a, b)."""

    facts = Facts()

    def loss(self, params, batch):
        x = torch.cat([params["a"], params["b"]])
        return 0.5 * x @ H @ x

    def start(self, seed):
        return {"a": X[:2].clone(), "b": X[2:].clone()}

    def batch(self, seed, step):
        return None


PARAMS = Coupled().start(0)


def ghat(oracle, *draws):
    grads = oracle(Coupled(), PARAMS, None, draws)[1]
    return torch.cat([grads["a"], grads["b"]])


def curved(numbers, points, expectation):
    """E ghat^T H ghat; z holds the numbers of both blocks, or of one that both use."""
    oracle = BlocksAtOnce(BLOCKS, TwoPoint(eps=0.5), numbers=numbers)

    def value(z):
        g = ghat(oracle, {"a": z[:2]}, {"b": z[-2:]})
        return g @ H @ g

    return expectation(value, points)


def of_blocks() -> torch.Tensor:
    """tr(H_bb) |g_b|^2 + 2 g_b^T H_bb g_b per block, and the off-diagonal part of g^T H g, for independent numbers."""
    total = G @ H @ G
    for s in (slice(0, 2), slice(2, 4)):
        total = total + H[s, s].trace() * G[s] @ G[s] + G[s] @ H[s, s] @ G[s]
    return total


def test_independent_blocks_couple_by_their_means_alone(gaussian, expectation):
    torch.testing.assert_close(curved("independent", gaussian(4), expectation), of_blocks(), rtol=1e-12, atol=0)


def test_blocks_that_share_their_numbers_are_coupled_by_the_curvature_between_them(gaussian, expectation):
    """The released code resets the seed for every block; formula 2.2(6) of the dossier, twice because a != b both ways."""
    between = H[:2, 2:]
    extra = 2 * (between.trace() * G[:2] @ G[2:] + G[2:] @ between @ G[:2])
    torch.testing.assert_close(curved("shared", gaussian(2), expectation), of_blocks() + extra, rtol=1e-12, atol=0)
    assert abs(extra) > 0.01 * of_blocks()


def test_the_mean_is_the_gradient_and_the_square_that_of_smaller_dimensions(gaussian, expectation):
    """E |ghat|^2 = sum (d_b + 2) |g_b|^2 = (d/B + 2) |g|^2 for equal blocks."""
    oracle = BlocksAtOnce(BLOCKS, TwoPoint(eps=0.5))
    g = lambda z: ghat(oracle, {"a": z[:2]}, {"b": z[2:]})  # noqa: E731
    torch.testing.assert_close(expectation(g, gaussian(4)), G, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(expectation(lambda z: g(z) @ g(z), gaussian(4)), 4 * G @ G, rtol=1e-12, atol=0)


def test_equal_blocks_draw_the_same_numbers_where_they_share_them_and_else_not():
    for numbers, same in (("shared", True), ("independent", False)):
        first, second = BlocksAtOnce(BLOCKS, numbers=numbers).draw(generator(0), PARAMS)
        assert torch.equal(first["a"], second["b"]) == same


def test_n_directions_per_block_are_averaged():
    draws = [normal((2,), generator(9, i)) for i in range(4)]
    two = ghat(BlocksAtOnce(BLOCKS, TwoPoint(n=2)), {"a": draws[0]}, {"a": draws[1]}, {"b": draws[2]}, {"b": draws[3]})
    one = [ghat(BlocksAtOnce(BLOCKS, TwoPoint()), {"a": draws[i]}, {"b": draws[i + 2]}) for i in range(2)]
    torch.testing.assert_close(two, (one[0] + one[1]) / 2, rtol=1e-9, atol=1e-9)


def test_in_turn_is_gauss_seidel():
    """Written out: each step moves one block with a slope measured where the other block has just gone."""
    oracle = BlocksInTurn(BLOCKS, TwoPoint(eps=0.5))
    made = run(Coupled(), GradientDescent(0.01), steps=6, seed=4, oracle=oracle)
    x = X.clone()
    for k in range(6):
        s = slice(0, 2) if k % 2 == 0 else slice(2, 4)
        name = "ab"[k % 2]
        (draw,) = oracle.at(k).draw(generator(4, 1_000_003, k), PARAMS)
        z = torch.zeros(4, dtype=torch.float64)
        z[s] = draw[name]
        x = x - 0.01 * (z @ H @ x) * z
    torch.testing.assert_close(torch.from_numpy(made.final["a"]), x[:2], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(torch.from_numpy(made.final["b"]), x[2:], rtol=1e-10, atol=1e-12)


def test_the_shell_moves_the_block_in_turn_alone():
    """A rule with momentum shows it: elsewhere the other block would coast, and its state would count every step."""
    from sandbox.shells.in_place import InPlace

    leaves = {name: torch.nn.Parameter(w.clone()) for name, w in PARAMS.items()}
    optimizer = InPlace(leaves.items(), GradientDescent(0.01, momentum=0.9), BlocksInTurn(BLOCKS), seed=0)
    for k in range(4):
        before = {name: w.detach().clone() for name, w in leaves.items()}
        optimizer.step(lambda: Coupled().loss(leaves, None))
        moved = [name for name in leaves if not torch.equal(before[name], leaves[name])]
        assert moved == ["ab"[k % 2]]
    assert [optimizer.state[w]["step"] for w in leaves.values()] == [2, 2]


def test_the_step_must_be_known():
    with pytest.raises(ValueError, match=r"must know the step, to choose its block; call at\(k\)"):
        BlocksInTurn(BLOCKS).draw(generator(0), PARAMS)


@pytest.mark.parametrize(("blocks", "wrong"), [((("a",),), "b"), ((("a", "b"), ("a",)), "a"), ((("a", "b", "c"),), "c")])
def test_blocks_must_cover_the_parameters_once(blocks, wrong):
    for oracle in (BlocksAtOnce(blocks), BlocksInTurn(blocks, k=0)):
        with pytest.raises(ValueError, match=rf"each of the 2 parameters exactly once; missing, repeated or unknown: {wrong}"):
            oracle.draw(generator(0), PARAMS)
