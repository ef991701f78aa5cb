"""Theorem. Let R = blockdiag(R_b), R_b orthogonal, and run a rule on f from w_0 and on f(R' .) from R w_0.

(a) Adam-mini, with momentum, bias correction, eps, decoupled decay and clipping by the global norm: w_t of the second run
    is R times that of the first, for every t. Each step commutes with R.
(b) Adam does not have this. In d coordinates its first step (eps = 0) and that of the rotated problem, rotated back, have a
    cosine of at least (2 - d) / d, for a gradient with c = |g|_1 / (sqrt d |g|_2) of at least
    (c - sqrt((d - 1)(1 - c^2))) / sqrt d; both are approached, so from d = 3 on the two steps may point apart.
(c) For a Gaussian gradient and a Haar rotation the mean cosine is (d / pi) (Gamma(d/2) / Gamma((d+1)/2))^2 -> 2 / pi.

Source:    (a) derived; the authors of Adam-mini do not claim it; (b), (c) derived
Bounds:    turned_first_step, turned_first_step_of, turned_first_step_mean of sandbox.theory.adam_mini_steps
Not here:  that reflections generate the orthogonal group (Cartan, Dieudonne); the chain rule, grad f(R' .) (R w) = R grad f(w);
           Cauchy-Schwarz; that a Haar rotation sends a unit vector to a uniform one; the moments of Gaussian norms.

Letters: a reflection is x -> x - 2 <u, x> u / |u|^2, and a vector x is carried as the pair (x, <u, x>). For (b), of the unit
vector g / |g|: sigma = its l1 norm, a = the l1 norm of its image, both in [1, sqrt d].
"""

import sympy

from sandbox.theory.adam_mini_steps import c, d, turned_first_step, turned_first_step_mean, turned_first_step_of
from sandbox.theory.certificate import Identity, counterexample, is_zero

Vector = tuple[sympy.Expr, sympy.Expr]
u, uu, gg, ug = sympy.symbols("u uu gg ug", real=True)
b1, b2, lr, decay, eps, root, clip, cor1, v, size = sympy.symbols("b1 b2 lr decay eps root clip cor1 v size", positive=True)
a, sigma, h = sympy.symbols("a sigma h", positive=True)
w, m, g = (tuple(sympy.symbols(f"{name} u_{name}", real=True)) for name in "wmg")
NORM = Identity("a reflection keeps the norm", gg - 4 * ug**2 / uu + 4 * ug**2 / uu**2 * uu, gg)
CERTIFICATES = (NORM,)


def reflected(x: Vector) -> Vector:
    return x[0] - 2 * x[1] / uu * u, -x[1]


def mixed(*terms: tuple[sympy.Expr, Vector]) -> Vector:
    """The linear combination, in both entries of the pair."""
    return sum(k * x[0] for k, x in terms), sum(k * x[1] for k, x in terms)


def moments(m: Vector, g: Vector) -> Vector:
    """clip stands for min(1, limit / |g|), of the global norm."""
    return mixed((b1, m), ((1 - b1) * clip, g))


def moved(w: Vector, m: Vector) -> Vector:
    """root stands for the root of the block's corrected second moment, cor1 for 1 - b1^t."""
    return mixed((1 - lr * decay, w), (-lr / cor1 / (root + eps), m))


def worst(a: sympy.Expr, sigma: sympy.Expr) -> sympy.Expr:
    """The least inner product of two vectors of squared length d whose products with g / |g| are a and sigma."""
    return a * sigma - sympy.sqrt((d - a**2) * (d - sigma**2))


def step_01_a_reflection_keeps_every_norm_and_so_the_second_moment_and_the_clipping():
    NORM.check()
    second = b2 * v + (1 - b2) * clip**2 * gg / size
    assert is_zero(second - second.subs(gg, NORM.left))


def step_02_the_pair_of_an_image_is_that_of_a_reflection():
    assert is_zero(reflected(g)[1] - (g[1] - 2 * g[1] / uu * uu))
    assert all(is_zero(one - other) for one, other in zip(reflected(reflected(g)), g, strict=True))


def step_03_the_first_moment_commutes_with_it():
    both = zip(moments(reflected(m), reflected(g)), reflected(moments(m, g)), strict=True)
    assert all(is_zero(one - other) for one, other in both)


def step_04_so_does_the_weight_and_the_induction_closes_so_the_value_is_attained_at_every_step():
    """w_0 by assumption, m_0 = 0 and v_0 = 0; what held for (w, m, v) holds after the step."""
    both = zip(moved(reflected(w), moments(reflected(m), reflected(g))), reflected(moved(w, moments(m, g))), strict=True)
    assert all(is_zero(one - other) for one, other in both)


def step_05_adam_lacks_it_on_a_rational_example():
    """g = (7, 1) and the rotation by (3, 4) / 5: sign(R g) = (1, 1) turns back to (7, -1) / 5, not to sign(g) = (1, 1)."""
    R = sympy.Matrix([[3, -4], [4, 3]]) / 5
    g = sympy.Matrix([7, 1])
    assert R * R.T == sympy.eye(2)
    assert R.T * (R * g).applyfunc(sympy.sign) == sympy.Matrix([7, -1]) / 5 != g.applyfunc(sympy.sign)


