"""Moments of random projections against samples that know no formula: numpy draws with their own standard error; and the minimum
variance against a linear program over all ways to draw."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from sandbox.theory import projections as law

M, R, N = 6, 2, 40_000


def z_score(samples, expected):
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


def haar(rng):
    return np.linalg.qr(rng.standard_normal((N, M, R)))[0] * math.sqrt(M / R)


def gaussian(rng):
    return rng.standard_normal((N, M, R)) / math.sqrt(R)


def chosen(index):
    return np.eye(M)[index].swapaxes(1, 2) * math.sqrt(M / R)


def coordinate(rng):
    return chosen(np.argsort(rng.random((N, M)), 1)[:, :R])


def replacement(rng):
    return chosen(rng.integers(0, M, (N, R)))


LAWS = {
    "haar": (haar, law.form_haar, law.fourth_haar, law.square_orthogonal, law.error_orthogonal),
    "gaussian": (gaussian, law.form_gaussian, law.fourth_gaussian, law.square_gaussian, law.error_gaussian),
    "coordinate": (coordinate, law.form_coordinate, law.fourth_coordinate, law.square_orthogonal, law.error_orthogonal),
    "replacement": (replacement, law.form_replacement, law.fourth_replacement, law.square_replacement, law.error_replacement),
}


@pytest.fixture(params=LAWS)
def drawn(request):
    draw, *bounds = LAWS[request.param]
    P = draw(np.random.default_rng(11))
    return P @ P.swapaxes(1, 2), bounds


def at(bound, **constants):
    return bound.at(**{name: constants[name] for name in bound.symbols})


def test_the_form_of_an_asymmetric_matrix(drawn):
    """4 sigma; and a number 3 % away is told apart."""
    S, (form, *_) = drawn
    rng = np.random.default_rng(12)
    H, x, y = rng.standard_normal((M, M)), rng.standard_normal(M), rng.standard_normal(M)
    samples = np.einsum("nia,ij,njb,a,b->n", S, H, S, y, x, optimize=True)
    parts = {"yHx": y @ H @ x, "xHy": x @ H @ y, "yDx": y @ np.diag(np.diag(H)) @ x, "tr_yx": np.trace(H) * (y @ x)}
    limit = at(form, m=M, r=R, **parts)
    assert abs(z_score(samples, limit)) < 4


def test_the_square_the_error_and_the_fourth_moment(drawn):
    S, (_, fourth, square, error) = drawn
    g = np.random.default_rng(13).standard_normal(M)
    g /= np.linalg.norm(g)
    Sg = S @ g
    sizes = {"m": M, "r": R, "kappa": float((g**4).sum())}
    exact_square = np.allclose((Sg**2).sum(1), M / R * Sg @ g)  # orthogonal laws: |S g|^2 = (m/r) g^T S g
    assert exact_square == (square is law.square_orthogonal)
    assert abs(z_score((Sg**2).sum(1), at(square, **sizes))) < 4
    assert abs(z_score(((Sg - g) ** 2).sum(1), at(error, **sizes))) < 4
    assert abs(z_score((Sg @ g) ** 2, at(fourth, **sizes))) < 4
    assert abs(z_score((Sg @ g) ** 2, 1.05 * at(fourth, **sizes))) > 4  # the run can tell 5 % apart


def test_the_smoothness_of_a_gaussian_step_is_the_top_eigenvalue():
    S = LAWS["gaussian"][0](np.random.default_rng(14))
    S = S @ S.swapaxes(1, 2)
    h = 1.0 / np.arange(1, M + 1)
    limit = law.smoothness_gaussian.at(m=M, r=R, L=1.0, trace_H=h.sum())
    assert abs(z_score((S[:, 0, :] ** 2 * h).sum(1), limit)) < 4
    assert limit <= law.smoothness.at(L=1.0, second_moment=law.square_gaussian.at(m=M, r=R))


def test_the_gradient_sum_is_an_equality_on_the_quadratic_for_every_law(drawn):
    """X = |grad|^2 - constant * decrease has mean 0 over one step from a fixed point."""
    S, (_, _, square, _) = drawn
    L, lr, c = 3.0, 0.05, at(square, m=M, r=R)
    W = np.arange(1.0, M + 1)
    after = W - lr * L * S @ W
    decrease = L * (W @ W - (after**2).sum(1)) / 2
    constant = law.gradient_sum.at(lr=lr, L=L, second_moment=c)
    assert abs(z_score(constant * decrease, L**2 * W @ W)) < 4
    assert abs(z_score(1.05 * constant * decrease, L**2 * W @ W)) > 4


def least_variance(s, rank):
    """min E|Y|^2 - |A|^2 over laws on diagonal Y with `rank` equal-scale parts: linear in the probabilities of (subset, scale).

    A part i of a chosen subset takes one of many values on a grid, independent of the others: E|Y|^2 and E Y are linear.
    """
    grid = np.linspace(0.0, 2.0 * max(s), 25)
    subsets = list(combinations(range(len(s)), rank))
    cells = [(S, i, v) for S in range(len(subsets)) for i in subsets[S] for v in grid]
    cost = [v**2 for _, _, v in cells]
    mean = [[v if j == i else 0.0 for _, i, v in cells] for j in range(len(s))]
    # p(S, i, v) = P(S chosen and part i has the value v): for every i of S they sum to the same P(S), and all P(S) to 1
    rows, total = [], np.zeros(len(cells))
    for S, subset in enumerate(subsets):
        mass = [np.array([float(S == T and i == j) for T, j, _ in cells]) for i in subset]
        rows += [mass[0] - other for other in mass[1:]]
        total += mass[0]
    A_eq = np.vstack([mean, *(rows or [np.zeros(len(cells))]), total])
    b_eq = np.array([*s, *[0.0] * max(len(rows), 1), 1.0])
    found = linprog(cost, A_eq=A_eq, b_eq=b_eq, bounds=(0, None))
    assert found.status == 0
    return found.fun - sum(x**2 for x in s)


@pytest.mark.parametrize(
    ("s", "rank", "head"),
    [((4.0, 2.0, 1.0, 1.0), 3, 1), ((3.0, 3.0, 3.0, 3.0), 2, 0), ((6.0, 1.5, 1.0, 0.5), 2, 1), ((2.0, 1.5, 1.5, 1.0), 2, 0)],
)
def test_the_minimum_variance_is_that_of_a_linear_program(s, rank, head):
    """Levels T/k are on the grid to 1/2 % of their square at worst (grid step 2 max(s) / 24, curvature 1)."""
    rest, k = s[head:], rank - head
    ends = {"head_least": s[head - 1] if head else 1e9, "tail_most": rest[0]}
    limit = law.minimum_variance.at(tail_sum=sum(rest), tail_energy=sum(x**2 for x in rest), rank_left=k, **ends)
    step = 2 * max(s) / 24
    assert limit - 1e-9 <= least_variance(s, rank) <= limit + len(s) * step**2 / 4
    prac = law.prac_variance.at(tail=len(rest), rank_left=k, tail_energy=sum(x**2 for x in rest))
    assert prac >= limit - 1e-12 and (prac == pytest.approx(limit)) == (len(set(rest)) == 1)


def test_prac_is_the_variance_of_a_scaled_projection_of_the_tail():
    rng = np.random.default_rng(15)
    S = np.einsum("nir,njr->nij", *(2 * [haar(rng)]))
    tail = np.diag([2.0, 1.0, 1.0, 0.5, 0.5, 0.1])
    samples = ((tail @ S - tail) ** 2).sum((1, 2))
    assert abs(z_score(samples, law.prac_variance.at(tail=M, rank_left=R, tail_energy=float((tail**2).sum())))) < 4
