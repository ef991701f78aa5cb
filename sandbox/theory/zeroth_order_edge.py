"""ZO-SGD on a quadratic x^T H x / 2, with or without heavy-ball momentum: where its second moments contract, exactly.

    m <- beta m + ghat,   x <- x - lr m,   E ghat ghat^T = alpha g g^T + gamma |g|^2 I,   g = H x

    gaussian     alpha = (n + 1)/n,   gamma = 1/n
    sphere       alpha = 1 - 1/n + 2 d / (n (d+2)),   gamma = d / (n (d+2))

    load(lr) = sum_i gamma lr lam_i (1 + beta) / (2 (1 - beta^2) - lr lam_i ((1 + beta) alpha - 2 beta))      stable where < 1

Symbols: lam = an eigenvalue of H, L the largest, tr_H = tr H; lr, beta = momentum (torch's convention); load = the sum above;
slope_variance = variance of the error of one slope. Source: derived.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.zeroth_order import n, slope_variance
from sandbox.theory.zeroth_order_pairings import d, tr_H

lr, beta, L, lam, alpha, gamma = sympy.symbols("lr beta L lam alpha gamma", real=True)
load = sympy.Symbol("load", real=True)
EDGE = "largest learning rate at which E |x|^2 contracts"
SPECTRUM = (L > 0, n >= 1, tr_H >= L)
MOMENTUM = (beta >= 0, beta < 1)
PROOF = "proofs/proof_zeroth_order_edge.py"
MOMENTUM_PROOF = "proofs/proof_zeroth_order_momentum.py"

gaussian = {alpha: (n + 1) / n, gamma: 1 / n}
sphere = {alpha: 1 - 1 / n + 2 * d / (n * (d + 2)), gamma: d / (n * (d + 2))}
denominator = 2 * (1 - beta**2) - lr * lam * ((1 + beta) * alpha - 2 * beta)
load_term = gamma * lr * lam * (1 + beta) / denominator  # one eigenvalue's part of the load
# the potential: sum_i position_weight x_i^2 + 2 cross_weight x_i m_i + momentum_weight m_i^2
position_weight = lam * ((1 - beta) ** 2 * (1 + beta) + 2 * beta * lr * lam) / (lr * denominator)
cross_weight = -beta * lam * (1 - beta**2 - lr * lam) / denominator
momentum_weight = beta**2 * lr * lam * (1 + beta) / denominator


isotropic_edge = Bound(
    name="zeroth_order_edge.isotropic_edge",
    quantity=EDGE,
    value=2 * n / ((d + n + 1) * L),
    requires=(L > 0, n >= 1, d >= 1),
    kind="exact",
    source="derived; Gaussian directions, H = L I",
    proof=PROOF,
)

sphere_isotropic_edge = Bound(
    name="zeroth_order_edge.sphere_isotropic_edge",
    quantity=EDGE,
    value=2 * n / ((d + n - 1) * L),
    requires=(L > 0, n >= 1, d >= 1),
    kind="exact",
    source="derived; directions on the sphere, H = L I; for n = 1 it is the edge of every single step, not only of the mean",
    proof=PROOF,
)

least_edge = Bound(
    name="zeroth_order_edge.least_edge",
    quantity=EDGE,
    value=2 * n / (tr_H + (n + 1) * L),
    requires=SPECTRUM,
    kind="lower",
    source="derived; Gaussian directions; attained where all eigenvalues but zeros are equal; MeZO's slow-down (r + n + 1)/n, r = tr H / L",
    proof=PROOF,
)

largest_edge = Bound(
    name="zeroth_order_edge.largest_edge",
    quantity=EDGE,
    value=2 * n / tr_H,
    requires=SPECTRUM,
    kind="upper",
    source="derived; Gaussian directions; approached by many equal eigenvalues",
    proof=PROOF,
)

best_isotropic_factor = Bound(
    name="zeroth_order_edge.best_isotropic_factor",
    quantity="factor of E |x|^2 per step at the best learning rate",
    value=1 - n / (d + n + 1),
    requires=(n >= 1, d >= 1),
    kind="exact",
    source="derived; Gaussian directions, H = L I, lr = half the edge; gradient descent needs one step there",
    proof=PROOF,
)

gradient_per_potential = Bound(
    name="zeroth_order_edge.gradient_per_potential",
    quantity="sum of E |grad f|^2 over any number of steps, per fall of the potential",
    value=1 / (1 - load),
    requires=(load < 1, load >= 0),
    kind="exact",
    source="derived; any spectrum, momentum, and law with alpha >= 1, every denominator above 0; over all steps the potential falls by "
    "its start, where m = 0 the sum of position_weight x^2",
    proof=MOMENTUM_PROOF,
)

noise_floor = Bound(
    name="zeroth_order_edge.noise_floor",
    quantity="stationary E |grad f|^2 under noisy slopes",
    value=slope_variance * load / (1 - load),
    requires=(load < 1, load >= 0, slope_variance >= 0),
    kind="exact",
    source="derived; any spectrum and momentum, every denominator above 0, Gaussian directions, independent errors of the slopes",
    proof=MOMENTUM_PROOF,
)

_q = (d + n + 1) / n
momentum_edge = Bound(
    name="zeroth_order_edge.momentum_edge",
    quantity=EDGE,
    value=2 * (1 - beta**2) / ((_q * (1 + beta) - 2 * beta) * L),
    requires=(L > 0, n >= 1, d >= 1, *MOMENTUM),
    kind="exact",
    source="derived; Gaussian directions, H = L I; (1 - beta) times that of beta = 0, but for a factor 1 + O(1/d)",
    proof=MOMENTUM_PROOF,
)
