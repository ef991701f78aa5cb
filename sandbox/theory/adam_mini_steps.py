"""Single steps of Adam-mini against Adam's: what a rotation changes, when the two agree, and descent without a curvature oracle.

Symbols: d = size of a block; g = a gradient, c = |g|_1 / (sqrt d |g|_2); m, s = first moment and root of the second moment of an
entry, corrected for their start; q = root of the block's mean second moment; eps as in the rule; lr = learning rate; Delta =
f(w_0) - inf f; T = steps; size = sum_b d_b L_b, where f(x + h) <= f(x) + <g, h> + sum_b L_b |h_b|^2 / 2.
"""

import sympy

from sandbox.theory.base import Bound

d, c, m, s, q, eps, lr, Delta, T, size = sympy.symbols("d c m s q eps lr Delta T size", real=True)
TURNED = "cosine between Adam's first step and that of the rotated problem, rotated back"
NORMS = "mean over the steps of sum_b sqrt(d_b) |g_b|"
INVARIANCE, DESCENT = "proofs/proof_adam_mini_invariance.py", "proofs/proof_adam_mini_descent.py"

turned_first_step = Bound(
    name="adam_mini_steps.turned_first_step",
    quantity=TURNED,
    value=(2 - d) / d,
    requires=(d >= 1,),
    kind="lower",
    source="derived; every gradient and every rotation, approached and not reached for d > 1; Adam-mini: 1",
    proof=INVARIANCE,
)

turned_first_step_of = Bound(
    name="adam_mini_steps.turned_first_step_of",
    quantity=TURNED,
    value=(c - sympy.sqrt((d - 1) * (1 - c**2))) / sympy.sqrt(d),
    requires=(d >= 1, c**2 * d >= 1, c > 0, c <= 1),
    kind="lower",
    source="derived; the worst rotation for one gradient: the angle is at most acos c + acos(1 / sqrt d)",
    proof=INVARIANCE,
)

turned_first_step_mean = Bound(
    name="adam_mini_steps.turned_first_step_mean",
    quantity="mean " + TURNED,
    value=d / sympy.pi * (sympy.gamma(d / 2) / sympy.gamma((d + 1) / 2)) ** 2,
    requires=(d >= 1,),
    kind="exact",
    source="derived; Gaussian gradient, Haar rotation; tends to 2 / pi",
    proof=INVARIANCE,
)

entry_gap = Bound(
    name="adam_mini_steps.entry_gap",
    quantity="Adam's step minus Adam-mini's, one entry",
    value=-lr * m * (q - s) / ((s + eps) * (q + eps)),
    requires=(lr > 0, s >= 0, q >= 0, s + eps > 0, q + eps > 0),
    kind="exact",
    source="derived; 0 exactly where m = 0 or s = q",
    proof="proofs/proof_adam_mini_equals_adam.py",
)

normalised_mean = Bound(
    name="adam_mini_steps.normalised_mean",
    quantity=NORMS,
    value=Delta / (lr * T) + lr * size / 2,
    requires=(lr > 0, T >= 1, Delta >= 0, size > 0),
    kind="upper",
    source="derived; Adam-mini at betas (0, 0), eps 0; an equality with f(w_0) - f(w_T) for Delta where L_b is all curvature",
    proof=DESCENT,
)

normalised_best = Bound(
    name="adam_mini_steps.normalised_best",
    quantity=NORMS,
    value=sympy.sqrt(2 * Delta * size / T),
    requires=(T >= 1, Delta >= 0, size > 0),
    kind="upper",
    source="derived; the best learning rate, sqrt(2 Delta / (size T)); attained at T = 1",
    proof=DESCENT,
)
