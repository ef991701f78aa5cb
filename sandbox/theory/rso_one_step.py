"""RSO: one gradient step 1 / Lhat in the subspace against the exact solution of its subproblem, for every smooth function.

Letters as in `sandbox.theory.rso`. gain_of_one_step of `sandbox.theory.rso_inner_steps` says the same about quadratics.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.rso import STIEFEL, t
from sandbox.theory.rso_inner_steps import GAIN

PROOF = "proofs/proof_rso_one_step_against_solution.py"

gain_any_smooth = Bound(
    name="rso_one_step.gain_any_smooth",
    quantity=GAIN,
    value=sympy.Integer(1),
    requires=(t > 0, t <= sympy.Rational(1, 2), *STIEFEL),
    kind="lower",
    source="derived, from the multipliers of a semidefinite program; every smooth f, every W and P, every stationary point of the "
    "subproblem; t = 1/2, the paper's, is the largest such t; equality at curvature -Lhat there",
    proof=PROOF,
)

gain_any_convex = Bound(
    name="rso_one_step.gain_any_convex",
    quantity=GAIN,
    value=sympy.Integer(1),
    requires=(t > 0, t <= 1, *STIEFEL),
    kind="lower",
    source="derived, from the multipliers of a semidefinite program; every convex smooth f; t = 1 is the largest such t; equality "
    "where f is linear there",
    proof=PROOF,
)
