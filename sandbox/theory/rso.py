"""RSO, randomised subspace optimization (Chen et al., 2502.07222): W+ = W + P B*, B* = argmin f(W + P B) + |B|^2 / (2
eta).

    Lhat = (m/r) L        smoothness of B -> f(W + P B) where P^T P = (m/r) I
    t    = eta Lhat       the project's letter; the paper's eta = 1 / (2 Lhat) is t = 1/2
    C(t) = 2 (1+t)^2 / (t (2+t))

Symbols: L, mu, trace_H in loss / param^2; eps, Delta0 in loss; m = rows of W, r = columns of P, K = rounds.
gram_defect = the largest |(r/m) P^T P - I| (spectral norm) that the law of P allows: 0 for scaled Stiefel and for
coordinates, positive for Gaussian P, which is therefore out of the theorem's scope.

Conditions that no constant expresses: f L-smooth, E P P^T = I, P independent of W, and a subproblem that is solved to
a stationary point (t <= sqrt 3) or to its global argmin (any t).
"""

import sympy

from sandbox.theory.base import Bound

t, a, L, mu, m, r, gram_defect = sympy.symbols("t a L mu m r gram_defect", real=True)
eps, Delta0, trace_H = sympy.symbols("eps Delta0 trace_H", real=True)
K = sympy.Symbol("K", integer=True)

L_hat = m / r * L
STIEFEL = (gram_defect >= 0, gram_defect < sympy.Rational(1, 10**9))
SIZES = (r >= 1, r <= m)
STATIONARY = (t > 0, t <= sympy.sqrt(3))
PAPER_STEP = (sympy.Abs(t - sympy.Rational(1, 2)) < sympy.Rational(1, 10**9),)
RATIO = "sum of squared gradient norms over Lhat times the decrease of the loss"
INEXACT_RATIO = "sum of squared gradient norms over Lhat times (decrease of the loss + eps per round)"
PLATEAU = "plateau of the mean squared gradient norm"
PAPER = "Chen et al. (2025), https://arxiv.org/abs/2502.07222, main theorem; recalled, rebuilt by a two-line argument"
PROOF = "proofs/proof_rso_exact_subproblem.py"
INEXACT_PROOF = "proofs/proof_rso_inexact_subproblem.py"

constant = 2 * (1 + t) ** 2 / (t * (2 + t))
inexact = 2 * (1 + t) / t
progress = t * (2 + t) / (1 + t) ** 2  # 2 / C(t): share of the steepest possible decrease; 5/9 at t = 1/2

exact_constant = Bound(
    name="rso.exact_constant",
    quantity=RATIO,
    value=constant,
    requires=(*STATIONARY, *STIEFEL),
    kind="exact",
    source="derived; equality on L |W|^2 / 2 at every step",
    proof=PROOF,
)

argmin_constant = Bound(
    name="rso.argmin_constant",
    quantity=RATIO,
    value=constant,
    requires=(t > 0, *STIEFEL),
    kind="exact",
    source="derived; the global argmin of the subproblem, any t; equality on L |W|^2 / 2",
    proof=PROOF,
)

any_sampling_constant = Bound(
    name="rso.any_sampling_constant",
    quantity=RATIO,
    value=constant,
    requires=STATIONARY,
    kind="upper",
    source="not a theorem: the exact constant with the condition on P^T P left out, to be tested",
)

recalled_constant = Bound(
    name="rso.recalled_constant",
    quantity=RATIO,
    value=sympy.Integer(18),
    requires=(*PAPER_STEP, *STIEFEL),
    kind="upper",
    source=PAPER,
)

inexact_constant = Bound(
    name="rso.inexact_constant",
    quantity=INEXACT_RATIO,
    value=inexact,
    requires=(t > 0, *STIEFEL),
    kind="exact",
    source="derived; subproblem value within eps of its minimum; equality on L |W|^2 / 2",
    proof=INEXACT_PROOF,
)

weighted_inexact_constant = Bound(
    name="rso.weighted_inexact_constant",
    quantity="sum of squared gradient norms over Lhat times (decrease of the loss + a eps per round)",
    value=2 * (1 + t) * (a * (1 + t) - t) / (t * (a * (2 + t) - (1 + t))),
    requires=(t > 0, t < 1, a * (2 + t) > 1 + t, *STIEFEL),
    kind="exact",
    source="derived; the case a = 1 is inexact_constant, and a -> oo the exact one; equality on L |W|^2 / 2",
    proof="proofs/proof_rso_weighted_inexact.py",
)

inexact_floor = Bound(
    name="rso.inexact_floor",
    quantity=PLATEAU,
    value=inexact * L_hat * eps,
    requires=(t > 0, L > 0, eps >= 0, *SIZES, *STIEFEL),
    kind="exact",
    source="derived; subproblem value within eps of its minimum on average over P (hence also for every P); attained by staying "
    "at B = 0 while that is eps-accurate, f = L |W|^2 / 2: for every P where r = m, on average over P where r < m",
    proof=INEXACT_PROOF,
)

recalled_floor = Bound(
    name="rso.recalled_floor",
    quantity=PLATEAU,
    value=18 * L_hat * eps,
    requires=(*PAPER_STEP, L > 0, eps >= 0, *SIZES, *STIEFEL),
    kind="upper",
    source=PAPER,
)

_rho = 1 - r / m * progress
gradient_sum_from_gap = Bound(
    name="rso.gradient_sum_from_gap",
    quantity="sum of squared gradient norms",
    value=2 * L * Delta0 * (1 - _rho**K) / (1 - _rho),
    requires=(*STATIONARY, L > 0, Delta0 >= 0, K >= 1, *SIZES, *STIEFEL),
    kind="exact",
    source="derived, by backward induction over the rounds; equality on L |W|^2 / 2 for every K",
    proof="proofs/proof_rso_rounds.py",
)

loss_factor = Bound(
    name="rso.loss_factor",
    quantity="loss factor per round",
    value=1 - progress * (r / m) * (mu / L),
    requires=(*STATIONARY, mu > 0, mu <= L, *SIZES, *STIEFEL),
    kind="upper",
    source="derived; expectation over P, PL or strongly convex f; 1 - (5/9)(r/m)(mu/L) at t = 1/2; equality at mu = L, "
    "and for one round and any mu / L approached as m grows",
    proof="proofs/proof_rso_loss_factor.py",
)

worst_case_slowdown = Bound(
    name="rso.worst_case_slowdown",
    quantity="iterations relative to full gradient descent",
    value=m / r,
    requires=SIZES,
    kind="upper",
    source="derived; subspace step 1 / Lhat, the step of the worst case",
)

effective_rank_slowdown = Bound(
    name="rso.effective_rank_slowdown",
    quantity="iterations relative to full gradient descent",
    value=1 + trace_H / (r * L),
    requires=(*SIZES, L > 0, trace_H >= L),
    kind="lower",
    source="derived, an approximation: leading order in 1/m and 1/r, 2 to 16 % too small on the spectra 1/i tried; "
    "subspace step 1 / lam_max(E P P^T H P P^T)",
)

haar_smoothness = Bound(
    name="rso.haar_smoothness",
    quantity="largest eigenvalue of E P P^T H P P^T",
    value=m / (r * (m - 1) * (m + 2)) * ((m * r + m - 2) * L + (m - r) * trace_H),
    requires=(*SIZES, m >= 2, L > 0, trace_H >= L),
    kind="exact",
    source="derived from the second moments of the Stiefel law; H symmetric and positive semidefinite",
    proof="proofs/proof_projection_moments.py",
)
