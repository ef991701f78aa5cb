"""Theorem. Let g be a vector, z_1..z_n independent directions of one law on R^d, ghat = (1/n) sum_j (z_j^T g) z_j. For every d and n

    gaussian             E ghat = g        E |ghat|^2 = (d + n + 1)/n |g|^2
    sphere, signs        E ghat = g        E |ghat|^2 = (d + n - 1)/n |g|^2
    gaussian, each entry kept with probability p      E ghat = p g,  n = 1:  E |ghat|^2 = (d - 1 + 3/p) |E ghat|^2
    gaussian, a random set of k entries kept          E ghat = (k/d) g,      E |ghat|^2 = (d + 2 d/k) |E ghat|^2
    E ghat^T H ghat = pair (tr H |g|^2 + 2 g^T H g) + own sum_i H_ii g_i^2,  n = 1

On f = g^T x + x^T H x / 2 a central difference at 0 is z^T g for every eps, and a one-sided one z^T g + (eps/2) z^T H z: without bias,
but with (eps^2/4) (d + 4) [(tr H)^2 + 2 tr H^2] more in E |ghat|^2 (n = 1, Gaussian). Slopes with independent errors of variance v add
d v / n. So masking never helps the ratio: 3/p - 1 >= 2 with equality at p = 1, and 2 d/k >= 2 at k = d.

Source:    MeZO, https://arxiv.org/abs/2305.17333, Lemma 2 (read: sphere) and appendix (Gaussian); the others derived
Bounds:    gaussian_second_moment, sphere_second_moment, random_mask_second_moment, counted_mask_second_moment, one_sided_excess,
           noise_excess of sandbox.theory.zeroth_order
Not here:  E z^2k = (2k-1)!! of N(0, 1); that |z| and z/|z| of a Gaussian are independent; E |z|^4 = d (d + 2) from steps 1 and 2;
           odd moments of symmetric laws are 0; E over independent directions factors.
"""

from itertools import product

import sympy

from sandbox.theory import zeroth_order as zo
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.zeroth_order import n, scatter
from sandbox.theory.zeroth_order_pairings import (
    GAUSSIAN,
    KEPT,
    KEPT_COUNT,
    RADEMACHER,
    SPHERE,
    H_gg,
    Law,
    d,
    g2,
    gaussian_mean,
    gHg,
    kept,
    mean,
    p,
    tr_H,
    tr_HH,
)

INDICES = tuple(product(range(4), repeat=4))  # every coincidence of four indices
ONE_ENTRY = {0: 1, 1: 0, 2: 1, 3: 0, 4: 3}  # E z^k of N(0, 1)


def by_pairings(law: Law, index: tuple[int, ...]) -> sympy.Expr:
    i, j, k, l = index  # noqa: E741
    pairs = [i == j and k == l, i == k and j == l, i == l and j == k]
    return law.pair * sum(map(int, pairs)) + law.own * int(i == j == k == l)


def independent(index: tuple[int, ...], moments: dict[int, sympy.Expr]) -> sympy.Expr:
    return sympy.prod(moments[index.count(i)] for i in set(index))


TWO = sympy.Matrix(sympy.symbols("g0 g1", real=True))


def entries_in_the_plane(law: Law) -> sympy.Expr:
    """E (z^T g)^2 |z|^2 for d = 2, entry by entry."""
    index = product((0, 1), repeat=4)
    return sum(by_pairings(law, (i, j, k, l)) * TWO[i] * TWO[j] * int(k == l) for i, j, k, l in index).subs(d, 2)  # noqa: E741


CERTIFICATES = (
    Identity("moments_of_gaussian_directions", scatter(GAUSSIAN), zo.gaussian_second_moment.value),
    Identity("moments_of_the_sphere", scatter(SPHERE), zo.sphere_second_moment.value),
    Identity("moments_of_signs", scatter(RADEMACHER), zo.sphere_second_moment.value),
    Identity("moments_in_the_plane", entries_in_the_plane(GAUSSIAN), zo.gaussian_second_moment.value.subs({d: 2, n: 1}) * TWO.dot(TWO)),
    Identity(
        "moments_of_signs_in_the_plane", entries_in_the_plane(RADEMACHER), zo.sphere_second_moment.value.subs({d: 2, n: 1}) * TWO.dot(TWO)
    ),
    Identity("moments_one_sided", (zo.eps / 2) ** 2 * gaussian_mean("HH1"), zo.one_sided_excess.value),
    Certificate(
        name="moments_of_a_random_mask",
        claim=scatter(KEPT).subs(n, 1) / KEPT.scale**2 - (d + 2),
        squares=((3 * (1 - p) / p, sympy.Integer(1)),),
        domain=(p > 0, p <= 1),
    ),
    Certificate(
        name="moments_of_a_counted_mask",
        claim=sympy.cancel(scatter(KEPT_COUNT).subs(n, 1) / KEPT_COUNT.scale**2) - (d + 2),
        hypotheses=((2 / kept, kept - d),),
        domain=(kept >= 1,),
    ),
)


def step_01_gaussian_entries_have_these_fourth_moments():
    assert all(is_zero(by_pairings(GAUSSIAN, index) - independent(index, ONE_ENTRY)) for index in INDICES)


def step_02_so_have_signs_and_the_sphere():
    """The sphere: a Gaussian is a length times z / sqrt d, so its fourth moments are those of the sphere times E |z|^4 / d^2."""
    signs = {k: (k + 1) % 2 for k in range(5)}
    assert all(is_zero(by_pairings(RADEMACHER, index) - independent(index, signs)) for index in INDICES)
    length = mean(GAUSSIAN, "11") / d**2
    assert all(is_zero(by_pairings(SPHERE, index) * length - by_pairings(GAUSSIAN, index)) for index in INDICES)


