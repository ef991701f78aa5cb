"""Theorem. On GoLore's counterexample let X+ = X - lr Pi G, Pi a fresh projection on r uniformly random directions of n, independent
of xi, E xi = 0, E xi^2 = 1. With o = r(n-r)/(n(n-1)(n+2)) and q = r(r+2)/(n(n+2)) + (n-r-1) o, for every X

    E|X+_top|^2 = (1 - 2 lr r/n + lr^2 q) |X_top|^2 + lr^2 sigma^2 r (n-r) o,

so the squared gradient norm goes linearly to the floor lr sigma^2 r (n-r) o / (2 r/n - lr q), and only where lr q < 2 r/n.
The floor lies above lr sigma^2 r (n-r)^2 / (2 (n-1)(n+2)) for every lr and approaches it for small lr. Full gradient descent
has no floor here: noise reaches the signal rows through Pi alone.

Source:    derived, from the moments of proof_projection_moments.py
Bounds:    golore_factor, golore_floor, golore_small_floor of sandbox.theory.projections_golore
Not here:  that a cubature rule of degree 4 is one (steps 5 to 7 use those of 4 and 7 lines).
"""

from itertools import product

import sympy

from sandbox.theory import projections_golore as golore
from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.projections import form_haar, m, r, tr_yx, xHy, yHx
from sandbox.theory.projections_golore import lr, n, o, q, sigma

x2 = sympy.Symbol("x2", nonnegative=True)  # |X_top|^2
factor, floor, small = (one.value for one in (golore.golore_factor, golore.golore_floor, golore.golore_small_floor))


def projection_form(same, transposed, trace) -> sympy.Expr:
    """E y^T Pi H Pi x for Pi = (r/n) S."""
    return (r / n) ** 2 * form_haar.value.subs({yHx: same, xHy: transposed, tr_yx: trace, m: n}, simultaneous=True)


CERTIFICATES = (
    Identity("off_diagonal_moment", projection_form(0, 0, 1), o),
    Identity("block_moment", projection_form(1, 1, n - r), q),
    Identity(
        "affine_step",
        x2 - 2 * lr * (r / n) * x2 + lr**2 * q * x2 + lr**2 * sigma**2 * (n - r) * r * o,
        floor + factor * (x2 - floor),
    ),
)


def lines(size: int):
    """Unit vectors with weights, averaging every polynomial of degree 4 over the sphere."""
    eye = [sympy.eye(size)[:, i] for i in range(size)]
    signs = [sympy.Matrix([1, *sign]) for sign in product((1, -1), repeat=size - 1)]
    corner, axis = (sympy.Rational(1, 8), sympy.Rational(1, 4)) if size == 2 else (sympy.Rational(1, 20), sympy.Rational(2, 15))
    return [(axis, v * v.T) for v in eye] + [(corner, v * v.T) for v in signs]  # a corner has length sqrt(size), not 1


def normalised(size: int):
    return [(w * Pi.trace(), Pi / Pi.trace()) for w, Pi in lines(size)]


def next_energy(X: sympy.Matrix, rank: int) -> sympy.Expr:
    """E|X+_top|^2 over both signs of xi and all lines (rank 1) or their complements (rank size - 1)."""
    size = X.rows
    samples = [(w, Pi if rank == 1 else sympy.eye(size) - Pi) for w, Pi in normalised(size)]
    top = size - rank
    total = sympy.Integer(0)
    for (w, Pi), xi in product(samples, (1, -1)):
        G = sympy.Matrix(size, size, lambda i, j, xi=xi: X[i, j] if i < top else (xi * sigma if i == j else 0))
        after = X - lr * Pi * G
        total += w / 2 * sum(entry**2 for entry in after[:top, :])
    return total


def rows_of_signal(size: int, rank: int) -> sympy.Matrix:
    """Whatever the top rows hold; the lower rows play no part."""
    return sympy.Matrix(size, size, lambda i, j: sympy.Symbol(f"x{i}{j}") if i < size - rank else 0)


