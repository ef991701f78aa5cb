"""ZO-SGD on smooth functions that need not be convex: the mean squared gradient after K steps, with its dimension.

    x <- x - lr ghat,   E f(x+) <= f(x) - lr (1 - lr c/2) |grad f|^2,   c = L (d+n+1)/n,  or (tr H + (n+1) L)/n where every Hessian <= H

Slopes exact (forward gradient, or eps -> 0), Gaussian directions; or the sphere, for every eps.
Symbols: L = smoothness; tr_H = trace of a matrix H >= every Hessian, with largest eigenvalue L; Delta = f(x_0) - E f(x_K); K = steps;
variance = E |g_B - grad f|^2 of the batch gradient.  Source: derived; MeZO (2305.17333), Theorem 1 (read) has the order.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.zeroth_order import eps, n
from sandbox.theory.zeroth_order_edge import L, lr
from sandbox.theory.zeroth_order_pairings import d, tr_H

Delta, K, variance = sympy.symbols("Delta K variance", real=True)
MEAN = "mean of E |grad f|^2 over K steps"
RUN = (L > 0, Delta >= 0, K >= 1, n >= 1)
PROOF = "proofs/proof_zeroth_order_rate.py"
SPHERE_PROOF = "proofs/proof_zeroth_order_finite_eps.py"
_c = L * (d + n + 1) / n
_c_rank = (tr_H + (n + 1) * L) / n

any_step = Bound(
    name="zeroth_order_rate.any_step",
    quantity=MEAN,
    value=2 * Delta / (K * lr * (2 - lr * _c)),
    requires=(*RUN, d >= 1, lr > 0, lr * L * (d + n + 1) < 2 * n),
    kind="exact",
    source="derived; attained by L |x|^2 / 2 at every step",
    proof=PROOF,
)

best_step = Bound(
    name="zeroth_order_rate.best_step",
    quantity=MEAN,
    value=2 * _c * Delta / K,
    requires=(*RUN, d >= 1),
    kind="exact",
    source="derived; lr = n / (L (d+n+1)); 2 (d+2) L Delta / K for one direction",
    proof=PROOF,
)

effective_rank = Bound(
    name="zeroth_order_rate.effective_rank",
    quantity=MEAN,
    value=2 * _c_rank * Delta / K,
    requires=(*RUN, tr_H >= L),
    kind="exact",
    source="derived; lr = n / (tr H + (n+1) L); attained by L (x_1^2 + .. + x_r^2) / 2 in any dimension, tr H = r L",
    proof=PROOF,
)

mezo_slowdown = Bound(
    name="zeroth_order_rate.mezo_slowdown",
    quantity="guaranteed mean squared gradient of ZO-SGD over that of gradient descent, each at its best step",
    value=(tr_H / L + n + 1) / n,
    requires=(L > 0, n >= 1, tr_H >= L),
    kind="exact",
    source="MeZO, Theorem 1 and its Gaussian appendix (read), there up to exp(-n d) and locally; derived here with a global H",
    proof=PROOF,
)

noisy_step = Bound(
    name="zeroth_order_rate.noisy_step",
    quantity=MEAN,
    value=(2 * Delta / (K * lr) + lr * _c * variance) / (2 - lr * _c),
    requires=(*RUN, d >= 1, variance >= 0, lr > 0, lr * L * (d + n + 1) < 2 * n),
    kind="exact",
    source="derived; one batch for all directions of a step; attained by L |x|^2 / 2",
    proof=PROOF,
)

finite_eps = Bound(
    name="zeroth_order_rate.finite_eps",
    quantity=MEAN,
    value=2 * L * d * Delta / K + (eps * L * d / 2) ** 2,
    requires=(L > 0, Delta >= 0, K >= 1, d >= 1, eps >= 0),
    kind="upper",
    source="derived; central difference on the sphere, n = 1, lr = 1/(L d), any L-smooth f; both parts are attained in one dimension",
    proof=SPHERE_PROOF,
)
