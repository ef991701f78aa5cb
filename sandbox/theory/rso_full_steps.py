"""RSO's best eta where inner steps have a finite length: the t that minimises rounds times inner steps, C(t) / -log q.

q is the factor per inner step on the slowest curvature of the subproblem, whose curvatures are 1/eta - Lhat to 1/eta + Lhat:

    gradient descent, step c / (1/eta + Lhat)      q = 1 - c / kappa          best t at c = 1      0.1997
    gradient descent, step eta, the best one       q = t                      best t               0.2465
    Nesterov, p = sqrt(c / kappa)                  q = 1 - p                  best t at c = 1      0.2922

For c -> 0 these are the algebraic numbers of `rso_rates` (0.303 and 0.449). For no rational c > 0 is the best t algebraic: there -log q is
an algebraic number, `log_factor` and its kin, while q is algebraic too. So the decimals above are all that can be written down.

Symbols: t = eta Lhat, share = c, root = sqrt(c), u = kappa^(-1/2), t = (1 - u^2) / (1 + u^2).
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.rso import t

share, root, u = sympy.symbols("share root u", real=True)
PROOF = "proofs/proof_rso_full_steps.py"
LOG_FACTOR = "-log of the factor per inner step, at the t that minimises rounds times inner steps"
BEST = "t that minimises rounds times inner steps"
WIDTH = sympy.Rational(1, 20_000)  # how far below a bound on t the best t may lie

log_factor = Bound(
    name="rso_full_steps.log_factor",
    quantity=LOG_FACTOR,
    value=share * t * (2 + t) / (1 + t - share * (1 - t)),
    requires=(t > 0, t < 1, share > 0, share <= 1),
    kind="exact",
    source="derived; inner gradient descent with steps share / (1/eta + Lhat); 1 + t/2 at share = 1; t^2 + 3 t = 1 for share -> 0",
    proof=PROOF,
)

log_factor_best_step = Bound(
    name="rso_full_steps.log_factor_best_step",
    quantity=LOG_FACTOR,
    value=(1 + t) * (2 + t) / 2,
    requires=(t > 0, t < 1),
    kind="exact",
    source="derived; inner gradient descent with steps eta, by which both ends of the spectrum shrink by t",
    proof=PROOF,
)

log_factor_accelerated = Bound(
    name="rso_full_steps.log_factor_accelerated",
    quantity=LOG_FACTOR,
    value=root * (1 - u**2) * (3 + u**2) / (4 * u * (1 + u**2) * (1 - root * u)),
    requires=(u > 0, u < 1, root > 0, root <= 1),
    kind="exact",
    source="derived; inner Nesterov with steps root^2 / (1/eta + Lhat) and momentum (1 - p) / (1 + p), p = root u",
    proof=PROOF,
)


def _best(name: str, above: sympy.Rational, source: str) -> Bound:
    return Bound(f"rso_full_steps.{name}", BEST, above, (), "upper", f"derived; the best t lies at most {WIDTH} below; {source}", PROOF)


best_t = _best(
    "best_t", sympy.Rational(19971, 100_000), "gradient descent with steps 1 / (1/eta + Lhat), root of -log(2 t / (1+t)) = 1 + t/2"
)
best_t_best_step = _best(
    "best_t_best_step", sympy.Rational(24655, 100_000), "gradient descent with steps eta, root of -log t = (1+t)(2+t)/2"
)
best_t_accelerated = _best("best_t_accelerated", sympy.Rational(29223, 100_000), "Nesterov with steps 1 / (1/eta + Lhat)")
