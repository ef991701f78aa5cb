"""SGC: how much of the first moment lies outside of the current support where entries stay for random numbers of steps.

An entry stays N steps with one value and never returns; N has any law. Per entry, over all steps, m^2 sums up to

    outside   b1^2 (1 - b1^N)^2 / (1 - b1^2)         all   N - 2 b1 (1 - b1^N) / (1 - b1^2)         (times its squared value)

so the share outside is the ratio of the means. `momentum_outside` of `sandbox.theory.sparse_recovery` is the case of geometric N.

Open: that the fixed life is the worst law for every mean T. Numbers agree to T = 1000 and b1 = 0.999; proved up to T = 8, life by life.

Symbols: life = E N, once = E b1^N, twice = E b1^(2 N), T = a fixed N.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.sparse_recovery import b1, momentum_outside

life, once, twice = sympy.symbols("life once twice", real=True)
T = sympy.Symbol("T", integer=True, positive=True)
BETA = (b1 > 0, b1 < 1)
PROOF = "proofs/proof_sgc_lifetimes.py"
PROVED_UP_TO = 8
ROUNDING = sympy.Rational(1, 10**12)  # a fixed life meets Jensen's b1^(E T) <= E b1^T with equality, which floats miss by a rounding

any_life = Bound(
    name="sparse_recovery_lives.any_life",
    quantity=momentum_outside.quantity,
    value=b1**2 * (1 - 2 * once + twice) / ((1 - b1**2) * life - 2 * b1 * (1 - once)),
    requires=(*BETA, life >= 1, once * (1 + ROUNDING) >= b1**life, once <= b1, twice * (1 + ROUNDING) >= once**2, twice <= once),
    kind="exact",
    source="derived; stationary, independent lives of any law, values that stay and do not depend on the life",
    proof=PROOF,
)

fixed_life = Bound(
    name="sparse_recovery_lives.fixed_life",
    quantity=momentum_outside.quantity,
    value=b1**2 * (1 - b1**T) ** 2 / ((1 - b1**2) * T - 2 * b1 * (1 - b1**T)),
    requires=(*BETA, T >= 1),
    kind="exact",
    source="derived; every entry stays for T steps; 47 % at T = 10 and b1 = 0.9, where geometric lives of that mean have 30 %",
    proof=PROOF,
)

most_outside = Bound(
    name="sparse_recovery_lives.most_outside",
    quantity=momentum_outside.quantity,
    value=fixed_life.value,
    requires=(*fixed_life.requires, T <= PROVED_UP_TO),
    kind="upper",
    source="derived; any law of lives with mean T; equality for lives that are all T; for larger T conjectured",
    proof=PROOF,
)

least_outside = Bound(
    name="sparse_recovery_lives.least_outside",
    quantity=momentum_outside.quantity,
    value=b1**2 * (1 - b1) / ((1 + b1) * life - 2 * b1),
    requires=(*BETA, life >= 1),
    kind="lower",
    source="derived; any law of lives with mean `life`; approached by entries that stay for one step or nearly for ever",
    proof=PROOF,
)
