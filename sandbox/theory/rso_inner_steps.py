"""RSO with T gradient steps per subproblem, from B = 0:  B <- B - alpha grad F(B),  F(B) = f(W + P B) + |B|^2 / (2 eta).

    step = alpha Lhat      t = eta Lhat      step = t / (1+t) is alpha = 1 / (Lhat + 1/eta), the inverse smoothness of F

One step is a plain gradient step on f within the subspace, whatever eta. The bounds for T steps hold for every T >= 1, and of
the curvature they use only that it is at most Lhat; below it may be as negative as it likes.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.rso import RATIO, STIEFEL, t

step = sympy.Symbol("step", real=True)
PROOF = "proofs/proof_rso_inner_steps.py"
price = 2 / (step * (2 - step))

one_step = Bound(
    name="rso_inner_steps.one_step",
    quantity=RATIO,
    value=price,
    requires=(step > 0, step < 2, *STIEFEL),
    kind="exact",
    source="derived (textbook argument in the subspace); one inner step; 2 at step = 1, against 3.6 of the exact solution at t = 1/2",
    proof=PROOF,
)

every_step = Bound(
    name="rso_inner_steps.every_step",
    quantity="sum of squared gradient norms of all inner steps over Lhat times the decrease of the loss",
    value=price,
    requires=(t > 0, step > 0, step * (1 + t) <= t, *STIEFEL),
    kind="exact",
    source="derived; any T >= 1; equality on L |W|^2 / 2 for T = 1, and for every T at step = t / (1+t)",
    proof=PROOF,
)

full_steps = Bound(
    name="rso_inner_steps.full_steps",
    quantity=RATIO,
    value=price.subs(step, t / (1 + t)),
    requires=(t > 0, *STIEFEL),
    kind="exact",
    source="derived; any T >= 1 steps of step = t / (1+t), for every t the C(t) of the exact solution; equality on L |W|^2 / 2",
    proof=PROOF,
)

GAIN = "decrease of one gradient step 1/Lhat over the decrease of the exact subproblem"
GAIN_PROOF = "proofs/proof_rso_step_against_solution.py"

gain_of_one_step = Bound(
    name="rso_inner_steps.gain_of_one_step",
    quantity=GAIN,
    value=sympy.Integer(1),
    requires=(t > 0, t <= sympy.Rational(1, 2), *STIEFEL),
    kind="lower",
    source="derived; every quadratic and every P; the paper's t = 1/2 is the largest such t; equality at curvature -Lhat there",
    proof=GAIN_PROOF,
)

gain_of_one_step_convex = Bound(
    name="rso_inner_steps.gain_of_one_step_convex",
    quantity=GAIN,
    value=sympy.Integer(1),
    requires=(t > 0, t <= 1, *STIEFEL),
    kind="lower",
    source="derived; every convex quadratic and every P; t = 1 is the largest t; equality where f is linear there",
    proof=GAIN_PROOF,
)
