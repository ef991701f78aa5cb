"""Theorem. Let f be L-smooth on R^d, d >= 2, z uniform on the sphere |z|^2 = d, s = (f(x + eps z) - f(x - eps z)) / (2 eps), x <- x - s z /
(L d). Then for every K

    (1/K) sum_{k<K} E |grad f(x_k)|^2  <=  2 L d Delta / K + L^2 eps^2 d^2 / (d - 1),        Delta = f(x_0) - E f(x_K).

The floor is of the right order in d: where all central differences are 0 the squared gradient is at most L^2 eps^2 d / 4, and
f = g x_1 (1 - |x| / rho), rho = eps sqrt d, g = L rho / 2, has that at 0, where the method stands still for ever. One-sided differences
are another matter: on L |x|^2 / 2 they settle at (eps L d / 2)^2.

Source:    derived; the floor (eps L d / 2)^2 of proof_zeroth_order_finite_eps.py is larger from d = 6 on
Bounds:    sphere_mean, standing_still, one_sided_floor of sandbox.theory.zeroth_order_floor
Not here:  Poincare's inequality on the sphere of radius rho in R^d, whose Laplacian has the first eigenvalue (d - 1) / rho^2 (classical):
           E u^2 <= rho^2 / (d - 1) E |grad_tangential u|^2 for E u = 0; the descent lemma; E (z^T g)^2 = |g|^2; that steps add up; that a
           function whose second derivatives lie in [-L, L] outside of one point is L-smooth. Whether L^2 eps^2 d / 4 is the floor (open).

Letters: true = z^T g, error = s - true; u(y) = (f(x + y) - f(x - y)) / 2 - g^T y is odd, |grad u(y)| <= L |y|, error = u(eps z) / eps; at
the direction of y: c = cosine with the first axis, q = sine.
"""

import sympy

from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.zeroth_order import eps
from sandbox.theory.zeroth_order_floor import one_sided_floor, sphere_mean, standing_still
from sandbox.theory.zeroth_order_pairings import d
from sandbox.theory.zeroth_order_rate import Delta, K, L, finite_eps

true, error, fall, c, g, x = sympy.symbols("true error fall c g x", real=True)
rho = sympy.Symbol("rho", positive=True)
floor = sphere_mean.value.subs(Delta, 0)
poincare = rho**2 / (d - 1) * (L * rho) ** 2  # E u^2, with |grad u| <= L rho
lr = 1 / (L * d)
promise = lr * (true + error) * true - L * d / 2 * (lr * (true + error)) ** 2

one_step = Certificate(
    name="zeroth_order_floor_one_step",
    claim=sphere_mean.value.subs({Delta: fall, K: 1}) - true**2,
    hypotheses=((2 * L * d, promise - fall), (sympy.Integer(1), error**2 - floor)),
    domain=(L > 0, d >= 2),
)
CURVED = (c >= -1, c <= 1)
above = Certificate(  # 2 (v^2 + w^2) minus the form of y_1 |y|, v along y and w across it, q^2 = 1 - c^2: positive by its determinant
    name="zeroth_order_floor_curvature_above",
    claim=(2 - 2 * c) * (2 - c) - (1 - c**2),
    squares=((sympy.Integer(3), 1 - c),),
    domain=CURVED,
)
below = Certificate(
    name="zeroth_order_floor_curvature_below",
    claim=(2 + 2 * c) * (2 + c) - (1 - c**2),
    squares=((sympy.Integer(3), 1 + c),),
    domain=CURVED,
)
mean_square = Identity("zeroth_order_floor_mean_square", poincare.subs(rho**4, eps**4 * d**2) / eps**2, floor)
CERTIFICATES = (one_step, above, below, mean_square)


def cone(first: sympy.Expr, length: sympy.Expr) -> sympy.Expr:
    return L * rho / 2 * first * (1 - length / rho)


def step_01_the_promise_is_a_difference_of_squares():
    assert is_zero(promise - (true**2 - error**2) / (2 * L * d))


