"""How far AdaLomo (and any normalised update) gets: a conditional descent theorem, and the floor of a constant learning rate.

    w+ = w - delta,   |delta| = step,   <grad f, delta> >= rho |grad f| |delta|,   f L-smooth

Symbols: rho = least cosine between gradient and update (factored_update.angle gives one); step = length of a step, in param, at most
lr s d sqrt(entries); L in loss / param^2; Delta0 = f(w_0) - f(w_K) <= f(w_0) - inf f; K = steps; tau = lr s, in param; sigma = standard
deviation of the gradient's noise; h = curvature of one coordinate. T13 and T16 of the project's notes.
"""

import sympy

from sandbox.theory.base import Bound

rho, step, L, Delta0, tau, sigma, h = sympy.symbols("rho step L Delta0 tau sigma h", real=True)
K = sympy.Symbol("K", integer=True)
GRADIENT = "mean gradient norm"
CONDITIONS = (rho > 0, rho <= 1, L > 0, Delta0 >= 0, K >= 1)
DESCENT, FLOOR = "proofs/proof_adalomo_descent.py", "proofs/proof_adalomo_floor.py"

descent = Bound(
    name="adalomo_descent.descent",
    quantity=GRADIENT,
    value=(Delta0 / (K * step) + L * step / 2) / rho,
    requires=(*CONDITIONS, step > 0),
    kind="exact",
    source="derived; steps of one length; equality on L |w|^2 / 2 for any K and any constant angle; conditional: rho must stay "
    "away from 0, and factored_update.frozen_decrease shows that it need not",
    proof=DESCENT,
)

best_descent = Bound(
    name="adalomo_descent.best_descent",
    quantity=GRADIENT,
    value=sympy.sqrt(2 * L * Delta0 / K) / rho,
    requires=CONDITIONS,
    kind="exact",
    source="derived; the length sqrt(2 Delta0 / (K L)), which is the best one",
    proof=DESCENT,
)

floor = Bound(
    name="adalomo_descent.floor",
    quantity="mean loss of one coordinate at a constant learning rate",
    value=tau * (tau * h + sympy.sqrt(tau**2 * h**2 + 16 * sigma**2)) / 16,
    requires=(tau > 0, h > 0, sigma >= 0),
    kind="exact",
    source="derived; h w^2 / 2 with gradient noise, second moment at its own stationary mean; sigma = 0 is the cycle +-tau / 2 of a "
    "sign step, tau h << sigma the floor tau sigma / 4, linear in the rate; sharpens notes T16, which has v = sigma^2",
    proof=FLOOR,
)

noise_dominated_floor = Bound(
    name="adalomo_descent.noise_dominated_floor",
    quantity="mean loss of one coordinate at a constant learning rate",
    value=tau * sigma**2 / (2 * (2 * sigma - tau * h)),
    requires=(tau > 0, h > 0, sigma > 0, tau * h < 2 * sigma),
    kind="upper",
    source="derived; second moment frozen at the variance of the noise alone, notes T16: above the floor by a term of second order "
    "in tau h / sigma, and without limit at tau h = 2 sigma, where no such floor is",
    proof=FLOOR,
)
