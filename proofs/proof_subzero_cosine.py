"""Theorem. Let g be a vector, P a random d x q matrix with P^T P = I, E P P^T = (q/d) I, z ~ N(0, I_q) independent, mu^2 = d/q, and
ghat = (mu P z)^T g (mu P z). Then, exactly and for every d and q (SubZero: q = r^2 for one matrix)

    E ghat = g,     E |ghat|^2 = d (1 + 2/q) |g|^2 >= (d + 2) |g|^2,     E cos^2(ghat, g) = 1/d,     E cos^2(ghat, P P^T g) = 1/q.

Given P, the mean of ghat is (d/q) P P^T g: unbiased only inside the subspace. The cosine is no property of the rank: for n directions of
any joint law that does not look at g, E cos^2(ghat, g), averaged over orthonormal g, is at most n/d; for n = 1 it is 1/d for
every law, and n orthogonal directions reach n/d for every g. So neither the rank, nor orthonormal against Gaussian factors, nor the
law of z changes how well one slope points to the gradient; only a subspace that is chosen after g can.

Source:    Yu et al., https://arxiv.org/abs/2410.08989, Theorem 2 (recalled) for 1/q and (q + 2); the rest derived
Bounds:    cosine, cosine_limit, projected_cosine, second_moment of sandbox.theory.subzero
Not here:  z/|z| is uniform on the sphere of R^q, so E z z^T / |z|^2 = I/q; E P P^T = (q/d) I for U Z V^T: both sides are uniform and
           independent; |Pi g| is the largest projection of g on the span of the directions.
"""

import sympy

from sandbox.theory import subzero
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.subzero import d, n, q
from sandbox.theory.zeroth_order import gaussian_second_moment
from sandbox.theory.zeroth_order_pairings import GAUSSIAN, g2, mean

energy = sympy.Symbol("energy", positive=True)  # |P^T g|^2
half = sympy.Rational(1, 2)
FACTOR = sympy.Rational(999, 1000)
THREE = sympy.Matrix(sympy.symbols("z0:3", real=True))


def cosine_squared(direction: sympy.Matrix, g: sympy.Matrix) -> sympy.Expr:
    return direction.dot(g) ** 2 / (direction.dot(direction) * g.dot(g))


CERTIFICATES = (
    Identity("cosine_second_moment", (d / q) ** 2 * (q + 2) * (q / d), subzero.second_moment.value),
    Identity("cosine_squared_mean_of_the_projection", (d / q) ** 2 * (q / d), 1 + (d - q) / q),
    Certificate(
        name="cosine_scatter_of_whole_directions",
        claim=subzero.second_moment.value - gaussian_second_moment.value.subs(n, 1),
        hypotheses=((2 / q, q - d),),
        domain=(q >= 1,),
    ),
    Identity(
        "cosine_of_one_direction_to_a_basis_adds_up_to_1",
        sum(cosine_squared(THREE, sympy.eye(3).col(i)) for i in range(3)),
        sympy.Integer(1),
    ),
)


def step_01_inside_the_subspace_it_is_a_gaussian_estimate_of_the_projected_gradient():
    """mu^4 (q+2) |P^T g|^2 with mu^2 = d/q, and E |P^T g|^2 = (q/d) |g|^2."""
    inside = mean(GAUSSIAN, "G1").subs(d, q) / g2
    assert is_zero((d / q) ** 2 * inside * (q / d) - subzero.second_moment.value)


def step_02_it_is_unbiased_on_average_over_subspaces_only():
    """Given P the mean is (d/q) P P^T g; its own mean is (d/q) (q/d) g, and its square is d/q times as large as |g|^2."""
    assert is_zero((d / q) * (q / d) - 1)
    assert is_zero((d / q) ** 2 * (q / d) - d / q) and counterexample(d / q - 1, subzero.SUBSPACE) is None


def step_03_its_scatter_is_never_below_that_of_whole_directions():
    gap = subzero.second_moment.value - gaussian_second_moment.value.subs(n, 1)
    assert is_zero(gap - 2 * (d - q) / q) and counterexample(gap, subzero.SUBSPACE) is None


