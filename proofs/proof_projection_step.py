"""Theorem. Let f be L-smooth (convex or not), S = P P^T random and independent of W with E S = I, E S^2 = c I. Then

    W+ = W - lr S grad f(W),  0 < lr c L < 2:   sum_k E|grad f(W_k)|^2  <=  2 / (lr (2 - lr L c)) (f(W_0) - E f(W_K)),

with equality at every step on f = L |W|^2 / 2 whatever the law, and E S H S has no eigenvalue above c L for |H| <= L, with
equality for H = L I. So c L is the smoothness of one step: (m/r) L for Haar and coordinates, ((m+r+1)/r) L for Gaussian P,
((m+r-1)/r) L with replacement; and the best lr = 1 / (c L) gives 2 c L.

Source:    derived (the descent lemma in expectation)
Bounds:    gradient_sum, smoothness of sandbox.theory.projections
Not here:  the descent lemma f(W + D) <= f(W) + <grad f(W), D> + L |D|^2 / 2; that S H S <= L S^2 where H <= L I; that
           one-step inequalities add up (proof_gradient_sum.py).
"""

import sympy

from sandbox.theory import projections as law
from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.projections import L, lr, m, r, second_moment

g, w = sympy.symbols("g w", real=True)
c = second_moment
concrete = {L: 1, lr: sympy.Rational(1, 4), c: 2, g: 1}


def guaranteed(second: sympy.Expr) -> sympy.Expr:
    """f(W) - E f(W+) by the descent lemma: E <g, S g> = |g|^2 and E|S g|^2 = second |g|^2."""
    return lr * g**2 - L * lr**2 * second * g**2 / 2


decrease_of_f = sympy.Symbol("decrease_of_f", real=True)
CERTIFICATES = (
    Certificate(
        name="projected_gradient_sum",
        claim=law.gradient_sum.value * decrease_of_f - g**2,
        hypotheses=((law.gradient_sum.value, guaranteed(c) - decrease_of_f),),
        vectors=(g,),
        domain=law.gradient_sum.requires,
    ),
)


def step_01_the_descent_lemma_pays_for_the_squared_gradient():
    assert is_zero(law.gradient_sum.value * guaranteed(c) - g**2)

    CERTIFICATES[0].check()


def step_02_the_price_is_positive_on_the_whole_domain():
    assert counterexample(law.gradient_sum.value, law.gradient_sum.requires) is None


def step_03_attained_on_the_steepest_quadratic_for_every_law():
    """E|W - lr L S W|^2 = |W|^2 (1 - 2 lr L + (lr L)^2 c)."""
    decrease = L * w**2 / 2 * (1 - (1 - 2 * lr * L + (lr * L) ** 2 * c))
    assert is_zero(law.gradient_sum.value * decrease - (L * w) ** 2)


def step_04_no_smaller_constant_will_do():
    constant = law.gradient_sum.value.subs(concrete)
    assert sympy.Rational(999, 1000) * constant * guaranteed(c).subs(concrete) < 1


def step_05_the_best_step_is_one_over_c_L():
    best = law.gradient_sum.value.subs(lr, 1 / (c * L))
    assert is_zero(best - 2 * c * L)
    assert counterexample(law.gradient_sum.value - best, law.gradient_sum.requires) is None


def step_06_one_step_has_the_smoothness_c_L_and_the_identity_attains_it():
    """x^T S H S x <= L |S x|^2, whose mean is c L |x|^2; for H = L I there is equality."""
    assert is_zero(law.smoothness.value - c * L)
    for form, second in ((law.form_haar, law.square_orthogonal), (law.form_gaussian, law.square_gaussian)):
        isotropic = form.value.subs({law.yHx: L, law.xHy: L, law.tr_yx: m * L})
        assert is_zero(isotropic - law.smoothness.value.subs(c, second.value))


def step_07_no_smaller_smoothness_will_do():
    """Two rows, one column: the mean over the two axes of S (I) S is 2 I."""
    mean = (sympy.diag(2, 0) ** 2 + sympy.diag(0, 2) ** 2) / 2
    assert mean == law.smoothness.value.subs({L: 1, c: 2}) * sympy.eye(2)
    assert mean[0, 0] > (sympy.Rational(999, 1000) * law.smoothness.value).subs({L: 1, c: 2})


def step_08_dropped_independence_of_the_basis_from_the_gradient():
    """P always orthogonal to the gradient: no decrease at all, as in GoLore's counterexample, whatever the constant."""
    P, gradient = sympy.Matrix([0, sympy.sqrt(2)]), sympy.Matrix([1, 0])  # f = w_1: the step goes along w_2
    decrease = (gradient.T * P * P.T * gradient)[0]
    assert (law.gradient_sum.value * decrease).subs(concrete) < gradient.dot(gradient)


def step_09_dropped_the_gaussian_excess_the_constant_of_haar_is_too_small_for_a_gaussian_basis():
    sizes = {m: 8, r: 2}
    haar, gaussian = (second.value.subs(sizes) for second in (law.square_orthogonal, law.square_gaussian))
    step = {L: 1, lr: 1 / haar, g: 1}
    assert law.gradient_sum.value.subs(step).subs(c, haar) * guaranteed(gaussian).subs(step) < 1


def step_10_beyond_two_over_c_L_the_constant_changes_sign():
    assert counterexample(law.gradient_sum.value, (L > 0, lr > 0, c >= 1, lr * L * c < 3)) is not None
    grows = guaranteed(c).subs({L: 1, lr: 1, c: 3, g: 1})
    assert grows < 0  # on L |W|^2 / 2, where the descent lemma is an equality


def step_11_beyond_haar_every_unbiased_law_of_rank_r_has_c_at_least_m_over_r():
    """tr E S^2 >= E (tr S)^2 / r >= (E tr S)^2 / r = m^2 / r; so no law has a better constant than Haar and coordinates."""
    assert is_zero(m * law.square_orthogonal.value - m**2 / r)
    assert counterexample(law.square_gaussian.value - law.square_orthogonal.value, law.SIZES) is None