def agrees(claimed_factor: sympy.Expr, claimed_floor: sympy.Expr, size: int, rank: int) -> bool:
    X = rows_of_signal(size, rank)
    sizes = {n: size, r: rank}
    energy, level = sum(entry**2 for entry in X), claimed_floor.subs(sizes)
    return is_zero(next_energy(X, rank) - level - claimed_factor.subs(sizes) * (energy - level))


def step_01_the_two_moments_of_the_projection():
    assert is_zero(projection_form(0, 0, 1) - o)  # H = e_j e_j^T, i not j: E Pi_ij^2
    assert is_zero(projection_form(1, 1, n - r) - q)  # H = the projection on the top rows: E (Pi_tt^2)_ii


def step_02_the_energy_after_a_step_is_affine_in_the_energy_before():
    """E Pi = (r/n) I; the noise is centred and independent; |Pi_tb|^2 has (n - r) r entries of mean square o."""
    after = x2 - 2 * lr * (r / n) * x2 + lr**2 * q * x2 + lr**2 * sigma**2 * (n - r) * r * o
    assert is_zero(after - floor - factor * (x2 - floor))
    for one in CERTIFICATES:
        one.check()


def step_03_the_factor_is_below_one_exactly_where_the_floor_exists():
    assert is_zero(1 - factor - lr * (2 * r / n - lr * q))


def step_04_and_never_negative():
    """r/n <= q n/r, that is (E Pi_tt)^2 <= E Pi_tt^2: the square in lr has no two roots."""
    assert counterexample(q - (r / n) ** 2, (r >= 1, n >= r + 1)) is None
    assert is_zero(factor - ((1 - lr * r / n) ** 2 + lr**2 * (q - (r / n) ** 2)))


def step_05_attained_by_four_lines_of_the_plane():
    assert agrees(factor, floor, 2, 1)


def step_06_attained_by_seven_lines_and_seven_planes_of_space():
    assert agrees(factor, floor, 3, 1) and agrees(factor, floor, 3, 2)


def step_07_no_smaller_and_no_larger_floor_or_factor_will_do():
    for change in (sympy.Rational(999, 1000), sympy.Rational(1001, 1000)):
        assert not agrees(change * factor, floor, 2, 1)
        assert not agrees(factor, change * floor, 2, 1)


def step_08_the_small_floor_is_the_slope_of_the_floor_at_zero():
    assert is_zero((floor / lr).subs(lr, 0) - small / lr)


def step_09_and_lies_below_it_for_every_rate():
    assert is_zero(floor - small * (2 * r / n) / (2 * r / n - lr * q))
    assert counterexample(q, (r >= 1, n >= r + 1)) is None


def step_10_no_larger_small_floor_lies_below():
    numbers = {n: 10, r: 4, sigma: 1, lr: sympy.Rational(1, 10**4)}
    assert (sympy.Rational(1001, 1000) * small).subs(numbers) > floor.subs(numbers)


def step_11_dropped_randomness_with_all_directions_there_is_no_floor():
    """r = n: o = 0, no noise row is mixed in."""
    assert is_zero(o.subs(r, n))


def step_12_dropped_independence_the_noise_alone_is_captured_and_nothing_moves():
    """Pi = the noise rows, as in proof_projection_stall.py: no row of the signal moves, where the factor says 723/800: E cos^2 = 1/2 and
    E cos^4 = 3/8 on the circle.
    """
    X, noise_rows = rows_of_signal(2, 1), sympy.diag(0, 1)
    G = sympy.Matrix([[X[0, 0], X[0, 1]], [0, sigma]])
    assert (X - lr * noise_rows * G)[0, :] == X[0, :]
    numbers = {n: 2, r: 1, lr: sympy.Rational(1, 10)}
    assert factor.subs(numbers) == 1 - 2 * sympy.Rational(1, 10) / 2 + sympy.Rational(1, 100) * sympy.Rational(3, 8)
    assert floor.subs(numbers).subs(sigma, 1) < 1  # so that from the energy 1 the law without independence would let it fall


def step_13_beyond_the_largest_rate_the_energy_grows():
    numbers = {n: 2, r: 1, lr: 3}
    assert (lr * q - 2 * r / n).subs(numbers) > 0 and factor.subs(numbers) > 1
