"""What factoring a second moment costs and saves, exactly, where the truth has rank one; and how long its average is.

    g_ij^2 = a_i b_j z^2, z Gaussian, V = the mean of N independent ones, V1 = R C^T / S
    h(x)   = psi(x / 2 + 1) - log(x / 2) = E v log v of v = chi^2_x / x; h(N) alone is factorisation.sampling_error

Symbols: N = averages; m, n = rows, columns; power = T^c at step T, where the average forgets as b_t = 1 - t^-c.
Every V_ij / (a_i b_j) is a Gamma(N/2) variable over N/2.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.factorisation import N, expected_entropy, m, n

power = sympy.Symbol("power", real=True)
SIZES = (N > 0, m >= 1, n >= 1)
NOISE, SCHEDULE = "proofs/proof_factored_noise.py", "proofs/proof_factored_schedule.py"


loss_of_size = Bound(
    name="factorisation_noise.loss_of_size",
    quantity="expected I-divergence of an averaged second moment from its factorisation, over the expected total",
    value=expected_entropy(N) - expected_entropy(N * m) - expected_entropy(N * n) + expected_entropy(N * m * n),
    requires=SIZES,
    kind="exact",
    source="derived; equal a and b; 0 for a single row or column; sharpens notes T4, which is its limit for large m, n",
    proof=NOISE,
)

full_error = Bound(
    name="factorisation_noise.full_error",
    quantity="mean squared relative error of an averaged second moment",
    value=2 / N,
    requires=(N > 0,),
    kind="exact",
    source="derived; variance of chi^2_N / N",
    proof=NOISE,
)

_saved = N**2 * m * n * (m + n - 1) + 2 * N * m * n + 8 * N * (m + n - 1) + 24
factored_error = Bound(
    name="factorisation_noise.factored_error",
    quantity="mean squared relative error of the factorisation of an averaged second moment",
    value=2 / N * _saved / ((N * m * n + 4) * (N * m * n + 6)),
    requires=SIZES,
    kind="exact",
    source="derived; equal a and b; for N -> oo 2 / N times (m + n - 1) / (m n), notes T4; and V1 is unbiased there",
    proof=NOISE,
)

averages_least = Bound(
    name="factorisation_noise.averages_least",
    quantity="effective number of averages, 1 over the sum of the squared weights",
    value=power,
    requires=(power >= 1,),
    kind="lower",
    source="derived; b_t = 1 - t^-c with 0 <= c <= 1; equality at T = 1 and, for every T, at c = 1",
    proof=SCHEDULE,
)

averages_most = Bound(
    name="factorisation_noise.averages_most",
    quantity="effective number of averages, 1 over the sum of the squared weights",
    value=2 * power - 1,
    requires=(power >= 1,),
    kind="upper",
    source="derived; b_t = 1 - t^-c with 0 <= c <= 1; equality at T = 1 and, for every T, at c = 0; approached for 0 < c < 1 as T grows "
    "(conjecture; 450 of 501 at T = 1000)",
    proof=SCHEDULE,
)