def step_06_the_worst_rotation_sends_the_gradient_near_an_axis():
    """Cauchy-Schwarz off g gives worst(a, sigma); it grows with a >= 1, since d - a^2 falls."""
    assert counterexample((d - 1) - (d - a**2), (a >= 1, d >= a**2)) is None
    assert (worst(sympy.Integer(1), sigma) / d - turned_first_step_of.value.subs(c, sigma / sympy.sqrt(d))).subs({d: 4, sigma: 2}) == 0
    for point in ({d: 2, sigma: sympy.Rational(7, 5)}, {d: 5, sigma: 1}, {d: 9, sigma: 2}):
        gap = worst(sympy.Integer(1), sigma) / d - turned_first_step_of.value.subs(c, sigma / sympy.sqrt(d))
        assert sympy.simplify(gap.subs(point)) == 0


def step_07_and_the_worst_gradient_lies_near_an_axis_too():
    """inner >= a sigma - root, so inner >= 2 - d follows from (a sigma + d - 2)^2 >= root^2."""
    slack = (a * sigma + d - 2) ** 2 - (d - a**2) * (d - sigma**2)
    assert is_zero(slack - (d * (a**2 + sigma**2) + 2 * (d - 2) * a * sigma - 4 * (d - 1)))
    assert counterexample(slack, (a >= 1, sigma >= 1, d >= 2)) is None
    assert is_zero(turned_first_step.value * d - (2 - d))
    assert turned_first_step.value.subs(d, 1) == 1


def step_08_it_is_attained_in_the_limit_by_the_reflection_that_keeps_the_gradient():
    """R = 2 g g' / |g|^2 - I: R' sign(R g) = 2 sigma g / |g| - sign(g), of inner product 2 sigma^2 - d; g = (1, h, ..., h)."""
    l1 = (1 + (d - 1) * h) ** 2 / (1 + (d - 1) * h**2)  # sigma^2
    assert is_zero(((2 * l1 - d) / d).subs(h, 0) - turned_first_step.value)
    near, signs = sympy.Matrix([1, h, h]), sympy.ones(3, 1)
    R = 2 * near * near.T / near.dot(near) - sympy.eye(3)
    image = R.T * signs  # R keeps g, so that this is R' sign(R g)
    assert all(is_zero(entry) for entry in (*(R * near - near), image.dot(image) - 3, image.dot(signs) - (2 * l1 - d).subs(d, 3)))
    assert is_zero(turned_first_step_of.value.subs({c: sympy.Rational(1, 2), d: 4}) - turned_first_step.value.subs(d, 4))


def step_09_no_larger_bound_and_no_smaller_mean_will_do():
    """d = 3, h = 1/10000 above; and g = (3, 4), turned to (5, 0+): (1, 1) comes back as (-1, 7) / 5, of cosine 3/5."""
    close = ((2 * (1 + 2 * h) ** 2 / (1 + 2 * h**2) - 3) / 3).subs(h, sympy.Rational(1, 10000))
    assert close < sympy.Rational(999, 1000) * sympy.Rational(-1, 3)
    R = sympy.Matrix([[3, 4], [-4, 3]]) / 5
    back = R.T * sympy.Matrix([1, 1])
    assert R * sympy.Matrix([3, 4]) == sympy.Matrix([5, 0]) and sum(back) / 2 == sympy.Rational(3, 5)
    assert is_zero(turned_first_step_of.value.subs({d: 2, c: sympy.Rational(7, 5) / sympy.sqrt(2)}).simplify() - sympy.Rational(3, 5))
    assert turned_first_step_mean.value.subs(d, 3).simplify() == sympy.Rational(3, 4)  # 3 (E|u_1|)^2, u_1 uniform on [-1, 1]


def step_10_the_mean_over_gaussian_gradients_and_haar_rotations():
    """E <R' sign(R g), sign g> = (E sigma)^2, sigma = d |u_1| in the mean, and E|z_1| = E|z| E|u_1| for Gaussian z."""
    radius = sympy.sqrt(2) * sympy.gamma((d + 1) / 2) / sympy.gamma(d / 2)
    entry = sympy.sqrt(2 / sympy.pi) / radius
    assert is_zero(turned_first_step_mean.value - d * entry**2)
    assert entry.subs(d, 3).simplify() == sympy.Rational(1, 2)  # uniform on [-1, 1]
    product = turned_first_step_mean.value * turned_first_step_mean.value.subs(d, d + 1)
    assert is_zero(sympy.gammasimp(product) - 4 * (d + 1) / (sympy.pi**2 * d))  # so a limit has the square 4 / pi^2


def step_11_that_the_average_is_over_the_block_cannot_be_dropped():
    """A weighted mean of squares, here of 2 g_1^2 and g_2^2, is not the same in rotated coordinates: for (1, 0) and (0, 1)."""
    weighted = lambda x, y: 2 * x**2 + y**2  # noqa: E731
    assert weighted(1, 0) != weighted(0, 1)


def step_12_beyond_rotations_inside_the_blocks_it_fails():
    """Exchanging coordinates of two blocks of one is orthogonal; g = (2, 1), eps = 1: steps 2/3, 1/2 agree, a turn does not."""
    R = sympy.Matrix([[3, -4], [4, 3]]) / 5
    g = sympy.Matrix([2, 1])
    step = lambda x: x.applyfunc(lambda e: e / (sympy.Abs(e) + 1))  # noqa: E731
    assert step(R * g) != R * step(g)
