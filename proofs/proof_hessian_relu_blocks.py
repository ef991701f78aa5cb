"""Theorem. f(x) = V relu(W x), C outputs, H the Hessian in W, its blocks H_ij by row of W, v_i the columns of V. Off the kinks,

(a) squared error: |H_ij| <= |cos(v_i, v_j)| sqrt(|H_ii| |H_jj|) (Frobenius), for every data set and every W, with equality
    where both neurons are active on the same samples; for isotropic independent v_i the mean of cos^2 is 1 / C;
(b) squared error, n inputs N(0, I_d), rows i and j at the angle theta, |v_i| = |v_j|: the mean of |H_ij|^2 over that of
    |H_ii|^2 is, exactly for every n, d and theta, with Q = (pi - theta) / (2 pi)

    cos^2(v_i, v_j) (Q d (d+2) + (n-1)(d Q^2 + sin^2 theta / (2 pi^2))) / (d (d+2) / 2 + (n-1) d / 4);

(c) cross entropy in place of squared error, V Gaussian and logits near 0: cos is that of the columns of V without their means,
    its mean square 1 / (C - 1): more by the factor C / (C - 1) than under squared error. The mean of |H_ij|^2 over that of
    |H_ii|^2, in which the lengths of the columns vary, too, is more by (C + 2) / (C + 1).

Source:    derived; Dong et al. (2505.02809) have the rate C^(-1/2) for the norms, second-hand. Block structure is not an effect
           of cross entropy, as Collobert (2004, second-hand) has it: it is the weaker of the two
Bounds:    relu_ratio, relu_ratio_gaussian, cross_entropy_excess of sandbox.theory.hessian_blocks
Not here:  the derivatives, H_ij = <v_i, v_j> S_ij with S_ij = (2/n) sum_n 1_i 1_j x x' for squared error, relu'' = 0 off the kinks;
           that the squared correlation of Gaussian vectors is a squared cosine in C - 1 dimensions.

Letters: S_ij as above, its square sum_nm 1_i 1_j (x_n'x_m)^2 up to a factor; sq = squared norms; half = half the angle of the cone
where both neurons are active, pi - theta wide; phi = angle from its axis.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.hessian_blocks import C, cosine, cross_entropy_excess, d, n, relu_ratio, relu_ratio_gaussian, theta
from sandbox.theory.zeroth_order_pairings import GAUSSIAN, mean
from sandbox.theory.zeroth_order_pairings import d as size

ii, jj, ij, x, y, phi, half, r = sympy.symbols("ii jj ij x y phi half r", real=True)
BELOW = Certificate(  # 1_i 1_j <= 1_i and <= 1_j, and all products (x_n' x_m)^2 >= 0
    name="relu_block_below_its_diagonals",
    claim=ii * jj - ij**2,
    hypotheses=((jj, ij - ii), (ij, ij - jj)),
    domain=(jj >= 0, ij >= 0),
)
CERTIFICATES = (BELOW,)
Q = (sympy.pi - theta) / (2 * sympy.pi)


def cone(f: sympy.Expr) -> sympy.Expr:
    """Mean over the plane of f(phi) |x|^2 in the cone: E |x|^2 = 2, phi uniform."""
    return 2 * sympy.integrate(f, (phi, -half, half)) / (2 * sympy.pi)


def squared_block(share: sympy.Expr, square: sympy.Expr) -> sympy.Expr:
    """E |S|^2 from the share of active samples and the squared norm of the mean of 1 x x': n pairs alike, n (n - 1) not."""
    return (n * share * d * (d + 2) + n * (n - 1) * square) / n**2


def mean_square(share: sympy.Expr, sine: sympy.Expr) -> sympy.Expr:
    """|E 1 x x'|^2: share on d - 2 axes, share +- sine / (2 pi) on the two of the plane."""
    return (d - 2) * share**2 + (share + sine / (2 * sympy.pi)) ** 2 + (share - sine / (2 * sympy.pi)) ** 2


def step_01_fewer_active_samples_have_a_smaller_square():
    """sum over (n, m) of (x_n' x_m)^2 with 1_i 1_j(n) 1_i 1_j(m) is at most the sum with 1_i(n) 1_i(m)."""
    BELOW.check()
    gram = sympy.Matrix([[4, 1], [1, 9]])  # (x_n' x_m)^2
    active = {"i": sympy.Matrix([1, 1]), "both": sympy.Matrix([1, 0])}
    assert (active["both"].T * gram * active["both"])[0] == 4 <= (active["i"].T * gram * active["i"])[0] == 15


