"""The floor of two-point descent at a finite eps, for d > 1: of the order d and not d^2.

`zeroth_order_rate.finite_eps` bounds the error of a slope by its largest value, eps L d / 2. A central difference is an odd function of
the direction, so its error cannot be that large in all of them: on the sphere it has mean 0, and Poincare's inequality bounds its mean
square by that of its derivative along the sphere, L^2 eps^2 d^2 / (d - 1).

    floor of mean |grad f|^2      d = 1: (eps L / 2)^2, attained
                                  any f: at most L^2 eps^2 d^2 / (d - 1)          (below the old (eps L d / 2)^2 from d = 6 on)
                                  one f: L^2 eps^2 d / 4, where the method stands still for ever

Open: the factor 4 d / (d - 1) between the two. A run that moves may do worse than the one that stands still.

Symbols: d, eps, L, K, Delta = f(x_0) - E f(x_K), as in `zeroth_order_rate`; z uniform on the sphere |z|^2 = d.
"""

from sandbox.theory.base import Bound
from sandbox.theory.zeroth_order import eps
from sandbox.theory.zeroth_order_pairings import d
from sandbox.theory.zeroth_order_rate import MEAN, Delta, K, L

PROOF = "proofs/proof_zeroth_order_floor.py"

sphere_mean = Bound(
    name="zeroth_order_floor.sphere_mean",
    quantity=MEAN,
    value=2 * L * d * Delta / K + (eps * L * d) ** 2 / (d - 1),
    requires=(L > 0, Delta >= 0, K >= 1, d >= 2, eps >= 0),
    kind="upper",
    source="derived; central difference on the sphere, n = 1, lr = 1/(L d), any L-smooth f; the floor is of the right order in d",
    proof=PROOF,
)

standing_still = Bound(
    name="zeroth_order_floor.standing_still",
    quantity="squared gradient norm of a point at which all central differences are 0",
    value=(eps * L) ** 2 * d / 4,
    requires=(L > 0, d >= 1, eps >= 0),
    kind="exact",
    source="derived; directions on the sphere, any L-smooth f; equality at 0 for x_1 (1 - |x| / rho) L rho / 2, rho = eps sqrt(d)",
    proof=PROOF,
)

one_sided_floor = Bound(
    name="zeroth_order_floor.one_sided_floor",
    quantity="squared gradient norm at which two-point descent with one-sided differences settles on L |x|^2 / 2",
    value=(eps * L * d / 2) ** 2,
    requires=(L > 0, d >= 1, eps >= 0),
    kind="exact",
    source="derived; sphere, lr = 1/(L d); there the error of a slope is eps L d / 2 in every direction",
    proof=PROOF,
)
