"""What a diagonal preconditioner makes of a condition number, Adam frozen at its first gradient above all.

Frozen Adam: D_i = 1 / |g_i|, g = H x the first gradient. kappa(D H) = lam_max / lam_min of D^1/2 H D^1/2.
Symbols: x_max, x_min = largest and smallest |x_i| of the start; a_max, a_min = those of D_i H_ii; kappa_D, kappa = condition
numbers of D and of H; d_1, d_2 = D_i H_ii of a 2 x 2 block, r its correlation H_12 / sqrt(H_11 H_22); mismatch = max_i
|z_i^2 - y_i^2|, z and y the unit eigenvectors of H at the two ends of its spectrum; t = a level of kappa.
"""

import sympy

from sandbox.theory.base import Bound

x_max, x_min, a_max, a_min, kappa, kappa_D = sympy.symbols("x_max x_min a_max a_min kappa kappa_D", real=True)
d_1, d_2, r, mismatch, t = sympy.symbols("d_1 d_2 r mismatch t", real=True)
ADAM = "condition number under Adam frozen at its first gradient"
ANY = "condition number under a diagonal preconditioner"
SCALING, SCALAR = "proofs/proof_adam_mini_diagonal_scaling.py", "proofs/proof_adam_mini_best_scalar.py"

start_ratio = Bound(
    name="adam_mini_frozen.start_ratio",
    quantity=ADAM,
    value=x_max / x_min,
    requires=(x_min > 0, x_max >= x_min),
    kind="exact",
    source="derived; any diagonal positive Hessian: it drops out",
    proof="proofs/proof_frozen_adam_on_a_diagonal.py",
)

two_coordinate_tail = Bound(
    name="adam_mini_frozen.two_coordinate_tail",
    quantity="probability that the condition number under frozen Adam exceeds t",
    value=2 - 4 / sympy.pi * sympy.atan(t),
    requires=(t >= 1,),
    kind="lower",
    source="derived; diagonal Hessian, Gaussian start; an equality for two coordinates, and its integral over t diverges",
    proof="proofs/proof_frozen_adam_on_a_diagonal.py",
)

diagonal_lower = Bound(
    name="adam_mini_frozen.diagonal_lower",
    quantity=ANY,
    value=a_max / a_min,
    requires=(a_min > 0, a_max >= a_min),
    kind="lower",
    source="derived; any positive definite H; equality where H is diagonal",
    proof=SCALING,
)

diagonal_upper = Bound(
    name="adam_mini_frozen.diagonal_upper",
    quantity=ANY,
    value=kappa_D * kappa,
    requires=(kappa_D >= 1, kappa >= 1),
    kind="upper",
    source="derived; any positive definite H; equality where H is diagonal and ordered as D",
    proof=SCALING,
)

two_by_two = Bound(
    name="adam_mini_frozen.two_by_two",
    quantity="kappa + 1/kappa + 2 of a preconditioned 2 x 2 block",
    value=(d_1 + d_2) ** 2 / (d_1 * d_2 * (1 - r**2)),
    requires=(d_1 > 0, d_2 > 0, r < 1, r > -1),
    kind="exact",
    source="derived; at least 4 / (1 - r^2), with equality exactly where d_1 = d_2",
    proof=SCALAR,
)

scalar_is_best = Bound(
    name="adam_mini_frozen.scalar_is_best",
    quantity=ANY,
    value=kappa,
    requires=(kappa >= 1, mismatch <= sympy.Rational(1, 10**9)),
    kind="lower",
    source="derived; the argument of Forsythe & Straus (1955, recalled), who have it for equal diagonals and bipartite couplings",
    proof=SCALAR,
)