def step_02_the_mean_square_of_an_odd_error():
    """Poincare's inequality is an equality for u = y_1: E y_1^2 = rho^2 / d, and 1 - 1/d is what its gradient has along the sphere."""
    assert is_zero(rho**2 / (d - 1) * (1 - 1 / d) - rho**2 / d)
    mean_square.check()


def step_03_so_the_squared_slope_costs_2_L_d_and_leaves_that():
    one_step.check()
    assert is_zero(K * sphere_mean.value - (2 * L * d * Delta + K * floor))


def step_04_a_point_at_which_all_differences_vanish_has_a_small_gradient():
    """Along g: 0 = f(rho g / |g|) - f(-rho g / |g|) >= 2 rho |g| - L rho^2."""
    most = sympy.solve(2 * rho * g - L * rho**2, g)[0]
    assert is_zero((most**2).subs(rho**2, eps**2 * d) - standing_still.value)


def step_05_the_curvature_of_y1_times_length():
    """Hessian y_1 (I - e e^T) / |y| + (e_1 e^T + e e_1^T), e = y / |y|: at rational points of the plane and of space."""
    for point in ((3, 4), (5, -12), (2, 3, 6), (-1, 4, 8)):
        y = sympy.symbols(f"y:{len(point)}", real=True)
        length = sympy.sqrt(sum(one**2 for one in y))
        at = dict(zip(y, point, strict=True))
        e = sympy.Matrix(point) / length.subs(at)
        first = sympy.eye(len(point))[:, 0]
        form = first * e.T + e * first.T + e[0] * (sympy.eye(len(point)) - e * e.T)
        assert (sympy.hessian(y[0] * length, y).subs(at) - form).is_zero_matrix


def step_06_lies_between_minus_2_and_2():
    """In the plane of e and e_1 the form is ((2 c, q), (q, c)), q^2 = 1 - c^2; across it c."""
    above.check()
    below.check()
    for diagonal in (2 - 2 * c, 2 + 2 * c, 2 - c, 2 + c):
        assert counterexample(diagonal, CURVED) is None


def step_07_attained_by_a_cone_on_which_the_method_stands_still():
    """0 on the sphere of radius rho, slope L rho / 2 at 0, curvature at most (L / 2) 2."""
    assert is_zero(cone(x, rho))
    slope = sympy.diff(cone(x, x), x).subs(x, 0)
    assert is_zero((slope**2).subs(rho**2, eps**2 * d) - standing_still.value)


def step_08_no_smaller_value_will_do_and_no_larger_one_is_left():
    numbers = {eps: 1, L: 1, d: 4}
    assert sympy.Rational(999, 1000) * standing_still.value.subs(numbers) < 1 <= standing_still.value.subs(numbers)
    assert floor.subs(numbers) / standing_still.value.subs(numbers) == sympy.Rational(16, 3)
    assert is_zero(floor / standing_still.value - 4 * d / (d - 1))


def step_09_dropped_the_central_difference_the_error_is_as_large_in_every_direction():
    """f = L |x|^2 / 2, one-sided: x+ = A x - eps z / 2, A = I - z z^T / d. As A z = 0, E |x+|^2 = (1 - 1/d) |x|^2 + eps^2 d / 4."""
    squared = sympy.Symbol("squared", real=True)
    settled = sympy.solve((1 - 1 / d) * squared + eps**2 * d / 4 - squared, squared)[0]
    assert is_zero(L**2 * settled - one_sided_floor.value)
    assert (one_sided_floor.value - floor).subs({eps: 1, L: 1, d: 16}) > 0


def step_10_beyond_five_dimensions_it_is_below_the_floor_of_the_largest_error():
    old = finite_eps.value.subs({Delta: 0})
    assert counterexample(old - floor, (d >= 6, eps > 0, L > 0)) is None
    assert (old - floor).subs({eps: 1, L: 1, d: 4}) < 0
