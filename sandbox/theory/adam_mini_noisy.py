"""Block-normalised descent with noisy gradients: Adam-mini at betas (0, 0), and the same steps along an average of the gradients.

    Adam-mini, betas (0, 0), eps 0      w_b <- w_b - lr sqrt(d_b) G_b / |G_b|,    G = grad f(w) + xi
    normalised average                  w_b <- w_b - lr sqrt(d_b) m_b / |m_b|,    m <- beta m + (1 - beta) G,  m_0 = G_0

Stochastic rates of this kind for blockwise Adam: Xie, Mohamadi, Li (2410.08198), second-hand, without constants. Here they are explicit.
For Adam-mini as published (both betas above 0, bias correction) no proof was found: the step divides by the norm of another average than
the one it goes along, and the argument below needs the two to be the same.

Symbols as in `adam_mini_steps`; noise = sum_b sqrt(d_b) E |xi_b|, spread = sum_b sqrt(d_b) sqrt(E |xi_b|^2) >= noise, the same at every
step; E xi = 0 given the past. The averages need smoothness from both sides: |f(w + h) - f(w) - <g, h>| <= sum_b L_b |h_b|^2 / 2.
"""

import sympy

from sandbox.theory.adam_mini_steps import NORMS, Delta, T, lr, normalised_mean, size
from sandbox.theory.base import Bound

noise, spread, beta = sympy.symbols("noise spread beta", real=True)
PROOF = "proofs/proof_adam_mini_noisy_descent.py"
MEAN = "mean of " + NORMS

unbiased_mean = Bound(
    name="adam_mini_noisy.unbiased_mean",
    quantity=MEAN,
    value=normalised_mean.value + noise,
    requires=(*normalised_mean.requires, noise >= 0),
    kind="upper",
    source="derived; Adam-mini at betas (0, 0), eps 0, unbiased gradients; the coefficient 1 of the noise is the least, biased ones have 2",
    proof=PROOF,
)

averaged_mean = Bound(
    name="adam_mini_noisy.averaged_mean",
    quantity=MEAN,
    value=normalised_mean.value
    + 2 * lr * size * beta / (1 - beta)
    + 2 * spread * (1 / (T * (1 - beta)) + sympy.sqrt((1 - beta) / (1 + beta))),
    requires=(*normalised_mean.requires, spread >= 0, beta >= 0, beta < 1),
    kind="upper",
    source="derived, after the normalised momentum of Cutkosky and Mehta (2020, recalled), block by block",
    proof=PROOF,
)

averaged_best = Bound(
    name="adam_mini_noisy.averaged_best",
    quantity=MEAN,
    value=4 * (2 * Delta * size * spread**2 / T) ** sympy.Rational(1, 4) + 2 * spread**2 / sympy.sqrt(2 * Delta * size * T),
    requires=(T >= 1, Delta > 0, size > 0, spread > 0, T * spread**2 >= 2 * Delta * size),
    kind="upper",
    source="derived; averaged_mean at 1 - beta = sqrt(2 Delta size / T) / spread and lr = sqrt(Delta (1 - beta) / (2 size T)): T^(-1/4)",
    proof=PROOF,
)