def step_02_the_weights_give_the_cosine():
    """<v_i, v_j>^2 S_ij^2 / (|v_i|^2 S_ii |v_j|^2 S_jj), with S_ij^2 <= S_ii S_jj; the bound is |cosine|."""
    a, b, s = sympy.symbols("a b s", positive=True)  # |v_i|, |v_j|, |S|
    assert is_zero((a * b * cosine * s) ** 2 / ((a**2 * s) * (b**2 * s)) - relu_ratio.value**2)


def step_03_it_is_attained_where_both_neurons_are_active_on_the_same_samples():
    assert is_zero((ii * jj - ij**2).subs({ii: ij, jj: ij}))


def step_04_isotropic_columns_have_a_mean_squared_cosine_of_1_over_C():
    """The C coordinates of a unit vector are alike, and their squares add up to 1; so do C - 1 off the mean.

    With lengths of k coordinates, E <v, w>^2 / E |v|^4 = k / (k (k + 2)).
    """
    share = sympy.Symbol("share")
    assert sympy.solve(C * share - 1, share) == [1 / C]
    assert is_zero(cross_entropy_excess.value - (1 / (C - 1)) / (1 / C))
    lengths = lambda k: k / mean(GAUSSIAN, "11").subs(size, k)  # noqa: E731
    assert is_zero(lengths(C - 1) / lengths(C) - (C + 2) / (C + 1))


def step_05_the_cone_where_both_are_active():
    """Its second moments along the axis and across it, half = (pi - theta) / 2 and sin(2 half) = sin(theta)."""
    half_angle = (sympy.pi - theta) / 2
    along = cone(sympy.cos(phi) ** 2).subs(half, half_angle)
    across = cone(sympy.sin(phi) ** 2).subs(half, half_angle)
    for value, sign in ((along, 1), (across, -1)):
        assert is_zero(
            sympy.expand_trig(value).subs(sympy.cos(theta / 2), sympy.sin(theta) / (2 * sympy.sin(theta / 2)))
            - (Q + sign * sympy.sin(theta) / (2 * sympy.pi))
        )
    assert is_zero(cone(sympy.sin(phi) * sympy.cos(phi)))


def step_06_the_block_s_mean_square():
    """E |x|^4 = d (d + 2), and E over two samples the squared norm of the mean."""
    assert is_zero(mean_square(Q, sympy.sin(theta)) - (d * Q**2 + sympy.sin(theta) ** 2 / (2 * sympy.pi**2)))
    off = cosine**2 * squared_block(Q, mean_square(Q, sympy.sin(theta)))
    on = squared_block(sympy.Rational(1, 2), mean_square(sympy.Rational(1, 2), sympy.Integer(0)))
    assert is_zero(off / on - relu_ratio_gaussian.value)


def step_07_it_is_attained_by_the_bound_of_all_data_where_the_rows_are_parallel():
    assert is_zero(relu_ratio_gaussian.value.subs(theta, 0) - cosine**2)
    assert relu_ratio_gaussian.value.subs(theta, sympy.pi) == 0


def step_08_orthogonal_rows_in_the_limit_of_many_inputs():
    """d, n -> infinity at d / n = r: cos^2 (r/4 + 1/16) / (r/2 + 1/4)."""
    r = sympy.Symbol("r", positive=True)
    ratio = sympy.limit(relu_ratio_gaussian.value.subs({theta: sympy.pi / 2, n: d / r}).subs(d, 1 / x), x, 0, "+")
    assert is_zero(ratio - cosine**2 * (r / 4 + sympy.Rational(1, 16)) / (r / 2 + sympy.Rational(1, 4)))


def step_09_no_smaller_bound_will_do():
    assert sympy.Rational(999, 1000) * relu_ratio.value.subs(cosine, sympy.Rational(1, 2)) < sympy.Rational(1, 2)  # step 3
    assert is_zero(relu_ratio.value.subs(cosine, -sympy.Rational(1, 2)) - sympy.Rational(1, 2))
    assert cross_entropy_excess.value.subs(C, 2) == 2  # one free coordinate, correlation 1, against 1/2


def step_10_the_relu_cannot_be_dropped():
    """A linear layer has S_ij = S_ii: the ratio is |cos|, so all that is below it comes from neurons that differ."""
    both = {theta: sympy.pi / 2, cosine: 1, d: 2, n: 1}
    assert relu_ratio_gaussian.value.subs(both) == sympy.Rational(1, 2) < relu_ratio.value.subs(cosine, 1)


def step_11_beyond_shares_that_are_positive_the_certificate_fails():
    assert counterexample(ii * jj - ij**2, (ij <= ii, ij <= jj)) is not None


def step_12_beyond_one_output_there_is_structure_and_at_one_output_none():
    """C = 1: cos^2 = 1 for every pair; the mean 1 / C falls only with C."""
    assert (1 / C).subs(C, 1) == 1 and is_zero(relu_ratio.value.subs(cosine, -1) - 1)
