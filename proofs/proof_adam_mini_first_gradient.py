"""Theorem. Let g be Gaussian with d independent entries of one variance. The first steps of Adam (along sign g) and of Adam-mini (along g)
enclose an angle whose cosine is in the mean

    E |g|_1 / (sqrt d |g|_2) = sqrt(d / pi) Gamma(d/2) / Gamma((d+1)/2),        1 for d = 1, falling to sqrt(2 / pi) as d -> oo.

Let x be such a vector too, the start on a diagonal Hessian. The condition number under Adam frozen at its first gradient, max |x_i| / min
|x_i|, has a median M_d with

    M_d / (d sqrt(2 log d))  ->  sqrt(2 / pi) / log 2,        12 % below it at d = 10 and 7 % at 10^4.

Source:    derived
Bounds:    cosine_mean of sandbox.theory.adam_mini_first_gradient; first_step_cosine, frozen_adam_condition of sandbox.theory.adam_mini
Not here:  that length and direction of a Gaussian vector are independent; E |g|_2 by the chi density (checked here for d = 1, 2, 3); that
           the cosine falls with d (log-convexity of Gamma; checked here to d = 12), and that of one gradient tends to its mean; Slutsky's
           lemma: where max |x_i| / sqrt(2 log d) -> 1 in probability and d min |x_i| has a limit law with a density, the quotient's median
           tends to that of the limit law; exp(-t^2) (1 - 1 / (2 t^2)) <= t sqrt(pi) erfc t <= exp(-t^2). That kappa(D H) = max |x_i| / min
           |x_i| is proof_frozen_adam_on_a_diagonal.py. The second kernel does not see this file: limits and Gamma functions are no weighted
           sums.

Letters: y = d min |x_i|; a = max |x_i| / sqrt(2 log d).
"""

import sympy

from sandbox.theory.adam_mini import dim, first_step_cosine, frozen_adam_condition
from sandbox.theory.adam_mini_first_gradient import cosine_mean
from sandbox.theory.adam_mini_frozen import t, two_coordinate_tail
from sandbox.theory.adam_mini_steps import d
from sandbox.theory.certificate import is_zero

n, y, rho = sympy.symbols("n y rho", positive=True)
half, pi = sympy.Rational(1, 2), sympy.pi


def length(size: sympy.Expr) -> sympy.Expr:
    """E |g|_2, standard normal entries."""
    return sympy.sqrt(2) * sympy.gamma((size + 1) / 2) / sympy.gamma(size / 2)


def step_01_the_mean_length_of_a_gaussian_vector():
    """The density of |g| is proportional to rho^(d-1) exp(-rho^2 / 2)."""
    for size in (1, 2, 3):
        weight = rho ** (size - 1) * sympy.exp(-(rho**2) / 2)
        mean = sympy.integrate(rho * weight, (rho, 0, sympy.oo)) / sympy.integrate(weight, (rho, 0, sympy.oo))
        assert sympy.simplify(mean - length(sympy.Integer(size))) == 0


def step_02_the_mean_cosine_is_d_times_that_of_one_entry():
    """E |g_1| = E |g|_2 E (|g_1| / |g|_2), by independence, and the cosine is sqrt d times that quotient in the mean."""
    one_entry = length(sympy.Integer(1)) / length(n)
    assert sympy.simplify(sympy.gammasimp(cosine_mean.value.subs(d, n) ** 2 - n * one_entry**2)) == 0


def step_03_the_limit_is_attained_as_the_block_grows():
    """Neighbours multiply to (2 / pi) sqrt(1 + 1/d); as the cosine falls with d, its square tends to 2 / pi too."""
    here, after = (cosine_mean.value.subs(d, size) for size in (n, n + 1))
    assert sympy.simplify(sympy.gammasimp((here * after) ** 2) - (2 / pi) ** 2 * (1 + 1 / n)) == 0
    assert is_zero(first_step_cosine.value**2 - sympy.limit(2 / pi * sympy.sqrt(1 + 1 / n), n, sympy.oo))
    assert first_step_cosine.value > 0


def step_04_small_blocks_have_more():
    values = [sympy.simplify(cosine_mean.value.subs(d, size)) for size in range(1, 13)]
    assert values[:3] == [1, 2 * sympy.sqrt(2) / pi, sympy.sqrt(3) / 2]
    assert all(later < earlier for earlier, later in zip(values, values[1:], strict=False))
    assert values[-1] > first_step_cosine.value


def step_05_the_smallest_entry_is_exponential_on_the_scale_of_one_over_d():
    """P(d min |x_i| > y) = erfc(y / (d sqrt 2))^d -> exp(-y sqrt(2 / pi))."""
    logarithm = n * sympy.log(1 - sympy.erf(y / (n * sympy.sqrt(2))))
    assert is_zero(sympy.limit(logarithm, n, sympy.oo) + y * sympy.sqrt(2 / pi))


def step_06_the_largest_entry_is_sqrt_2_log_d():
    """d erfc(a sqrt(log d)), the mean number of entries above it: -> 0 for a = 11/10, -> oo for a = 9/10. In l = log d."""
    l = sympy.Symbol("l", positive=True)  # noqa: E741
    for a, ends in ((sympy.Rational(11, 10), 0), (sympy.Rational(9, 10), sympy.oo)):
        tail = sympy.exp(l - a**2 * l) / (a * sympy.sqrt(pi * l))
        assert sympy.limit(tail if ends == 0 else tail * (1 - 1 / (2 * a**2 * l)), l, sympy.oo) == ends


def step_07_so_the_median_is_that_of_one_over_the_exponential():
    """y sqrt(2 / pi) = log 2."""
    median = sympy.log(2) / sympy.sqrt(2 / pi)
    assert sympy.simplify(sympy.exp(-median * sympy.sqrt(2 / pi)) - half) == 0
    assert sympy.simplify(frozen_adam_condition.value / (dim * sympy.sqrt(2 * sympy.log(dim))) - 1 / median) == 0


def step_08_no_smaller_constant_has_even_odds():
    """999/1000 of it is exceeded with the chance 1 - 2^(-1000/999) > 1/2 in the limit."""
    constant = frozen_adam_condition.value / (dim * sympy.sqrt(2 * sympy.log(dim)))
    chance = 1 - sympy.exp(-sympy.sqrt(2 / pi) / (sympy.Rational(999, 1000) * constant))
    assert sympy.simplify(chance) > half


def step_09_dropped_gaussian_entries_the_logarithm_goes():
    """Uniform entries: the largest tends to 1 and d min |x_i| to exp(-y), so that the median is d / log 2."""
    assert is_zero(sympy.limit(n * sympy.log(1 - y / n), n, sympy.oo) + y)
    assert sympy.limit((n / sympy.log(2)) / frozen_adam_condition.value.subs(dim, n), n, sympy.oo) == 0


def step_10_beyond_large_d_it_is_not_the_median():
    """d = 2: 2 - (4 / pi) atan t = 1/2 at t = 1 + sqrt 2, where the law has 2.71."""
    t_median = 1 + sympy.sqrt(2)
    assert abs(two_coordinate_tail.value.subs(t, t_median) - half) < sympy.Rational(1, 10**12)
    assert frozen_adam_condition.value.subs(dim, 2) > sympy.Rational(11, 10) * t_median
