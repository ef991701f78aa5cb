"""RSO: what is known beside the sum of squared gradients: the smallest gradient, a full basis on convex losses, and the best eta.

Letters as in `sandbox.theory.rso`; kappa = (1+t) / (1-t) is the condition number of a subproblem for t < 1.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.rso import SIZES, STATIONARY, STIEFEL, Delta0, K, L, constant, m, mu, r, t

FULL_BASIS = (*SIZES, r >= m, *STIEFEL)
SMALLEST = "K times the smallest squared gradient norm of the rounds 0 to K over L times the decrease of the loss"
MIN_PROOF = "proofs/proof_rso_smallest_gradient.py"
ETA_PROOF = "proofs/proof_rso_best_eta.py"
kappa = (1 + t) / (1 - t)

proximal_loss_factor = Bound(
    name="rso_rates.proximal_loss_factor",
    quantity="loss factor per round",
    value=(1 + t * mu / L) ** -2,
    requires=(t > 0, mu > 0, mu <= L, *FULL_BASIS),
    kind="exact",
    source="classical factor of the proximal point method (recalled), proved again; r = m, strongly convex f; equality on mu |W|^2 / 2",
    proof="proofs/proof_rso_loss_factor.py",
)

smallest_gradient = Bound(
    name="rso_rates.smallest_gradient",
    quantity=SMALLEST,
    value=4 / (t * (4 - t)),
    requires=(t > 0, t <= 1, *FULL_BASIS),
    kind="exact",
    source="derived; P orthogonal, r = m; 16/7 at t = 1/2; equality on a saw-tooth of curvature +L and -L for every K",
    proof=MIN_PROOF,
)

smallest_gradient_long = Bound(
    name="rso_rates.smallest_gradient_long",
    quantity=SMALLEST,
    value=4 / (t * (4 - t**2)),
    requires=(t >= 1, t <= sympy.sqrt(3), *FULL_BASIS),
    kind="exact",
    source="derived; P orthogonal, r = m, any stationary point; equality for every K on a turning gradient, and for K = 1 on a quadratic",
    proof=MIN_PROOF,
)

smallest_gradient_from_gap = Bound(
    name="rso_rates.smallest_gradient_from_gap",
    quantity="smallest squared gradient norm of the rounds 0 to K",
    value=4 * L * Delta0 / (K * t * (4 - t) + 2),
    requires=(t > 0, t <= 1, L > 0, Delta0 >= 0, K >= 1, *FULL_BASIS),
    kind="exact",
    source="derived; as smallest_gradient, with inf f; equality on the saw-tooth that ends in a parabola",
    proof=MIN_PROOF,
)

smallest_expected_gradient = Bound(
    name="rso_rates.smallest_expected_gradient",
    quantity="K times the smallest mean squared gradient norm of the rounds 0 to K over Lhat times the mean decrease of the loss",
    value=constant,
    requires=(*STATIONARY, *SIZES, *STIEFEL),
    kind="upper",
    source="derived; random P: follows from the sum, and for no K does a smaller constant serve all m; L |W|^2 / 2 comes as close as "
    "one likes",
    proof=MIN_PROOF,
)

best_t_gradient = Bound(
    name="rso_rates.best_t_gradient",
    quantity="t that minimises C(t) kappa(t)",
    value=(sympy.sqrt(13) - 3) / 2,
    requires=(),
    kind="exact",
    source="derived; inner solver whose cost grows like kappa, as gradient descent's; 9.10 against 10.8 at t = 1/2",
    proof=ETA_PROOF,
)

best_t_accelerated = Bound(
    name="rso_rates.best_t_accelerated",
    quantity="t that minimises C(t) sqrt(kappa(t))",
    value=sympy.sqrt(6) - 2,
    requires=(),
    kind="exact",
    source="derived; inner solver whose cost grows like sqrt(kappa), as accelerated descent's; the paper's 1/2 costs 0.7 % more",
    proof=ETA_PROOF,
)
