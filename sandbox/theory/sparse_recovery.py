"""SGC: the largest entries of a gradient, measured by A (k, d) with unit columns, recovered by orthogonal matching pursuit.

Symbols: d = entries, s = entries kept, k = measurements; kappa = sum_i x_i^4 / |x|^4 of the measured vector; tau = threshold
in standard deviations; b1 = Adam's first beta, churn = share of the support that is new at each step; L in loss / param^2, lr of
gradient descent; a, sigma in loss / param, signals = entries of size a that the objective uses.

What no constant expresses: A independent of the measured vector; of the churn law, that entries leave the support independently
of how long they were in it, and that the average is stationary.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.rso import L

d, s, k, kappa, tau = sympy.symbols("d s k kappa tau", real=True)
b1, churn, lr, a, sigma, signals = sympy.symbols("b1 churn lr a sigma signals", real=True)

KEPT = (s >= 1, s <= d)
MEASURED = (k >= 1, d >= 2, k <= d)
COHERENCE = "mutual coherence"
RECOVERY_PROOF = "proofs/proof_sgc_recovery.py"
MEASUREMENT_PROOF = "proofs/proof_sgc_measurements.py"
LARGEST_PROOF = "proofs/proof_sgc_largest_entries.py"
MOMENTUM_PROOF = "proofs/proof_sgc_momentum.py"
TROPP = "Tropp (2004), IEEE Trans. Inf. Theory 50(10), Theorem 3.5 and corollary (recalled); proved again"

coherence_threshold = Bound(
    name="sparse_recovery.coherence_threshold",
    quantity="mutual coherence below which matching pursuit recovers every s-sparse vector",
    value=1 / (2 * s - 1),
    requires=(s >= 1,),
    kind="exact",
    source=TROPP,
    proof=RECOVERY_PROOF,
)

least_coherence = Bound(
    name="sparse_recovery.least_coherence",
    quantity=COHERENCE,
    value=sympy.sqrt((d - k) / (k * (d - 1))),
    requires=MEASURED,
    kind="lower",
    source="Welch (1974), IEEE Trans. Inf. Theory 20(3) (recalled); proved again; equality for a simplex",
    proof=RECOVERY_PROOF,
)

coherence_measurements = Bound(
    name="sparse_recovery.coherence_measurements",
    quantity="measurements below which no matrix meets the coherence condition",
    value=d * (2 * s - 1) ** 2 / (d - 1 + (2 * s - 1) ** 2),
    requires=(s >= 1, d >= 2 * s),
    kind="exact",
    source="derived from the two bounds above; it must be exceeded; a simplex with d = 2 s lies on it",
    proof=RECOVERY_PROOF,
)

energy_spread = Bound(
    name="sparse_recovery.energy_spread",
    quantity="variance of |A x|^2 over |x|^4",
    value=2 * (1 - kappa) / k,
    requires=(k >= 1, kappa > 0, kappa <= 1),
    kind="exact",
    source="derived; independent unit columns of mean 0 with E a a^T = I / k; the mean is 1",
    proof=MEASUREMENT_PROOF,
)

largest_share = Bound(
    name="sparse_recovery.largest_share",
    quantity="energy of the s largest of d entries over that of all",
    value=s / d,
    requires=KEPT,
    kind="lower",
    source="folklore; equality for entries of one magnitude",
    proof=LARGEST_PROOF,
)

gaussian_count = Bound(
    name="sparse_recovery.gaussian_count",
    quantity="share of the entries above the threshold, Gaussian entries",
    value=sympy.erfc(tau / sympy.sqrt(2)),
    requires=(tau >= 0,),
    kind="exact",
    source="definition; d -> oo for the s largest",
    proof=LARGEST_PROOF,
)

gaussian_share = Bound(
    name="sparse_recovery.gaussian_share",
    quantity="energy of the entries above the threshold over that of all, Gaussian entries",
    value=sympy.erfc(tau / sympy.sqrt(2)) + tau * sympy.sqrt(2 / sympy.pi) * sympy.exp(-(tau**2) / 2),
    requires=(tau >= 0,),
    kind="exact",
    source="derived; d -> oo for the s largest",
    proof=LARGEST_PROOF,
)

gradient_sum = Bound(
    name="sparse_recovery.gradient_sum",
    quantity="sum of squared gradient norms over the decrease of the loss",
    value=2 * d / (s * lr * (2 - lr * L)),
    requires=(*KEPT, L > 0, lr > 0, lr * L < 2),
    kind="exact",
    source="derived; gradient descent on the s largest entries, L-smooth f, exact gradients; equality for one step on L |w|^2 / 2",
    proof=LARGEST_PROOF,
)

noise_stall = Bound(
    name="sparse_recovery.noise_stall",
    quantity="squared gradient norm of f where it is farthest from its start",
    value=signals * a**2,
    requires=(signals >= 1, a > 0, a < sigma),
    kind="exact",
    source="derived; noise of the sizes +-sigma in s entries that f does not use; a rule linear in A T g, and exact recovery",
    proof=LARGEST_PROOF,
)

momentum_outside = Bound(
    name="sparse_recovery.momentum_outside",
    quantity="energy of the first moment outside the current support over all of it",
    value=churn * b1**2 / (1 - b1**2 + churn * b1**2),
    requires=(b1 >= 0, b1 < 1, churn >= 0, churn <= 1),
    kind="exact",
    source="derived; stationary, entries leave the support independently of their history, values do not matter",
    proof=MOMENTUM_PROOF,
)

momentum_floor = Bound(
    name="sparse_recovery.momentum_floor",
    quantity="squared error of any s-sparse vector over the energy of the first moment",
    value=b1**2,
    requires=(b1 >= 0, b1 < 1),
    kind="lower",
    source="derived; supports of s entries of one magnitude, all new at every step; attained by the newest support",
    proof=MOMENTUM_PROOF,
)
