"""Theorem. Leave the details of a Haar transform out, so that a block w of N = 2^level neighbours moves along 1 = (1, ..., 1) alone, on a
sum of w^T M w / 2 over blocks, M positive semidefinite, 1^T M 1 > 0. From a start of mean 0, one variance and correlation rho within
blocks the loss ends, once the approximation is solved, at

    (1 - rho)(1 - q) / (1 - rho + rho g)      of its first mean,      g = 1^T M 1 / tr M,    q = |M 1|^2 / (1^T M 1 tr M) >= g / N.

Where the columns have the curvatures h_j and nothing else, g = 1: (1 - rho)(1 - sum h_j^2 / (sum h_j)^2), never more than the (1 - rho)
(1 - 1/N) of equal curvatures, and nearly nothing where one column has all the curvature. Where columns are coupled it can be more.

Source:    derived
Bounds:    columns_loss of sandbox.theory.wavelet
Not here:  that a rule without details moves along (1, ..., 1) alone (proof_haar_energy.py) and converges; that losses of blocks add up;
           |M 1|^2 >= (1^T M 1)^2 / N for any N (Cauchy; for N = 2 and 4 here).
"""

from itertools import combinations

import sympy

from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.wavelet import columns_loss, dropped_error, frozen_loss, g, level, q, rho

a, c, M1, trace, total = sympy.symbols("a c M1 trace total", real=True)  # M1 = |M 1|^2, total = 1^T M 1
SHAPE = {g: total / trace, q: M1 / (total * trace)}
ends = (1 - rho) * (trace - M1 / total)  # E of the least loss, in units of a half
starts = (1 - rho) * trace + rho * total
h = sympy.symbols("h:4", positive=True)


def hessian(size: int) -> sympy.Matrix:
    return sympy.Matrix(size, size, lambda i, j: sympy.Symbol(f"m{min(i, j)}{max(i, j)}"))


def covariance(size: int) -> sympy.Matrix:
    return (1 - rho) * sympy.eye(size) + rho * sympy.ones(size)


def means(M: sympy.Matrix) -> tuple[sympy.Expr, sympy.Expr]:
    """E of the least loss along 1 and of the first one: E w^T K w = tr K C."""
    one, C = sympy.ones(M.rows, 1), covariance(M.rows)
    pulled = M * one
    least = M - pulled * pulled.T / (one.T * pulled)[0]
    return (least * C).trace(), (M * C).trace()


def shape_of(M: sympy.Matrix) -> dict[sympy.Symbol, sympy.Expr]:
    pulled = M * sympy.ones(M.rows, 1)
    return {M1: (pulled.T * pulled)[0], trace: M.trace(), total: sum(pulled)}


def diagonal(curvatures) -> dict[sympy.Symbol, sympy.Expr]:
    return {expr: value.subs(shape_of(sympy.diag(*curvatures))) for expr, value in SHAPE.items()}


cauchy = Certificate(
    name="haar_columns_cauchy",
    claim=4 * sum(x**2 for x in h) - sum(h) ** 2,
    squares=tuple((sympy.Integer(1), x - y) for x, y in combinations(h, 2)),
)
share = Identity("haar_columns_share", ends / starts, columns_loss.value.subs(SHAPE))
CERTIFICATES = (cauchy, share)


def step_01_the_least_loss_along_the_block():
    """min over a of (w + a 1)^T M (w + a 1) = w^T M w - (1^T M w)^2 / 1^T M 1."""
    M, w, one = hessian(2), sympy.Matrix(sympy.symbols("w0 w1")), sympy.ones(2, 1)
    moved = ((w + a * one).T * M * (w + a * one))[0]
    best = sympy.solve(sympy.diff(moved, a), a)[0]
    pulled = M * one
    assert is_zero(moved.subs(a, best) - (w.T * (M - pulled * pulled.T / sum(pulled)) * w)[0])


def step_02_its_mean_and_that_of_the_first_loss():
    for size in (2, 4):
        M = hessian(size)
        least, first = means(M)
        assert is_zero(least - ends.subs(shape_of(M))) and is_zero(first - starts.subs(shape_of(M)))


def step_03_their_ratio_in_terms_of_the_shape():
    share.check()


def step_04_curvatures_of_columns():
    for size in (2, 4):
        shape = diagonal(h[:size])
        assert is_zero(shape[g] - 1) and is_zero(shape[q] - sum(x**2 for x in h[:size]) / sum(h[:size]) ** 2)


def step_05_attained_by_equal_curvatures_is_the_floor_of_the_isotropic_loss():
    for levels, size in ((1, 2), (2, 4)):
        equal = columns_loss.value.subs(diagonal([h[0]] * size))
        assert is_zero(equal - frozen_loss.value.subs(level, levels))
    assert is_zero(frozen_loss.value - dropped_error.value)


def step_06_unequal_curvatures_of_columns_leave_less():
    cauchy.check()
    fewer = columns_loss.value.subs(g, 1).diff(q)
    assert counterexample(-fewer, (rho <= 1, rho > -1)) is None


def step_07_no_smaller_and_no_larger_floor_is_right():
    """Curvatures 1 and 9 of a pair, white start: 18/100."""
    pair = sympy.diag(1, 9)
    least, first = (mean.subs(rho, 0) for mean in means(pair))
    floor = columns_loss.value.subs(diagonal((1, 9))).subs(rho, 0)
    assert floor == least / first == sympy.Rational(18, 100)
    assert sympy.Rational(999, 1000) * floor < least / first < sympy.Rational(1001, 1000) * floor


def step_08_with_one_column_that_has_all_the_curvature_nothing_is_left():
    assert sympy.limit(columns_loss.value.subs(diagonal((1, c))).subs(rho, 0), c, sympy.oo) == 0


def step_09_dropped_independence_of_columns_a_coupled_pair_ends_higher():
    """M = ((1, -c), (-c, 1)): q = g / 2 = (1 - c) / 2, so (1 + c) / 2 is left where equal uncoupled curvatures leave 1/2."""
    pair = sympy.Matrix([[1, -c], [-c, 1]])
    shape = {expr: value.subs(shape_of(pair)) for expr, value in SHAPE.items()}
    assert is_zero(columns_loss.value.subs(shape).subs(rho, 0) - (1 + c) / 2)


def step_10_beyond_the_diagonal_the_share_of_the_trace_is_at_least_that_of_cauchy():
    """N |M 1|^2 - (1^T M 1)^2 = the squared differences of the entries of M 1, for N = 2 and 4."""
    for size in (2, 4):
        pulled = hessian(size) * sympy.ones(size, 1)
        squares = sum((x - y) ** 2 for x, y in combinations(pulled, 2))
        assert is_zero(size * sum(x**2 for x in pulled) - sum(pulled) ** 2 - squares)
