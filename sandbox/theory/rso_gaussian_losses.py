"""RSO's exact subproblem in any basis that rotations leave alone, a Gaussian one above all, over every smooth f.

`sandbox.theory.rso_gaussian` has the constant of L |W|^2 / 2. Here are limits for all L-smooth f, which lie closely above it:

    t     c = 1/4: L |W|^2 / 2    every f, global argmin    every f, stationary and F(B) <= F(0)
    1/4   5.858                   5.864                     5.862
    1/2   3.851                   3.870                     3.866
    1     2.851                   2.905                     4.726

with the best s of each. For stationary points that may lie higher than the start there is no constant at all, for no t, m and r: with a
positive chance t x exceeds 1 + sqrt 2, and then f can rise by as much as one likes (`rise`).

Open: whether L |W|^2 / 2 is the worst f. One f has to serve every P, which the certificates, P by P, do not use; each of them alone is
sharp only where all directions share one T, or where p happens to balance the directions.

Symbols: t = eta Lhat, c = r/m, x the eigenvalues of (r/m) P^T P, T = t x, top = the largest T; low = E mean 1 / (T + 1/s), high = E mean
1 / (s - T), share = E mean T / (1 + T). s > top is free and each gives a limit; the best lies a little above the root of s - 1/s = 1 + t.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.rso import RATIO, t
from sandbox.theory.rso_gaussian import c, safe_constant, share

s, low, high, top, T = sympy.symbols("s low high top T", real=True)
PROOF = "proofs/proof_rso_gaussian_losses.py"
LIMIT = (t > 0, c > 0, c <= 1, s > 1, s > t * (1 + sympy.sqrt(c)) ** 2)
SHORT = s**2 <= 2 * s + 1  # s <= 1 + sqrt 2

# phi(T) = gain: what a direction with T = t x contributes to the decrease, times its squared gradient over L
argmin_gain = (share + s / (s**2 - 1) - s**2 / (s**4 - 1) * (low + high)) / 2
descending_gain = (
    s * (s**2 + 1) ** 3 + s**4 * (8 * (s**2 - 1) - (s**2 + 1) ** 2) * high - (8 * s**2 * (s**2 - 1) + (s**2 + 1) ** 2) * low
) / (8 * s**2 * (s**4 - 1))

share_at = 2 / safe_constant.value  # of Gaussian P in the limit: E t x / (1 + t x)
_root = sympy.sqrt((s / t - 1 + c) ** 2 - 4 * c * s / t)
IN_THE_LIMIT = {
    share: share_at,
    low: s * (1 - share_at.subs(t, s * t)),
    high: (s / t - 1 + c - _root) / (2 * c * s),
}

argmin_any_law = Bound(
    name="rso_gaussian_losses.argmin_any_law",
    quantity=RATIO,
    value=1 / argmin_gain,
    requires=(s > 1, top > 0, top < s, share > 0, low > 0, high > 0, argmin_gain > 0),
    kind="upper",
    source="derived; every smooth f, global argmin, any law of P that rotations leave alone; equality for Stiefel at s - 1/s = 1 + t",
    proof=PROOF,
)

descending_any_law = Bound(
    name="rso_gaussian_losses.descending_any_law",
    quantity=RATIO,
    value=1 / descending_gain,
    requires=(s > 1, SHORT, top > 0, top < s, low > 0, high > 0, descending_gain > 0),
    kind="upper",
    source="derived; every smooth f, any stationary point; equality for Stiefel where 2 s / (s^2 - 1) = (3 + t) / (1 + t)",
    proof=PROOF,
)

argmin_constant = Bound(
    name="rso_gaussian_losses.argmin_constant",
    quantity=RATIO,
    value=1 / argmin_gain.subs(IN_THE_LIMIT, simultaneous=True),
    requires=(*LIMIT, argmin_gain.subs(IN_THE_LIMIT, simultaneous=True) > 0),
    kind="upper",
    source="derived; every smooth f, global argmin, Gaussian P, limit of large m at fixed c = r/m, every t",
    proof=PROOF,
)

descending_constant = Bound(
    name="rso_gaussian_losses.descending_constant",
    quantity=RATIO,
    value=1 / descending_gain.subs(IN_THE_LIMIT, simultaneous=True),
    requires=(*LIMIT, SHORT, descending_gain.subs(IN_THE_LIMIT, simultaneous=True) > 0),
    kind="upper",
    source="derived; every smooth f, any stationary point with F(B) <= F(0), Gaussian P, limit of large m at fixed c = r/m",
    proof=PROOF,
)

rise = Bound(
    name="rso_gaussian_losses.rise",
    quantity="rise of f to a stationary point of the subproblem over L times its squared distance, where grad f(W) = 0",
    value=(T**2 - 2 * T - 1) / (4 * T**2),
    requires=(T >= 1,),
    kind="exact",
    source="derived; one direction with T = t x; equality on a saw-tooth; a rise from T > 1 + sqrt 2 on",
    proof=PROOF,
)
