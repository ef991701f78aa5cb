"""The search on planted partitions and on matrices without blocks, then on problems whose blocks are known by algebra."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from sandbox.curvature.block_mass import measure
from sandbox.curvature.blockwise import blockwise
from sandbox.curvature.discover import Judge, confirmed, discover, discover_cut
from sandbox.curvature.objective import objective
from sandbox.curvature.operators import hessian, operator
from sandbox.curvature.planted import agreement, gaussian, planted, turned
from sandbox.draws import generator, normal

FAST = Judge(n_chance=9)


def found_in(sizes, seed, *, n_products, **how):
    H, labels = planted(sizes, seed, **how)
    found = discover(aslinearoperator(H), n_products=n_products, judge=FAST, seed=seed)
    return found, agreement(found.labels, labels), H


@pytest.mark.parametrize(
    "sizes, n_products, how",
    [
        ([32] * 4, 128, {"noise": 0.3}),  # 1.4 sqrt(128) / 0.7 = 23 products separate blocks, 5.7 times as many every row
        ([32] * 4, 64, {}),
        ([60, 30, 20, 18], 128, {"noise": 0.1}),
        ([8] * 16, 128, {"noise": 0.1}),
        ([32] * 4, 64, {"scales": [1.0, 3.0, 10.0, 30.0]}),  # masses 1 : 900
        ([32] * 4, 192, {"rank": 2, "noise": 0.1}),
    ],
    ids=["noise", "none", "unequal", "many small", "scales", "low rank, indefinite"],
)
def test_planted_blocks_are_recovered_exactly(sizes, n_products, how):
    """Entries are permuted in all of them. At least 9 of 10 seeds exactly, and every one found."""
    rows = [found_in(sizes, seed, n_products=n_products, **how) for seed in range(10)]
    assert all(found.found for found, _, _ in rows)
    assert sum(alike == 1.0 for _, alike, _ in rows) >= 9
    assert min(alike for _, alike, _ in rows) > 0.9


def test_the_score_is_the_excess_of_the_exact_matrix():
    """Held-out draws, so no bias: over 10 seeds the difference is 0 within 4 standard errors."""
    gaps = []
    for seed in range(10):
        found, _, H = found_in([32] * 4, seed, n_products=96, noise=0.4)
        gaps.append(found.excess.value - measure(H, found.labels, name="", partition="").excess)
    assert abs(np.mean(gaps)) < 4 * np.std(gaps, ddof=1) / 10**0.5


@pytest.mark.parametrize("noise", [0.7, 0.95])
def test_beyond_the_noise_level_nothing_wrong_is_called_found(noise):
    """With too few products labels are wrong: an agreement below 0.5 is called found in at most 1 of 20 seeds."""
    rows = [found_in([32] * 4, seed, n_products=96, noise=noise) for seed in range(20)]
    assert sum(found.found and alike < 0.5 for found, alike, _ in rows) <= 1
    if noise > 0.9:
        assert not any(found.found for found, _, _ in rows)


def without_structure(kind, seed):
    G = gaussian(64, seed)
    eigenvalues = {
        "low rank": np.r_[np.ones(3), np.zeros(61)],
        "power law": np.arange(1.0, 65.0) ** -1 * np.where(np.arange(64) % 3, 1, -1),
    }
    if kind in eigenvalues:
        return turned(np.diag(eigenvalues[kind]), seed)
    scale = np.exp(normal((64,), generator(seed, 7)).numpy())
    return G * np.outer(scale, scale) if kind == "unequal rows" else G


@pytest.mark.slow
@pytest.mark.parametrize("kind, seeds", [("gaussian", 60), ("low rank", 20), ("power law", 20), ("unequal rows", 20)])
def test_no_blocks_are_found_where_there_are_none(kind, seeds):
    """At the level of 1 %: not in more than 5 % of seeds, for entries and for slices."""
    for search in (lambda A, s: discover(A, n_products=64, seed=s), lambda A, s: discover_cut(A, (8, 8), seed=s)):
        alarms = sum(search(aslinearoperator(without_structure(kind, seed)), seed).found for seed in range(seeds))
        assert alarms <= 0.05 * seeds


def test_selection_would_pass_for_structure_without_the_comparison():
    """The best cut that a search finds where there are no blocks holds more than random cuts: its excess is above 0, and so is chance."""
    rows = [discover(aslinearoperator(gaussian(64, seed)), n_products=64, judge=FAST, seed=seed) for seed in range(8)]
    assert np.mean([row.balanced.value for row in rows]) > 0.03
    assert np.mean([row.chance for row in rows]) > 0.03
    assert not any(row.found for row in rows)


def in_a_tensor(axis, noise, seed, *, shape=(12, 10), groups=3):
    """Blocks of slices along one axis, members in permuted order."""
    index = np.indices(shape)[axis].reshape(-1)
    order = normal((shape[axis],), generator(seed, 1)).argsort().numpy()
    labels = (order % groups)[index]
    H = gaussian(len(labels), seed) * np.where(labels[:, None] == labels[None, :], 1.0, (noise / (1 - noise) / (groups - 1)) ** 0.5)
    return H, labels


@pytest.mark.parametrize("axis", [0, 1])
def test_groups_of_slices_are_found_along_their_axis(axis):
    """Rows into heads, scattered over the tensor; a third of the mass is outside."""
    for seed in range(5):
        H, labels = in_a_tensor(axis, 0.33, seed)
        found = discover_cut(aslinearoperator(H), (12, 10), judge=FAST, seed=seed)
        assert found.found and found.cut.endswith(f"along axis {axis}") and "groups" in found.cut
        assert agreement(found.labels, labels) == 1.0


def test_each_slice_by_itself_and_its_price():
    """Independent columns: 6 blocks. 16 products to balance, 4 for each of 5 + 6 slices, 4 + 4 for each of 6 blocks."""
    index = np.indices((5, 6))[1].reshape(-1)
    H = gaussian(30, 0) * (index[:, None] == index[None, :])
    found = discover_cut(aslinearoperator(H), (5, 6), judge=FAST)
    assert found.found and found.cut == "each of 6 slices along axis 1"
    assert found.excess.value == pytest.approx(1.0, abs=1e-9) and found.confirmed == 1.0
    assert found.n_products == 16 + 4 * (5 + 6) + 8 * 6


def test_more_mass_is_not_a_better_cut():
    """Columns with a third of the mass outside: two groups of them hold more than each by itself, and so would any two groups."""
    index = np.indices((8, 6))[1].reshape(-1)
    for seed in range(4):
        H = gaussian(48, seed) * np.where(index[:, None] == index[None, :], 1.0, (0.5 / 5) ** 0.5)
        found = discover_cut(aslinearoperator(H), (8, 6), judge=FAST, seed=seed)
        assert found.cut == "each of 6 slices along axis 1"
        halves = (index >= 3).astype(int)
        assert measure(H, halves, name="", partition="").mass > measure(H, index, name="", partition="").mass


def test_a_heavy_diagonal_does_not_blur_the_score():
    """1,000 times the length of a row on the diagonal: the excess is still that of the exact matrix, which leaves the diagonal out."""
    H, labels = planted([20, 20, 20], 2, noise=0.2)
    np.fill_diagonal(H, 1000.0 * np.sqrt(np.square(H).sum(axis=1).mean()))
    found = discover(aslinearoperator(H), n_products=128, judge=FAST)
    inside = labels[:, None] == labels[None, :]
    off = np.square(H) * ~np.eye(60, dtype=bool)
    share, chance = off[inside].sum() / off.sum(), 19 / 59
    assert found.found and agreement(found.labels, labels) == 1.0
    assert found.excess.value == pytest.approx((share - chance) / (1 - chance), abs=0.1)  # 4 draws; a spread of 0.02


def test_one_heavy_block_does_not_hide_the_others():
    """99.9 % of the mass in one of four groups: the mass alone would be kept by any cut that keeps that group whole."""
    H, labels = in_a_tensor(0, 0.05, 3, shape=(16, 8), groups=4)
    scale = np.where(labels == 0, 30.0, 1.0) ** 0.5
    found = discover_cut(aslinearoperator(H * np.outer(scale, scale)), (16, 8), judge=FAST)
    assert found.found and agreement(found.labels, labels) == 1.0


def test_rows_of_a_linear_regression_are_found_from_true_products():
    """1/(2N) |X W^T - Y|^2 has H = I kron X^T X / N: by row of W, (8, 6), and by nothing else; products by automatic differentiation."""
    X = normal((20, 6), generator(0))
    one = objective(lambda p, batch: 0.5 * (batch @ p["W"].T - 1.0).square().sum() / 20, {"W": torch.zeros(8, 6, dtype=torch.float64)}, [X])
    found = discover_cut(operator(hessian(one)), (8, 6))
    assert found.found and found.cut == "each of 8 slices along axis 0"
    assert torch.equal(found.partition("W", (8, 6)).labels["W"], torch.arange(8)[:, None].expand(8, 6))


def test_a_pure_function_of_the_seed():
    H, _ = planted([10, 10, 12], 0, noise=0.3)
    first, again, other = (discover(aslinearoperator(H), n_products=40, judge=FAST, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.labels, again.labels) and (first.excess, first.p_value) == (again.excess, again.p_value)
    assert first.p_value != other.p_value


def test_products_are_counted():
    H, n = planted([16] * 4, 0)[0], [0]

    def counting(V):
        n[0] += V.shape[1]
        return H @ V

    found = discover(LinearOperator(H.shape, matvec=lambda v: counting(v[:, None])[:, 0], matmat=counting, dtype=float), n_products=48)
    assert found.n_products == n[0] == 16 + 48 + 2 * 4 * found.n_blocks


def test_the_score_has_signs_that_the_search_has_not_seen():
    """Products of the search are asked for with whole vectors of signs (scaled), those of the score with signs on one block at a time."""
    H, search, score = planted([16] * 4, 0)[0], set(), set()

    def watching(V):
        (search if V.all() else score).update(map(bytes, np.sign(V.T if V.all() else V.sum(axis=1)[None]).astype(np.int8)))
        return H @ V

    found = discover(LinearOperator(H.shape, matvec=lambda v: watching(v[:, None])[:, 0], matmat=watching, dtype=float), n_products=48)
    assert found.n_blocks > 1 and (len(search), len(score)) == (16 + 48, 4) and not search & score


def test_nothing_found_is_one_block():
    found = discover_cut(aslinearoperator(gaussian(64, 5)), (8, 8), judge=FAST)
    assert not found.found and found.partition("w", (8, 8)).counts == {"w": 1}
    assert str(found).startswith(f"no blocks (nearest: {found.cut})") and f"{found.n_products} products" in str(found)


def test_confirmed_counts_rows_that_prefer_their_block():
    """Exactly block-diagonal, one of 8 rows put into the wrong block: it and nobody else interacts more with the other one."""
    right = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    H = np.where(right[:, None] == right[None, :], 1.0, 0.0)
    wrong = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    assert confirmed(blockwise(aslinearoperator(H), right, n_draws=16, seed=0)) == 1.0
    assert confirmed(blockwise(aslinearoperator(H), wrong, n_draws=64, seed=0)) == 7 / 8


def test_confirmed_compares_partners_not_block_sizes():
    """A pair that interacts with 1, and with four others by 0.8: 1 per partner against 0.64, but 1 / 2 per member of its block."""
    labels = np.array([0, 0, 1, 1, 1, 1])
    H = np.where(labels[:, None] == labels[None, :], 1.0, 0.8) - np.eye(6)
    assert confirmed(blockwise(aslinearoperator(H), labels, n_draws=512, seed=0)) == 1.0


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda A: discover(A, n_products=9), "n_products >= 10, got 9"),
        (lambda A: discover(A, n_products=20, max_blocks=1), "max_blocks >= 2, got 1"),
        (lambda A: discover_cut(A, (5, 3)), r"a cut needs a tensor of 16 entries \(at least 4\), with an axis to cut, got shape \(5, 3\)"),
        (lambda A: discover_cut(A, (4, 4), n_draws=1), "n_draws >= 2, got 1"),
        (lambda A: Judge(n_chance=1), "n_chance >= 2, got 1"),
        (lambda A: Judge(level=0.0), "0 < level < 1, got 0.0"),
        (lambda A: discover(aslinearoperator(np.eye(16)), n_products=20), "every entry is a block by itself"),
        (lambda A: discover(aslinearoperator(np.eye(3)), n_products=20), "rows of the matrix >= 4, got 3"),
    ],
)
def test_refusals(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(aslinearoperator(gaussian(16, 0)))
