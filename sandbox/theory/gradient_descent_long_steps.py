"""Gradient descent on convex L-smooth functions with steps so long that a quadratic is the worst: 3/2 <= t = lr L < 2, about.

`gradient_descent_convex` has the bounds up to t = 3/2, where Huber functions are the worst, and the conjectured forms for all t < 2, the
larger one of Huber's and the quadratic's. Here the quadratic's share of them is proved, tau = t - 1 being what a step of that length
leaves of L w^2 / 2:

    f(w_1) - f_star   <=  L R^2 tau^2 / 2             t >= 3/2                            all that is conjectured for K = 1
    |grad f(w_1)|^2   <=  L^2 R^2 tau^2               t^2 >= 2                            all for K = 1
    |grad f(w_K)|^2   <=  L^2 R^2 tau^(2 K)           2 tau^(2 K - 2) >= 1 - tau, t >= 3/2     all for K = 2
    |grad f(w_K)|^2   <=  2 L Delta0 tau^(2 K)        2 tau^(2 K) >= 1 - tau              all for K = 1

Open: the loss for K >= 2, and the gradient between these steps and those where Huber functions take over (for Delta0 and K = 2: t from
1.606 to 1.648). Tried: the sum f + a |grad f|^2 whose weight a grows so that the quadratic keeps it constant; it cannot gain weight on f.
"""

from sandbox.theory.base import Bound
from sandbox.theory.gradient_descent import Delta0, K, L, lr
from sandbox.theory.gradient_descent_convex import CONVEX, GRADIENT, LOSS, R

t = lr * L
tau = t - 1
LONG = (*CONVEX, t > 1, t < 2)
PROOF = "proofs/proof_gradient_descent_long_steps.py"
KNOWN = "derived; conjectured form of Taylor, Hendrickx, Glineur (2017), https://arxiv.org/abs/1502.05666; equality on L |w|^2 / 2"

loss_one_step = Bound(
    name="gradient_descent_long_steps.loss_one_step",
    quantity=LOSS,
    value=L * R**2 * tau**2 / 2,
    requires=(*LONG, K <= 1, 2 * t >= 3, R >= 0),
    kind="exact",
    source=KNOWN,
    proof=PROOF,
)

gradient_one_step = Bound(
    name="gradient_descent_long_steps.gradient_one_step",
    quantity=GRADIENT,
    value=L**2 * R**2 * tau**2,
    requires=(*LONG, K <= 1, t**2 >= 2, R >= 0),
    kind="exact",
    source=KNOWN,
    proof=PROOF,
)

gradient_from_gap = Bound(
    name="gradient_descent_long_steps.gradient_from_gap",
    quantity=GRADIENT,
    value=2 * L * Delta0 * tau ** (2 * K),
    requires=(*LONG, 2 * tau ** (2 * K) >= 1 - tau, Delta0 >= 0),
    kind="exact",
    source=KNOWN,
    proof=PROOF,
)

gradient_from_distance = Bound(
    name="gradient_descent_long_steps.gradient_from_distance",
    quantity=GRADIENT,
    value=L**2 * R**2 * tau ** (2 * K),
    requires=(*LONG, 2 * t >= 3, 2 * tau ** (2 * K - 2) >= 1 - tau, R >= 0),
    kind="exact",
    source=KNOWN,
    proof=PROOF,
)