def step_03_and_masked_gaussians():
    """Entries kept together: one with p or k/d, two with p^2 or k (k-1) / (d (d-1)); three never matter, an odd moment is 0."""
    for law, one, two in ((KEPT, p, p**2), (KEPT_COUNT, kept / d, kept * (kept - 1) / (d * (d - 1)))):
        for index in INDICES:
            together = {1: one, 2: two}.get(len(set(index)), sympy.Integer(0))
            assert is_zero(by_pairings(law, index) - together * independent(index, ONE_ENTRY))


def step_04_contractions_are_sums_over_pairings():
    """In two dimensions, entry by entry, against the words of letters."""
    g, H = sympy.Matrix(sympy.symbols("g0 g1")), sympy.Matrix(2, 2, sympy.symbols("h0 h1 h1 h2"))
    values = {
        d: 2,
        g2: g.dot(g),
        gHg: g.dot(H * g),
        tr_H: H.trace(),
        tr_HH: (H * H).trace(),
        H_gg: sum(H[i, i] * g[i] ** 2 for i in (0, 1)),
    }
    letters = {"1": sympy.eye(2), "H": H, "G": g * g.T}
    for law, form in product((GAUSSIAN, SPHERE, RADEMACHER, KEPT), ("G1", "GH", "H1")):
        entries = sum(
            by_pairings(law, (i, j, k, l)) * letters[form[0]][i, j] * letters[form[1]][k, l] for i, j, k, l in product((0, 1), repeat=4)
        )
        assert is_zero(mean(law, form).subs(values) - entries.subs(d, 2))


def step_05_the_second_moments_of_the_three_laws():
    assert is_zero(scatter(GAUSSIAN) - zo.gaussian_second_moment.value)
    for law in (SPHERE, RADEMACHER):
        assert is_zero(scatter(law) - zo.sphere_second_moment.value)


def step_06_the_masks_keep_the_direction_of_the_mean_and_only_add_scatter():
    """E ghat = scale g, and E |ghat|^2 / |E ghat|^2 is never below the d + 2 of no mask."""
    for law, bound in ((KEPT, zo.random_mask_second_moment), (KEPT_COUNT, zo.counted_mask_second_moment)):
        assert is_zero(scatter(law).subs(n, 1) / law.scale**2 - bound.value)
        assert counterexample(bound.value - (d + 2), bound.requires) is None


def step_07_the_quadratic_form_of_the_hessian():
    for law in (GAUSSIAN, SPHERE, RADEMACHER):
        assert is_zero(mean(law, "GH") - law.pair * (tr_H * g2 + 2 * gHg) - law.own * H_gg)


def step_08_a_one_sided_difference_adds_a_sixth_moment():
    """E (z^T H z)^2 |z|^2 from 15 pairings; the cross term is of odd order."""
    eps = zo.eps
    assert is_zero((eps / 2) ** 2 * gaussian_mean("HH1") - zo.one_sided_excess.value)


def step_09_noise_in_the_slopes_adds_their_variance_times_the_dimension():
    v = zo.slope_variance
    assert is_zero(n * v * mean(GAUSSIAN, "1") / n**2 - zo.noise_excess.value)


def step_10_it_is_attained_by_two_signs_and_three_gaussian_nodes():
    """Gauss-Hermite: 0 and +-sqrt 3 with the weights 2/3, 1/6, 1/6 have the moments of N(0, 1) up to the fifth."""
    nodes = ((0, sympy.Rational(2, 3)), (sympy.sqrt(3), sympy.Rational(1, 6)), (-sympy.sqrt(3), sympy.Rational(1, 6)))
    signs = ((1, sympy.Rational(1, 2)), (-1, sympy.Rational(1, 2)))
    assert is_zero(enumerated(nodes) - zo.gaussian_second_moment.value.subs({d: 2, n: 1}) * 13)
    assert is_zero(enumerated(signs) - zo.sphere_second_moment.value.subs({d: 2, n: 1}) * 13)


def enumerated(points) -> sympy.Expr:
    """E (z^T g)^2 |z|^2 for g = (2, 3), |g|^2 = 13."""
    return sum(a * b * (2 * x + 3 * y) ** 2 * (x**2 + y**2) for (x, a), (y, b) in product(points, repeat=2))


def step_11_no_smaller_constant_will_do():
    at = {d: 2, n: 1}
    assert sympy.Rational(999, 1000) * zo.gaussian_second_moment.value.subs(at) < scatter(GAUSSIAN).subs(at)
    assert sympy.Rational(999, 1000) * zo.sphere_second_moment.value.subs(at) < scatter(SPHERE).subs(at)


def step_12_an_assumption_dropped_independence_of_the_directions():
    """The same direction n times leaves the second moment of one."""
    copies = mean(GAUSSIAN, "G1") / g2
    assert not is_zero(copies - zo.gaussian_second_moment.value)
    assert is_zero((copies - zo.gaussian_second_moment.value).subs(n, 1))


def step_13_beyond_quadratics_a_slope_is_not_exact():
    """f = x^3 at x = 1: (f(1 + eps z) - f(1 - eps z)) / (2 eps) = 3 z + eps^2 z^3, whose mean times z is 3 + 3 eps^2."""
    x, z, eps = sympy.Symbol("x"), sympy.Symbol("z"), zo.eps
    f = x**3
    slope = sympy.expand((f.subs(x, 1 + eps * z) - f.subs(x, 1 - eps * z)) / (2 * eps))
    averaged = sympy.expand(slope * z).subs({z**4: 3}).subs({z**2: 1})
    assert is_zero(averaged - 3 - 3 * eps**2)


def step_14_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
