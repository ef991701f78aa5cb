"""AdaLomo against LOMO: where each is faster, as a crossover in the condition number kappa.

    AdaLomo    w+ = w - lr s u,  s = RMS(w) >= eps2,  RMS(u) <= 1,  eps1 = 0,  no weight decay
    LOMO       gradient descent with the best constant step: distance factor (kappa - 1) / (kappa + 1) at worst
    aligned    f = sum_i h_i w_i^2 / 2 of one vector tensor, so that u_i = g_i / sqrt(v_i) does not see h
    memoryless decay_rate = 0: v = g^2, u = sign(g)
    rotated    f = (kappa x^2 + y^2) in w = (x + y, x - y): curvatures kappa and 1 (up to one scale) turned by 45 degrees

A method with the distance factor q a step is faster than LOMO on the worst start if and only if kappa > (1 + q) / (1 - q).

Symbols: q = distance factor per step; dim = entries of the vector; kappa = condition number; cosine = off-diagonal of a 2 x 2 Hessian with
unit diagonal; kept = share of the distance that is left. "Superior convergence, theoretically" stands in the abstract of the ACL version of
AdaLomo (arXiv:2310.10195), whose body was not read; no theorem was seen.
That update clipping lets no step pass RMS lr s is all that `contraction_least` needs.
"""

import sympy

from sandbox.theory.base import Bound

lr, q, dim, kappa, cosine, kept = sympy.symbols("lr q dim kappa cosine kept", real=True)
distance, size, rms, eps2 = sympy.symbols("distance size rms eps2", real=True)
PROOF = "proofs/proof_adalomo_crossover.py"
ROTATED = "proofs/proof_adalomo_rotated.py"
SMALL_STEP = (lr > 0, dim >= 1, lr * (1 + sympy.sqrt(dim - 1)) <= sympy.sqrt(dim))

contraction_least = Bound(
    name="adalomo_crossover.contraction_least",
    quantity="RMS of the weight after a step over that before",
    value=1 - lr,
    requires=(lr >= 0, lr <= 1, eps2 >= 0, rms >= eps2),
    kind="lower",
    source="derived; any function, shape and memory; rms = RMS(w) before the step, clip_threshold 1; to a minimiser 0 no distance shrinks "
    "faster; equality on aligned quadratics from starts of equal magnitudes",
    proof=PROOF,
)

steps_least = Bound(
    name="adalomo_crossover.steps_least",
    quantity="steps until a share `kept` of the distance to the minimiser is left",
    value=sympy.log(1 + (1 - kept) * distance / size) / sympy.log(1 + lr),
    requires=(lr > 0, size > 0, distance > 0, kept >= 0, kept <= 1),
    kind="lower",
    source="derived; any function and minimiser; size = max(eps2, RMS) of the start, distance = its RMS distance to the minimiser; "
    "equality for a minimiser straight ahead of a start of equal magnitudes",
    proof=PROOF,
)

aligned_factor = Bound(
    name="adalomo_crossover.aligned_factor",
    quantity="largest entry of the weight after a step over that before",
    value=1 - lr / sympy.sqrt(dim),
    requires=SMALL_STEP,
    kind="upper",
    source="derived; memoryless, aligned, whatever the curvatures, RMS(w) >= eps2; equality where one entry alone is not 0",
    proof=PROOF,
)

crossover = Bound(
    name="adalomo_crossover.crossover",
    quantity="condition number from which LOMO needs more steps",
    value=(1 + q) / (1 - q),
    requires=(q >= 0, q < 1),
    kind="exact",
    source="derived; both from their worst start, the same share of the distance",
    proof=PROOF,
)

crossover_equal = Bound(
    name="adalomo_crossover.crossover_equal",
    quantity="condition number from which LOMO needs more steps",
    value=2 / lr - 1,
    requires=(lr > 0, lr <= 1),
    kind="exact",
    source="derived; memoryless, aligned, starts of equal magnitudes. Below it LOMO is the faster one on every strongly convex "
    "function with minimiser 0, from every start and for every memory of AdaLomo: at the lr 5e-4 of its code up to kappa = 3999",
    proof=PROOF,
)

crossover_any = Bound(
    name="adalomo_crossover.crossover_any",
    quantity="condition number from which LOMO needs more steps, worst starts of both",
    value=2 * sympy.sqrt(dim) / lr - 1,
    requires=SMALL_STEP,
    kind="exact",
    source="derived; memoryless, aligned, distances in the largest entry, as long as RMS(w) >= eps2",
    proof=PROOF,
)

stall = Bound(
    name="adalomo_crossover.stall",
    quantity="condition number from which a rotated quadratic stalls",
    value=sympy.sqrt(4 / lr**2 - 1),
    requires=(lr > 0, lr < 2),
    kind="exact",
    source="derived; memoryless, rotated by 45 degrees: beyond it there is an attracting cycle x = +-lr s / 2 on which the flat direction "
    "never moves; it lies just above crossover_equal, where AdaLomo begins to gain from aligned axes",
    proof=ROTATED,
)

stall_radius = Bound(
    name="adalomo_crossover.stall_radius",
    quantity="distance |x| - lr s / 2 from the cycle, over s on it, of a start that stalls",
    value=lr / 2 - sympy.sqrt(1 - lr**2 / 4) / kappa,
    requires=(lr > 0, lr < 1, kappa > 0, kappa * lr > sympy.sqrt(4 - lr**2)),
    kind="lower",
    source="derived; memoryless, rotated by 45 degrees; every start nearer than it stays, on the inner side no other does",
    proof=ROTATED,
)

rotated_condition = Bound(
    name="adalomo_crossover.rotated_condition",
    quantity="condition number under a diagonal preconditioner",
    value=(1 + cosine) / (1 - cosine),
    requires=(cosine >= 0, cosine < 1),
    kind="lower",
    source="derived; 2 x 2 Hessian of equal diagonal, any fixed second moment: never better than LOMO; attained by equal second moments",
    proof=ROTATED,
)
