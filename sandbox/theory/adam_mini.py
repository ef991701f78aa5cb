"""Adam-mini (Zhang et al., 2406.16793): one second moment per block, on quadratics that are block-diagonal.

Symbols: kappa = condition number of the whole Hessian; kappa_block = the largest of a block's; dim = dimension; lr =
learning rate; noise_trace = tr(D Sigma), D the constant diagonal preconditioner, Sigma the covariance of the gradient
noise; top = lam_max(D H); b1 = beta1; block_sum = sum_b sqrt(d_b tr Sigma_b); entry_sum = sum_i sqrt(Sigma_ii).
"""

import sympy

from sandbox.theory.base import Bound

kappa, kappa_block, dim, lr, noise_trace = sympy.symbols("kappa kappa_block dim lr noise_trace", real=True)
block_sum, entry_sum, top, b1 = sympy.symbols("block_sum entry_sum top b1", real=True)
PROOF = "proofs/proof_blockwise_rate.py"
FLOOR = "proofs/proof_adam_mini_noise_floor.py"
FIRST = "proofs/proof_adam_mini_first_gradient.py"


def rate(condition: sympy.Expr) -> sympy.Expr:
    """Worst distance factor per step of gradient descent with its best constant step."""
    return (condition - 1) / (condition + 1)


single_rate = Bound(
    name="adam_mini.single_rate",
    quantity="distance factor per step",
    value=rate(kappa),
    requires=(kappa >= 1,),
    kind="exact",
    source="classical; one step size, 2 / (L + mu)",
    proof=PROOF,
)

blockwise_rate = Bound(
    name="adam_mini.blockwise_rate",
    quantity="distance factor per step",
    value=rate(kappa_block),
    requires=(kappa_block >= 1,),
    kind="exact",
    source="derived; one step size per diagonal block, 2 / (L_b + mu_b), the best of all blockwise choices",
    proof=PROOF,
)

frozen_adam_condition = Bound(
    name="adam_mini.frozen_adam_condition",
    quantity="median condition number under Adam frozen at its first gradient",
    value=sympy.sqrt(2 / sympy.pi) / sympy.log(2) * dim * sympy.sqrt(2 * sympy.log(dim)),
    requires=(dim >= 10,),
    kind="exact",
    source="derived; any diagonal Hessian, Gaussian start: max|x| / min|x|; leading order as dim grows, "
    "above the median by 14 % at dim = 10, 11 % at 100, 7 % at 10^4 (quadrature)",
    proof=FIRST,
)

first_step_cosine = Bound(
    name="adam_mini.first_step_cosine",
    quantity="cosine between the first steps of Adam and Adam-mini",
    value=sympy.sqrt(2 / sympy.pi),
    requires=(),
    kind="exact",
    source="derived; Gaussian gradient, limit of a large block: E|g| / sqrt(E g^2)",
    proof=FIRST,
)

noise_floor = Bound(
    name="adam_mini.noise_floor",
    quantity="stationary expected loss above the minimum",
    value=lr / 4 * noise_trace,
    requires=(lr > 0, noise_trace >= 0),
    kind="lower",
    source="derived from the Lyapunov equation; lr top < 2, else nothing is stationary; approached as lr -> 0, whatever the Hessian",
    proof=FLOOR,
)

noise_floor_upper = Bound(
    name="adam_mini.noise_floor_upper",
    quantity="stationary expected loss above the minimum",
    value=lr * noise_trace / (4 - 2 * lr * top),
    requires=(lr > 0, noise_trace >= 0, top > 0, lr * top < 2),
    kind="upper",
    source="derived from the Lyapunov equation; attained where D H has one eigenvalue",
    proof=FLOOR,
)

noise_floor_momentum = Bound(
    name="adam_mini.noise_floor_momentum",
    quantity="stationary expected loss above the minimum, D H of one eigenvalue",
    value=lr * noise_trace / (4 - 2 * lr * top * (1 - b1) / (1 + b1)),
    requires=(lr > 0, noise_trace >= 0, top > 0, b1 >= 0, b1 < 1, lr * top * (1 - b1) < 2 * (1 + b1)),
    kind="exact",
    source="derived; first moments as averages, m <- b1 m + (1 - b1) g; the limit lr -> 0 does not depend on b1",
    proof=FLOOR,
)

noise_floor_ratio = Bound(
    name="adam_mini.noise_floor_ratio",
    quantity="stationary expected loss of Adam-mini over that of Adam",
    value=block_sum / entry_sum,
    requires=(entry_sum > 0, block_sum >= entry_sum),
    kind="exact",
    source="derived; lr -> 0, second moments at those of the noise; at least 1, and 1 where Sigma_ii is constant per block",
    proof=FLOOR,
)