def step_04_the_cosine_to_the_gradient_is_one_over_d():
    """ghat is along P z: cos^2 = (z^T P^T g)^2 / (|z|^2 |g|^2), with mean |P^T g|^2 / (q |g|^2) given P."""
    given = energy / (q * g2)
    assert is_zero(given.subs(energy, g2 * q / d) - subzero.cosine.value)


def step_05_and_to_the_projected_gradient_one_over_q():
    given = energy / (q * energy)
    assert is_zero(given - subzero.projected_cosine.value)


def step_06_no_law_of_one_direction_has_another_mean_over_gradients():
    """The cosines of one direction to an orthonormal basis are squares that add up to 1."""
    z, basis = sympy.Matrix(sympy.symbols("z0 z1 z2", real=True)), [sympy.eye(3).col(i) for i in range(3)]
    assert is_zero(sum(cosine_squared(z, g) for g in basis) - 1)


def step_07_n_directions_see_at_most_n_of_d():
    """cos^2 is at most |Pi g|^2 / |g|^2, and the mean over g is tr Pi / d with rank Pi <= n."""
    assert is_zero(n / d - subzero.cosine_limit.value) and is_zero(subzero.cosine_limit.value.subs(n, 1) - subzero.cosine.value)


def step_08_it_is_attained_by_orthogonal_directions_and_by_coordinates():
    """g = (1, 2), one coordinate of two at random: (1/5 + 4/5) / 2. Two orthogonal ones: ghat = g."""
    g = sympy.Matrix([1, 2])
    one = sum(half * cosine_squared(sympy.eye(2).col(i), g) for i in (0, 1))
    both = sum((sympy.eye(2).col(i) * g[i] for i in (0, 1)), sympy.zeros(2, 1))
    assert one == subzero.cosine.value.subs(d, 2) and cosine_squared(both, g) == subzero.cosine_limit.value.subs({n: 2, d: 2})


def step_09_no_smaller_and_no_larger_constant_will_do():
    at = {d: 2, q: 1, n: 1}
    assert FACTOR * subzero.cosine_limit.value.subs(at) < half == subzero.cosine.value.subs(at)
    assert FACTOR * subzero.second_moment.value.subs(at) < 6  # a coordinate of two: mu^4 3 (g_i^2 averaged) = 4 * 3 / 2


def step_10_two_gaussian_directions_do_not_reach_two_over_d():
    """d = 2 at g = (1, 0): ghat = s1 z1 + s2 z2 with z1 = (1, 0), z2 = (1, 1) has cos^2 = 4/5, where orthogonal ones have 1."""
    g, z1, z2 = sympy.Matrix([1, 0]), sympy.Matrix([1, 0]), sympy.Matrix([1, 1])
    assert cosine_squared(z1.dot(g) * z1 + z2.dot(g) * z2, g) == sympy.Rational(4, 5)


def step_11_with_obliviousness_dropped_the_cosine_can_be_q_over_d_times_larger():
    """A subspace that contains g: |P^T g| = |g|, and the mean cosine is 1/q."""
    assert is_zero((energy / (q * g2)).subs(energy, g2) - 1 / q) and counterexample(1 / q - 1 / d, subzero.SUBSPACE) is None


def step_12_beyond_one_alignment_the_cosine_depends_on_where_the_gradient_is():
    """A vector of one entry beside a matrix of two with q = 1, so mu^2 = 2: |direction|^2 = y^2 + 2 z^2. For a gradient in the vector
    cos^2 = y^2 / (y^2 + 2 z^2), which is 1/3 where |y| = |z|; where |z| is 1 or 2 times |y|, equally often, it is 2/9 on average.
    """
    shares = [sympy.Rational(1, 1 + 2 * size**2) for size in (1, 2)]
    assert shares[0] == subzero.cosine.value.subs(d, 3) != sum(shares) / 2 == sympy.Rational(2, 9)


def step_13_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
